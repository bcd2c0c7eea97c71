//! Carrying out an experiment.
//!
//! The dispatcher walks through the phases of a run and decides; the executor carries out one
//! activity at a time; whatever happens is a [`RunEvent`] of a closed set, sent to one receiver.
//! Progress, journal and submitted events are all made from those, so that they cannot tell
//! different stories.
//!
//! Whatever ends a run early, the faults that it injected are undone and its rollbacks are
//! carried out before it returns.

mod abort;
mod book;
mod dispatcher;
mod event;
mod executor;
mod facts;
mod identity;
mod ledger;
mod provider;
mod recovery;
mod stop;
mod verdict;

pub(crate) use abort::Check;
pub use book::{BookError, FaultBook};
pub use dispatcher::carry_out;
pub(crate) use event::rounded;
pub use event::{
    ActivityRecord, ActivityStatus, Conclusion, Place, ProbeRecord, Reporter, RunEvent,
    RunEventKind, Section, SteadyStateRecord,
};
pub(crate) use executor::record;
pub use facts::Facts;
pub(crate) use facts::{injected_id, told};
pub use identity::RunIdentity;
pub(crate) use identity::slug;
pub(crate) use ledger::describe;
pub(crate) use provider::{ActivityError, call_outside};
pub use recovery::{Recovered, recover};
pub use stop::{Stop, StopReason};
pub use verdict::Resilience;
