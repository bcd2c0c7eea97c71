//! A small web shop to break: six services and a database, each a process of its own, with a
//! proxy on every connection between them that observes it and can disturb it, and synthetic
//! users in front.
//!
//! [`Shop::start`] runs all of it below one supervising process. Nothing outlives that process:
//! children are killed by the kernel when it dies, however it dies.

pub mod child;
pub mod control;
pub mod database;
pub mod faults;
mod folder;
mod load;
mod observation;
pub mod otlp;
mod premises;
mod proxy;
pub mod service;
pub mod supervision;
pub mod topology;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use events::catalogue::experiment::ClearedBy;
use events::catalogue::topology::{ComponentDescribed, ComponentDiscovered, DependencyObserved};
use events::value::{Line, Text};
use events::{Event, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use control::routes::{self, Desk};
use control::{ClearedFault, LoadShape};
use faults::Faults;
use load::{Demand, Source};
use observation::{Observer, Outlet, Signals};
use otlp::{Calls, Delivery, Identity, Receiver, Telemetry};
use premises::Premises;
use supervision::ProcessError;
use topology::{COMPONENTS, EDGES, GATEWAY, USERS, component_name};

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
    /// Where the processes and the users send OpenTelemetry; nowhere by default.
    pub receiver: Option<Receiver>,
    /// Whether what the proxies and the supervisor observe is sent as events: topology, windows
    /// and deployments. A server that derives the same from the shop's OpenTelemetry would count
    /// it twice.
    pub observations: bool,
}

impl Default for ShopOptions {
    fn default() -> Self {
        Self {
            program: PathBuf::from("chaos-runner"),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            window: Duration::from_secs(10),
            seed: 1,
            rate_per_second: 40.0,
            receiver: None,
            observations: true,
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
    /// What all processes need could not be had: a folder, a thread, a socket for a proxy.
    #[error("could not prepare the shop")]
    Prepare(#[source] std::io::Error),
    /// The environment configures OpenTelemetry in a way that it cannot be.
    #[error("could not prepare OpenTelemetry")]
    Telemetry(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A process did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// How a shop ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// The faults that were active, undone.
    pub cleared: Vec<ClearedFault>,
    /// What became of the telemetry; `None` without a receiver.
    pub delivery: Option<Delivery>,
}

/// A running shop. Dropping it kills its processes; [`Shop::stop`] undoes faults first.
pub struct Shop {
    control: SocketAddr,
    premises: Arc<Premises>,
    faults: Arc<Faults>,
    telemetry: Telemetry,
    running: JoinSet<()>,
    _data: tempfile::TempDir,
}

impl Shop {
    /// Starts all components, waits until each answers, then lets the users in. Topology,
    /// deployments and telemetry are sent to `events`; while nobody takes them, the newest are
    /// dropped rather than the shop stopped.
    pub async fn start(
        options: ShopOptions,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { address: options.control, source };
        let listener = TcpListener::bind(options.control).await.map_err(listen)?;
        let control = listener.local_addr().map_err(listen)?;
        let data = folder::make().map_err(StartError::Prepare)?;
        let outlet = Outlet::new(events, options.observations);
        record_topology(&outlet);
        let premises = Premises::prepare(&options, data.path(), outlet.clone()).await;
        let premises = Arc::new(premises.map_err(StartError::Prepare)?);
        premises.start().await?;

        let faults = Faults::new(Arc::clone(&premises));
        let signals = Arc::new(Signals::default());
        let door = premises.inbound(GATEWAY, None).next();
        let door = door.expect("users call the gateway through a proxy").address();
        let identity = Identity { component: USERS, version: env!("CARGO_PKG_VERSION") };
        let telemetry = Telemetry::start(options.receiver.as_ref(), &identity)?;
        let calls = Calls::new(&telemetry.instruments(), GATEWAY, door);
        let shape = LoadShape::Steady { rps: options.rate_per_second };
        let users = Source::start(door, calls, Demand::Shopping, shape, options.seed);
        let users = Arc::new(users);
        let mut running = JoinSet::new();
        let observer = Observer {
            window: options.window,
            proxies: Arc::clone(&premises.proxies),
            processes: Arc::clone(&premises.processes),
            outlet,
            signals: Arc::clone(&signals),
        };
        running.spawn(observer.run());
        let desk = Desk {
            premises: Arc::clone(&premises),
            faults: Arc::clone(&faults),
            users,
            signals,
            window: options.window,
        };
        running.spawn(async move {
            if let Err(error) = axum::serve(listener, routes::router(desk)).await {
                tracing::error!(%error, "the control API ended");
            }
        });
        Ok(Self { control, premises, faults, telemetry, running, _data: data })
    }

    /// Where the control API answers, such as `http://127.0.0.1:9000`.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Undoes every fault and ends every process; returns when all are gone.
    pub async fn stop(mut self) -> Closing {
        let cleared = self.faults.clear_all(ClearedBy::Interrupt).await;
        self.running.shutdown().await;
        let mut all = self.premises.stop().await;
        let delivery = self.telemetry.end().await.map(|users| {
            all.merge(users);
            all
        });
        Closing { cleared, delivery }
    }
}

fn record_topology(outlet: &Outlet) {
    const SEEN_BY: &str = "/shop/proxy";
    let now = Timestamp::now();
    for component in &COMPONENTS {
        let discovered = ComponentDiscovered {
            component: component.id(),
            discovered_by: Line::clipped(SEEN_BY),
        };
        outlet.observed(SEEN_BY, now, discovered);
        let described = ComponentDescribed {
            component: component.id(),
            kind: Some(Line::clipped(component.kind.as_str())),
            owner: None,
            criticality: Some(component.criticality),
            description: Some(Text::clipped(component.description)),
            attributes: Default::default(),
        };
        outlet.send(SEEN_BY, now, described);
    }
    for edge in EDGES {
        let observed = DependencyObserved {
            caller: component_name(edge.caller),
            callee: component_name(edge.callee),
            protocol: Some(Line::clipped(edge.protocol())),
        };
        outlet.observed(SEEN_BY, now, observed);
    }
}
