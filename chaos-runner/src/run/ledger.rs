//! The faults of a run that act.
//!
//! A fault is in the ledger from the moment it may act until it was undone; whoever takes it out
//! undoes it, so that every fault is undone once and reported as undone once. Before it may act
//! it is in the [book](FaultBook) on disk too, for the case that this process does not live to
//! undo it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::catalogue::experiment::ClearedBy;
use events::value::Line;
use events::{FaultId, Timestamp};

use super::book::{Entry, FaultBook, Intent};
use super::event::brief;
use super::provider::ActivityError;
use super::{Reporter, RunEventKind, RunIdentity};
use crate::shop::control::{ClearedFault, ControlClient, ControlError, FaultSpec, InjectedFault};

/// Waits before undoing is tried again. Past them the fault's own deadline undoes it.
const RETRY_WAITS: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// The faults that act, by id.
#[derive(Debug)]
pub(super) struct Ledger {
    shop: ControlClient,
    reporter: Reporter,
    book: FaultBook,
    identity: RunIdentity,
    title: Line,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    acting: BTreeMap<FaultId, Acting>,
    written: BTreeMap<FaultId, Entry>,
    cleared: BTreeMap<Line, ClearedFault>,
    left_behind: Vec<FaultId>,
}

/// A fault that acts, and the action that injected it.
#[derive(Clone, Debug)]
pub(super) struct Acting {
    pub(super) name: Line,
    pub(super) fault: InjectedFault,
    pub(super) measured: bool,
}

impl Ledger {
    pub(super) fn new(
        shop: ControlClient,
        reporter: Reporter,
        book: FaultBook,
        identity: RunIdentity,
        title: Line,
    ) -> Self {
        Self { shop, reporter, book, identity, title, state: Mutex::default() }
    }

    /// Injects a fault for the action called `name`.
    ///
    /// Not to be cancelled: the fault would act and be in no ledger. An answer that got lost
    /// leaves open whether it acts, so it is undone on the spot.
    pub(super) async fn inject(
        &self,
        name: &Line,
        fault: &FaultId,
        spec: &FaultSpec,
    ) -> Result<InjectedFault, ActivityError> {
        let intent = Intent {
            shop: self.shop.base_url().to_owned(),
            server: self.book.server(),
            title: self.title.clone(),
            experiment: self.identity.experiment.clone(),
            root: self.identity.root,
            fault: fault.clone(),
            spec: spec.clone(),
            at: Timestamp::now(),
        };
        let mut entry = self.book.write(intent).await?;
        match self.shop.inject(spec).await {
            Ok(injected) => {
                entry.acts(&injected);
                self.state().written.insert(fault.clone(), entry);
                let acting =
                    Acting { name: name.clone(), fault: injected.clone(), measured: false };
                self.state().acting.insert(injected.fault.clone(), acting);
                let kind = RunEventKind::FaultInjected { fault: injected.clone() };
                self.reporter.report_at(injected.injected_at, kind);
                Ok(injected)
            }
            Err(error @ ControlError::Refused { .. }) => {
                entry.strike_out();
                Err(error.into())
            }
            Err(error @ ControlError::Unreachable { .. }) => {
                // Unknown to the shop is the good answer here; without any it stays in the book.
                match self.shop.clear(fault, ClearedBy::Interrupt).await {
                    Ok(cleared) => self.acted_unanswered(entry, cleared),
                    Err(ControlError::Refused { .. }) => entry.strike_out(),
                    Err(ControlError::Unreachable { .. }) => {}
                }
                Err(error.into())
            }
        }
    }

    /// Tells of a fault that the shop had, though nobody heard so: it acted from the moment it
    /// was asked for, or a little less.
    fn acted_unanswered(&self, entry: Entry, cleared: ClearedFault) {
        let injected = entry.intent.as_injected();
        if cleared.verified {
            self.book.undone(entry);
        } else {
            self.state().left_behind.push(cleared.fault.clone());
        }
        let kind = RunEventKind::FaultInjected { fault: injected.clone() };
        self.reporter.report_at(injected.injected_at, kind);
        self.reporter.report_at(cleared.cleared_at, RunEventKind::FaultCleared { cleared });
    }

    /// The faults that act now.
    pub(super) fn acting(&self) -> Vec<Acting> {
        self.state().acting.values().cloned().collect()
    }

    /// Marks that the steady state under a fault is known; whether it was not.
    pub(super) fn mark_measured(&self, fault: &FaultId) -> bool {
        let mut state = self.state();
        state
            .acting
            .get_mut(fault)
            .is_some_and(|acting| !std::mem::replace(&mut acting.measured, true))
    }

    /// What undid the fault of the action called `name`, when it was undone.
    pub(super) fn cleared(&self, name: &Line) -> Option<ClearedFault> {
        self.state().cleared.get(name).cloned()
    }

    /// Faults that could not be undone.
    pub(super) fn left_behind(&self) -> Vec<FaultId> {
        self.state().left_behind.clone()
    }

    /// Undoes a fault, unless somebody else is doing so or did.
    pub(super) async fn clear(&self, fault: &FaultId, by: ClearedBy) -> Result<(), ActivityError> {
        let Some(acting) = self.state().acting.remove(fault) else { return Ok(()) };
        match self.clear_with_retries(fault, by).await {
            Ok(cleared) => {
                let verified = cleared.verified;
                let action = cleared.action.clone();
                self.state().cleared.insert(acting.name, cleared.clone());
                let written = if verified { self.state().written.remove(fault) } else { None };
                if let Some(entry) = written {
                    // Before it is reported: whoever tells it safely has it struck out.
                    self.book.undone(entry);
                }
                self.reporter.report_at(cleared.cleared_at, RunEventKind::FaultCleared { cleared });
                if verified {
                    return Ok(());
                }
                self.state().left_behind.push(fault.clone());
                Err(ActivityError::NotVerified(action))
            }
            Err(error) => {
                self.state().left_behind.push(fault.clone());
                let text = describe(&error);
                self.reporter
                    .report(RunEventKind::FaultNotCleared { fault: fault.clone(), error: text });
                Err(error.into())
            }
        }
    }

    async fn clear_with_retries(
        &self,
        fault: &FaultId,
        by: ClearedBy,
    ) -> Result<ClearedFault, ControlError> {
        let mut waits = RETRY_WAITS.iter();
        loop {
            match self.shop.clear(fault, by).await {
                Ok(cleared) => return Ok(cleared),
                Err(error) => match waits.next() {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err(error),
                },
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; were it so, undoing must still go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its innermost source in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    brief(&chain(error))
}

/// An error and its sources, a line each.
pub(super) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        lines.push(error.to_string());
        source = error.source();
    }
    lines
}

#[cfg(test)]
mod tests;
