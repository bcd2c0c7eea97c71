//! From the description of a fault to the driver that makes it act.

use std::collections::BTreeMap;

use events::catalogue::fault_kind as kind;
use events::{FaultId, FaultKind};
use serde_json::Value;

use super::FaultError;
use super::arguments::Arguments;
use super::bad_version::BadVersion;
use super::flood::Flood;
use super::network::Network;
use super::pool::PoolHold;
use super::process::{Killed, Paused, Starved};
use crate::shop::control::FaultSpec;
use crate::shop::premises::Premises;
use crate::shop::topology::{self, Component, Kind};

/// A fault that is checked and does not act yet.
pub(super) struct Plan {
    /// Every argument that will act.
    pub(super) parameters: BTreeMap<String, Value>,
    /// What it will do, in words.
    pub(super) description: String,
    /// Whether it must be the only such fault of its component.
    pub(super) exclusive: bool,
    component: &'static Component,
    act: Act,
}

enum Act {
    Network(Network),
    Kill,
    Pause,
    Starve(Starved),
    Deploy(BadVersion),
    HoldPool,
    Flood(Flood),
}

/// A fault that acts.
pub(super) enum Driver {
    Network(Network),
    Killed(Killed),
    Paused(Paused),
    Starved(Starved),
    Deployed(BadVersion),
    PoolHeld(PoolHold),
    Flooding(Flood),
}

/// How a fault was undone.
pub(super) struct Undone {
    /// What undid it, in the words of an operator.
    pub(super) action: String,
    /// Whether it was seen to be gone.
    pub(super) verified: bool,
}

/// What acts on a component's process or version has it for itself: two such faults would undo
/// each other.
pub(super) fn is_exclusive(fault: &FaultKind) -> bool {
    matches!(
        fault.as_str(),
        kind::PROCESS_KILL
            | kind::PROCESS_PAUSE
            | kind::CPU_STARVATION
            | kind::MEMORY_LEAK
            | kind::ERROR_VERSION
            | kind::SLOW_VERSION
            | kind::POOL_EXHAUSTION
    )
}

/// Checks a fault against what the shop is made of; no shop needs to run for it.
pub(super) fn plan(spec: &FaultSpec) -> Result<Plan, FaultError> {
    if !kind::LOCAL.contains(&spec.kind.as_str()) {
        return Err(FaultError::UnknownKind { kind: spec.kind.to_string(), known: kind::LOCAL });
    }
    let component = topology::component(spec.component.as_str())
        .ok_or_else(|| FaultError::UnknownComponent(spec.component.to_string()))?;
    check_place(spec, component)?;
    let mut arguments = Arguments::new(&spec.arguments);
    let name = component.name;
    let (act, description) = match spec.kind.as_str() {
        kind::PROCESS_KILL => (Act::Kill, format!("{name} killed")),
        kind::PROCESS_PAUSE => (Act::Pause, format!("{name} stopped")),
        kind::CPU_STARVATION => {
            let starved = Starved::plan(component, &mut arguments)?;
            let description = starved.description();
            (Act::Starve(starved), description)
        }
        kind::MEMORY_LEAK | kind::ERROR_VERSION | kind::SLOW_VERSION => {
            let version = BadVersion::plan(spec.kind.as_str(), component, &mut arguments)?;
            let description = version.description();
            (Act::Deploy(version), description)
        }
        kind::POOL_EXHAUSTION => (Act::HoldPool, format!("all pooled connections of {name} held")),
        kind::FLOOD => {
            let flood = Flood::plan(spec, component, &mut arguments)?;
            let description = flood.description();
            (Act::Flood(flood), description)
        }
        _ => {
            let network = Network::plan(spec, component, &mut arguments)?;
            let description = network.description();
            (Act::Network(network), description)
        }
    };
    let exclusive = is_exclusive(&spec.kind);
    Ok(Plan { parameters: arguments.finish()?, description, exclusive, component, act })
}

fn check_place(spec: &FaultSpec, component: &Component) -> Result<(), FaultError> {
    let not_applicable = |reason| {
        Err(FaultError::NotApplicable {
            kind: spec.kind.to_string(),
            component: component.name.to_owned(),
            reason,
        })
    };
    let fault = spec.kind.as_str();
    match (fault, component.kind) {
        (_, Kind::Client) => return not_applicable("it stands for people and has no process"),
        (
            kind::HTTP_ERROR
            | kind::MEMORY_LEAK
            | kind::ERROR_VERSION
            | kind::SLOW_VERSION
            | kind::FLOOD,
            Kind::Database,
        ) => return not_applicable("it is no HTTP service"),
        (kind::DATABASE_CONNECTION_FAILURE, Kind::Service) => {
            return not_applicable("it is no database");
        }
        (kind::POOL_EXHAUSTION, _) if component.name != topology::ORDERS => {
            return not_applicable("only orders has a connection pool");
        }
        _ => {}
    }
    let Some(peer) = &spec.peer else { return Ok(()) };
    let on_link = fault == kind::FLOOD || Network::KINDS.contains(&fault);
    if !on_link {
        return not_applicable("the kind acts on the whole component, so it takes no peer");
    }
    if topology::inbound(component.name).any(|edge| edge.caller == peer.as_str()) {
        return Ok(());
    }
    Err(FaultError::InvalidArgument {
        name: "peer".to_owned(),
        message: format!("{peer} does not call {}", component.name),
    })
}

impl Plan {
    /// Makes the fault act. When it fails, nothing of it acts.
    pub(super) async fn act(
        self,
        fault: &FaultId,
        premises: &Premises,
    ) -> Result<Driver, FaultError> {
        let component = self.component;
        Ok(match self.act {
            Act::Network(network) => Driver::Network(network.act(fault, premises)),
            Act::Kill => Driver::Killed(Killed::act(component, premises).await?),
            Act::Pause => Driver::Paused(Paused::act(component, premises)?),
            Act::Starve(starved) => Driver::Starved(starved.act(premises)?),
            Act::Deploy(version) => Driver::Deployed(version.act(premises).await?),
            Act::HoldPool => Driver::PoolHeld(PoolHold::act(component, premises).await?),
            Act::Flood(flood) => Driver::Flooding(flood.act(premises)),
        })
    }
}

impl Driver {
    /// Undoes the fault. It may be called again when it failed.
    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        match self {
            Self::Network(network) => Ok(network.undo(premises).await),
            Self::Killed(killed) => killed.undo(premises).await,
            Self::Paused(paused) => paused.undo(premises).await,
            Self::Starved(starved) => starved.undo(premises).await,
            Self::Deployed(version) => version.undo(premises).await,
            Self::PoolHeld(hold) => hold.undo(premises).await,
            Self::Flooding(flood) => Ok(flood.undo(premises).await),
        }
    }
}
