//! The SurrealDB graph of components and incidents, its projections, and GraphQL over it.
//!
//! The graph is derived state: a fold over the log, deleted and rebuilt at will.
//!
//! - [`projection`]: from an event to the [`change`]s it makes, purely.
//! - [`fold`]: the changes, made on rows in memory.
//! - [`executor`]: batches of events, applied to the store in one transaction with the checkpoint.
//! - [`project_log`]: the runner that keeps the graph behind the log; [`recovery`] opens or
//!   rebuilds it.
//! - `lease`, `follow`: which of several servers writes a graph that they share, and what the
//!   others do.
//! - [`rebuild`]: the next generation of a graph, made beside the one in use.
//! - `index`: full text and fingerprints in memory, as of any position.
//! - [`reads`], [`rows`]: what is asked of the graph, and what it gives.
//! - [`commands`]: what people may have recorded, checked against all of it.
//! - [`coverage`]: what was exercised by experiments and what never was.
//! - [`graphql`]: the API over all of it.

mod bare;
pub mod change;
pub mod commands;
mod content_hash;
pub mod coverage;
mod difference;
pub mod executor;
pub mod fold;
mod follow;
mod generation;
mod graph;
pub mod graphql;
mod index;
mod lease;
mod live;
mod migration;
mod models;
pub mod project_log;
pub mod projection;
pub mod reads;
pub mod rebuild;
pub mod recovery;
pub mod rows;
pub mod table;
mod value;

pub use bare::Copied;
pub use content_hash::ContentHash;
pub use difference::Difference;
pub use follow::ShareError;
pub use generation::GenerationError;
pub use graph::{Checkpoint, Graph, OpenError};
pub use index::{Index, IndexSize, NearestTo};
pub use lease::{Decided, FenceError, Lease, LeaseError, Role, Tenure};
pub use live::LiveGraph;
pub use migration::MigrateError;
pub use models::{Answering, InUse, Method, Models, Question, RankError};
pub use project_log::{Projected, Projector, Successor};
pub use recovery::{open_or_rebuild, open_shared};
