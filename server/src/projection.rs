//! How far the graph has followed the log.

use events::log::EventLog;
use schema::{Lease, Role};
use serde::Serialize;
use tokio::sync::watch;

/// The position that the projection publishes, for whoever waits or asks.
#[derive(Clone, Debug)]
pub struct Progress(watch::Receiver<u64>);

/// What `/readyz` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether queries see the log to within the accepted lag.
    pub ready: bool,
    /// `live`, `catching_up`, or `stopped` when the projection ended.
    pub status: &'static str,
    /// Position of the log's last event.
    pub head: u64,
    /// Position up to which the graph holds the log.
    pub projected: u64,
    /// How many positions the graph is behind.
    pub lag: u64,
    /// The accepted lag.
    pub max_lag: u64,
    /// `holder` or `follower`, of a graph that several servers share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The name of the server that writes it, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Readiness {
    pub(crate) fn of(&mut self, lease: &Lease) {
        (self.role, self.holder) = match &*lease.role().borrow() {
            Role::Holder(_) => (Some("holder"), Some(lease.name().to_owned())),
            Role::Follower { holder } => (Some("follower"), holder.clone()),
        };
    }
}

/// The projection ended before it reached a position.
#[derive(Debug, thiserror::Error)]
#[error("the projection stopped at position {at} before it reached {wanted}")]
pub struct ProjectionStopped {
    at: u64,
    wanted: u64,
}

impl Progress {
    /// Follows what the projection publishes.
    pub fn new(projected: watch::Receiver<u64>) -> Self {
        Self(projected)
    }

    /// Position up to which the graph holds the log.
    pub fn projected(&self) -> u64 {
        *self.0.borrow()
    }

    /// Returns once the graph holds the log up to `position`.
    pub async fn reached(&self, position: u64) -> Result<(), ProjectionStopped> {
        let mut projected = self.0.clone();
        match projected.wait_for(|at| *at >= position).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ProjectionStopped { at: self.projected(), wanted: position }),
        }
    }

    pub(crate) fn state(&self, log: &dyn EventLog, max_lag: u64) -> Readiness {
        let projected = self.projected();
        let (head, lag) = (log.head(), log.count_behind(projected));
        self.judge(projected, head, lag, max_lag)
    }

    fn judge(&self, projected: u64, head: u64, lag: u64, max_lag: u64) -> Readiness {
        let stopped = self.0.has_changed().is_err();
        let behind = lag > max_lag;
        let status = match (stopped, behind) {
            (true, _) => "stopped",
            (false, true) => "catching_up",
            (false, false) => "live",
        };
        let ready = !stopped && !behind;
        Readiness { ready, status, head, projected, lag, max_lag, role: None, holder: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_lag_and_the_projections_life() {
        let (publish, projected) = watch::channel(5);
        let progress = Progress::new(projected);
        assert!(progress.judge(5, 15, 10, 10).ready);
        let behind = progress.judge(5, 16, 11, 10);
        assert_eq!((behind.ready, behind.status, behind.lag), (false, "catching_up", 11));
        drop(publish);
        let stopped = progress.judge(5, 5, 0, 10);
        assert_eq!((stopped.ready, stopped.status), (false, "stopped"));
    }
}
