//! The reactors of a server that shares its graph: they run where the lease is held.
//!
//! Up to where they have decided stands with the lease. It is written once a second and when the
//! server stops; what a new holder decides again has the same ids.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use events::log::{EventLog, ReadError};
use schema::{Decided, Lease, LeaseError, Tenure};
use tokio::sync::watch;

use super::{Checkpoint, Reacted, ReactorError, Reactors, School};
use crate::config::Config;
use crate::http::error::chain;

/// How often it is written, and read by those who follow.
const EVERY: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(crate) struct SharedReactors {
    pub(crate) config: Config,
    pub(crate) school: School,
    pub(crate) lease: Arc<Lease>,
    pub(crate) reacted: Reacted,
    /// What the reactors of this server have decided last.
    pub(crate) decided: Arc<watch::Sender<Decided>>,
}

/// Why it was not said how far the reactors are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaveError {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl SharedReactors {
    /// Decides while the lease is held, and tells how far its holder is otherwise. Ends as
    /// [`Reactors::run`] does.
    pub(crate) async fn run(self) -> Result<(), ReactorError> {
        let mut role = self.lease.role();
        loop {
            let tenure = role.borrow_and_update().tenure();
            let part = async {
                match tenure {
                    Some(tenure) => self.decide(tenure).await,
                    None => self.watch().await,
                }
            };
            tokio::select! {
                biased;
                _ = role.wait_for(|role| role.tenure() != tenure) => {}
                ended = part => return ended,
            }
        }
    }

    async fn decide(&self, tenure: Tenure) -> Result<(), ReactorError> {
        let left = loop {
            match self.lease.decided().await {
                Ok(left) => break left,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the reactors wait for their checkpoint");
                    tokio::time::sleep(EVERY).await;
                }
            }
        };
        let left = match left {
            Some(left) if is_of(&*self.school.log, &left).await? => Some(left),
            Some(_) => {
                tracing::warn!("the reactors' checkpoint is of another log; they decide anew");
                None
            }
            None => None,
        };
        let (data, head) = (&self.config.storage.data, self.school.log.head());
        let checkpoint = Checkpoint::taken_over(left, data, self.decided.clone(), head);
        let reactors = Reactors {
            reacted: self.reacted.clone(),
            ..Reactors::resumed(checkpoint, &self.config, self.school.clone())
        };
        let saving = saving(&self.lease, tenure, &self.school.log, self.decided.subscribe());
        tokio::select! {
            ended = reactors.run() => ended,
            never = saving => match never {},
        }
    }

    async fn watch(&self) -> Result<(), ReactorError> {
        let levels = &self.reacted.0;
        // Whoever decides counts them.
        levels.open_incidents.store(0, Ordering::Relaxed);
        levels.standings.forget();
        loop {
            // The lease says itself when the store does not answer.
            if let Ok(Some(decided)) = self.lease.decided().await {
                levels.position.store(decided.position, Ordering::Relaxed);
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Says with the lease how far the reactors are.
pub(crate) async fn leave(
    lease: &Lease,
    tenure: Tenure,
    log: &dyn EventLog,
    mut decided: Decided,
) -> Result<(), LeaveError> {
    if decided.position == 0 {
        return Ok(());
    }
    let at = log.read_all(decided.position - 1, 1).await?.pop();
    decided.event = at.map(|recorded| recorded.event.id);
    if !lease.decide(tenure, &decided).await? {
        lease.lost(tenure);
    }
    Ok(())
}

async fn saving(
    lease: &Lease,
    tenure: Tenure,
    log: &Arc<dyn EventLog>,
    mut decided: watch::Receiver<Decided>,
) -> Infallible {
    loop {
        tokio::time::sleep(EVERY).await;
        if decided.changed().await.is_err() {
            // It is a part of what this runs beside.
            return std::future::pending().await;
        }
        let now = decided.borrow_and_update().clone();
        if let Err(error) = leave(lease, tenure, &**log, now).await {
            tracing::warn!(error = chain(&error), "the reactors' checkpoint was not written");
        }
    }
}

/// Whether the checkpoint is one of this log. Where retention has taken the event away there is
/// nothing to hold it against.
async fn is_of(log: &dyn EventLog, left: &Decided) -> Result<bool, ReadError> {
    let Some(event) = left.event else { return Ok(true) };
    let at = log.read_all(left.position.saturating_sub(1), 1).await?.pop();
    Ok(at.is_none_or(|at| at.position != left.position || at.event.id == event))
}
