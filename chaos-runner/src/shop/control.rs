//! The control API of a running shop: HTTP with JSON on loopback, and the client for it.
//!
//! | route | answer |
//! |---|---|
//! | `GET /status` | [`ShopStatus`] |
//! | `GET /topology` | [`Topology`] |
//! | `GET /signals?windows=N` | the newest `N` [`WindowSignals`], oldest first |
//! | `GET /load`, `PUT /load` | the [`LoadShape`] of the users |
//! | `GET /faults` | the active [`InjectedFault`]s |
//! | `POST /faults` with a [`FaultSpec`] | [`InjectedFault`]; it acts when the answer comes |
//! | `GET /faults/{id}` | [`FaultState`] |
//! | `DELETE /faults/{id}?by=rollback` | [`ClearedFault`]; the same again for a fault that is gone |
//!
//! An error is answered with a status of 4xx or 5xx and a [`Refusal`].

mod client;
pub(crate) mod routes;

use std::collections::BTreeMap;

use events::catalogue::experiment::ClearedBy;
use events::catalogue::telemetry::{MetricSnapshotRecorded, TraceEdgesRecorded, Window};
use events::{ComponentName, FaultId, FaultKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use client::{ControlClient, ControlError};

/// A fault to inject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Its id; made up when absent. An id that is known already is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultId>,
    /// One of [`events::catalogue::fault_kind::LOCAL`].
    pub kind: FaultKind,
    /// The component at fault.
    pub component: ComponentName,
    /// The caller, when only its connections to the component are to be disturbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<ComponentName>,
    /// The driver's arguments by name; what is absent has the default of
    /// [`crate::shop::faults`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Value>,
    /// The shop undoes the fault after this time by itself. At most, and when absent, ten
    /// minutes: no fault stays for ever because its owner died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// A fault that acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectedFault {
    /// The injection.
    pub fault: FaultId,
    /// What kind of fault.
    pub kind: FaultKind,
    /// The component at fault.
    pub component: ComponentName,
    /// The caller, when only its connections are disturbed.
    pub peer: Option<ComponentName>,
    /// Every argument that acts, defaults included, with the unit in the name.
    pub parameters: BTreeMap<String, Value>,
    /// When it began to act.
    pub injected_at: Timestamp,
    /// The shop undoes it after this time by itself.
    pub duration_ms: u64,
    /// What it does, in words: `250 ms of delay on every call to payments`.
    pub description: String,
}

/// A fault that no longer acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClearedFault {
    /// The injection.
    pub fault: FaultId,
    /// When it was undone.
    pub cleared_at: Timestamp,
    /// Who undid it.
    pub cleared_by: ClearedBy,
    /// What undid it, in the words of an operator: `restarted payments at version 1.0.0`.
    pub action: String,
    /// Whether the driver saw that the fault is gone.
    pub verified: bool,
}

/// A fault that the shop knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FaultState {
    /// It acts.
    Active(InjectedFault),
    /// It is gone.
    Cleared(ClearedFault),
}

/// How many requests the users make. Arrivals follow the schedule and wait for no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum LoadShape {
    /// The same rate all the time.
    Steady {
        /// Requests a second.
        rps: f64,
    },
    /// From one rate to another in a straight line; then the second rate.
    Ramp {
        /// Requests a second at the begin.
        from_rps: f64,
        /// Requests a second at the end.
        to_rps: f64,
        /// How long it takes.
        over_ms: u64,
    },
    /// A base rate with a higher one for a part of every period.
    Burst {
        /// Requests a second between bursts.
        base_rps: f64,
        /// Requests a second in a burst.
        burst_rps: f64,
        /// From burst to burst.
        every_ms: u64,
        /// Length of a burst.
        burst_ms: u64,
    },
    /// A rate beyond what the shop can serve, of the cheapest request there is.
    Flood {
        /// Requests a second.
        rps: f64,
    },
}

/// The golden signals of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSignals {
    /// When.
    pub window: Window,
    /// Every component but the users.
    pub components: Vec<MetricSnapshotRecorded>,
    /// Every component that calls another, the users included.
    pub callers: Vec<TraceEdgesRecorded>,
}

impl WindowSignals {
    /// The snapshot of a component.
    pub fn component(&self, name: &str) -> Option<&MetricSnapshotRecorded> {
        self.components.iter().find(|snapshot| snapshot.component.as_str() == name)
    }

    /// What `caller` saw of `callee`.
    pub fn edge(
        &self,
        caller: &str,
        callee: &str,
    ) -> Option<&events::catalogue::telemetry::CallStatistics> {
        let calls = self.callers.iter().find(|calls| calls.caller.as_str() == caller)?;
        calls.edges.iter().find(|edge| edge.callee.as_str() == callee)
    }
}

/// How the shop is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShopStatus {
    /// Every component with a process.
    pub components: Vec<ComponentState>,
    /// Length of a telemetry window.
    pub window_ms: u64,
    /// The load of the users.
    pub load: LoadShape,
    /// Number of active faults.
    pub active_faults: usize,
}

/// How one component is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentState {
    /// The component.
    pub component: ComponentName,
    /// The version that is deployed.
    pub version: String,
    /// Its process; absent while none runs.
    pub pid: Option<u32>,
}

/// What the shop is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Every component, the users included.
    pub components: Vec<TopologyComponent>,
    /// Who calls whom.
    pub edges: Vec<TopologyEdge>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopologyComponent {
    /// Its name.
    pub name: ComponentName,
    /// `service`, `database` or `client`.
    pub kind: String,
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopologyEdge {
    /// Who calls.
    pub caller: ComponentName,
    /// Who is called.
    pub callee: ComponentName,
    /// `http` or `postgresql`.
    pub protocol: String,
}

/// Why a request to the control API was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable name: `unknown_fault_kind`, `unknown_component`, `invalid_argument`,
    /// `unknown_fault`, `fault_conflict`, `driver_failed`, …
    pub code: String,
    /// What is wrong and what would be right.
    pub message: String,
}
