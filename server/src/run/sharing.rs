//! What a server has to do with the others that share its graph.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use events::log::EventLog;
use schema::{Decided, Lease, OpenError};
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::config::Config;
use crate::http::error::chain;
use crate::reactors;

/// The lease, and what is left with it.
pub(super) struct Sharing {
    pub(super) lease: Arc<Lease>,
    /// What the reactors of this server have decided last.
    pub(super) decided: Arc<watch::Sender<Decided>>,
}

impl Sharing {
    /// Asks for the lease and keeps asking for it or renewing it; `None` when nobody can share
    /// the graph.
    pub(super) async fn of(
        config: &Config,
        address: SocketAddr,
        tasks: &mut Tasks,
    ) -> Result<Option<Self>, OpenError> {
        let time = Duration::from_millis(config.storage.lease_ms);
        let url = config.storage.graph_url();
        let Some(lease) = Lease::of(&url, &name(address), time).await? else { return Ok(None) };
        let lease = Arc::new(lease);
        let keeping = lease.clone();
        tasks.spawn("the lease", async move { keeping.keep().await });
        Ok(Some(Self { lease, decided: Arc::default() }))
    }

    /// Nothing of this server writes any more: another one may begin.
    pub(super) async fn leave(&self, log: &dyn EventLog) {
        let tenure = self.lease.role().borrow().tenure();
        let Some(tenure) = tenure else { return };
        let decided = self.decided.borrow().clone();
        if let Err(error) = reactors::leave(&self.lease, tenure, log, decided).await {
            tracing::warn!(error = chain(&error), "the reactors' checkpoint was not written");
        }
        self.lease.release().await;
    }
}

/// By which people find this server: its machine, and where it listens.
fn name(address: SocketAddr) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = machine.trim();
    if machine.is_empty() { address.to_string() } else { format!("{machine} {address}") }
}
