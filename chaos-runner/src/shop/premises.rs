//! The running parts of a shop that faults act on: its processes and its proxies.

use std::io;
use std::path::Path;
use std::sync::Arc;

use events::catalogue::change::DeploymentRecorded;
use events::value::{Line, Text};
use events::{ComponentName, Timestamp};

use super::ShopOptions;
use super::observation::Outlet;
use super::otlp::Delivery;
use super::proxy::Proxy;
use super::service::FlawArgs;
use super::supervision::{Deployment, ProcessError, Spawner, Supervised};
use super::topology::{self, COMPONENTS, Component, EDGES, FIRST_VERSION, Kind};

/// Processes and proxies, each edge's proxy in front of its callee.
pub(crate) struct Premises {
    pub(crate) processes: Arc<[Supervised]>,
    pub(crate) proxies: Arc<[Proxy]>,
    pub(crate) outlet: Outlet,
    pub(crate) seed: u64,
}

impl Premises {
    /// Opens the proxies, so that every process can be told where its callees will be, and
    /// prepares the processes. None runs yet.
    pub(crate) async fn prepare(
        options: &ShopOptions,
        data: &Path,
        outlet: Outlet,
    ) -> io::Result<Self> {
        let spawner = Arc::new(Spawner::start()?);
        let mut processes = Vec::new();
        let mut proxies: Vec<Proxy> = Vec::new();
        // Callees come before their callers in the list, so their proxies exist already.
        for component in COMPONENTS.iter().filter(|component| component.has_process()) {
            let deployment =
                Deployment { version: FIRST_VERSION.to_owned(), flaw: FlawArgs::default() };
            let process = Supervised::new(
                component,
                options.program.clone(),
                arguments(component, &proxies, data),
                options.receiver.clone(),
                Arc::clone(&spawner),
                deployment,
            );
            for edge in topology::inbound(component.name) {
                let place = EDGES.iter().position(|other| *other == edge).unwrap_or_default();
                let seed = options.seed.wrapping_mul(31).wrapping_add(place as u64);
                proxies.push(Proxy::open(edge, process.target(), seed).await?);
            }
            processes.push(process);
        }
        let (processes, proxies) = (processes.into(), proxies.into());
        Ok(Self { processes, proxies, outlet, seed: options.seed })
    }

    /// Starts all processes and records their versions.
    pub(crate) async fn start(&self) -> Result<(), ProcessError> {
        let started = self.processes.iter().map(Supervised::start);
        let versions = futures::future::try_join_all(started).await?;
        for (process, version) in self.processes.iter().zip(versions) {
            self.record_deployment(process.component(), &version, None, "the first release");
        }
        Ok(())
    }

    /// Ends all processes; returns when they are gone, with what became of their telemetry.
    pub(crate) async fn stop(&self) -> Delivery {
        let stopped = futures::future::join_all(self.processes.iter().map(Supervised::stop)).await;
        let mut all = Delivery::default();
        stopped.into_iter().for_each(|one| all.merge(one));
        all
    }

    /// The process of a component; `None` for one that has none.
    pub(crate) fn process(&self, component: &str) -> Option<&Supervised> {
        self.processes.iter().find(|process| process.component().name == component)
    }

    /// The proxies in front of a component, only that of `peer` when one is named.
    pub(crate) fn inbound<'a>(
        &'a self,
        component: &'a str,
        peer: Option<&'a ComponentName>,
    ) -> impl Iterator<Item = &'a Proxy> {
        self.proxies.iter().filter(move |proxy| {
            proxy.edge().callee == component
                && peer.is_none_or(|peer| proxy.edge().caller == peer.as_str())
        })
    }

    /// Puts a version in place of the running one and records it.
    pub(crate) async fn deploy(
        &self,
        process: &Supervised,
        deployment: Deployment,
        description: &str,
    ) -> Result<Deployment, ProcessError> {
        let version = deployment.version.clone();
        let before = process.deploy(deployment).await?;
        let component = process.component();
        self.record_deployment(component, &version, Some(&before.version), description);
        Ok(before)
    }

    fn record_deployment(
        &self,
        component: &Component,
        version: &str,
        previous: Option<&str>,
        description: &str,
    ) {
        let recorded = DeploymentRecorded {
            component: component.id(),
            version: Line::clipped(version),
            previous_version: previous.map(Line::clipped),
            description: Some(Text::clipped(description)),
        };
        self.outlet.observed("/shop", Timestamp::now(), recorded);
    }
}

/// What a component's subcommand needs beside what every process is told.
fn arguments(component: &Component, proxies: &[Proxy], data: &Path) -> Vec<String> {
    if component.kind == Kind::Database {
        return vec!["--file".to_owned(), data.join("shop.sqlite").display().to_string()];
    }
    let outbound = proxies.iter().filter(|proxy| proxy.edge().caller == component.name);
    outbound
        .map(|proxy| format!("--upstream={}={}", proxy.edge().callee, proxy.address()))
        .collect()
}
