//! What runs, who breaks it on purpose, and what people planned, changed and wrote down.

use std::collections::BTreeMap;

use events::catalogue::experiment::{ClearedBy, ExperimentOutcome, ProbeResult, SteadyStatePhase};
use events::catalogue::incident::Severity;
use events::catalogue::model::{Indicator, ModelChoice};
use events::catalogue::topology::Criticality;
use events::{
    AlertId, ComponentName, EventId, ExperimentId, FaultId, FaultKind, MaintenanceId, ModelId,
    RunbookId, SloId, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use super::Provenance;

/// `component`: a part of the system that can fail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Component {
    /// Its name, the key.
    pub id: ComponentName,
    /// `service`, `database`, `client`, …
    #[serde(default)]
    pub kind: Option<String>,
    /// Who is called when it fails.
    #[serde(default)]
    pub owner: Option<String>,
    /// How much depends on it.
    #[serde(default)]
    pub criticality: Option<Criticality>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Anything else that was said of it.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// What saw it first.
    #[serde(default)]
    pub discovered_by: Option<String>,
    /// The version that is live.
    #[serde(default)]
    pub version: Option<String>,
    /// Earliest event time that speaks of it.
    #[serde(default)]
    pub first_seen: Option<Timestamp>,
    /// Latest event time that speaks of it.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `fault_kind`: a kind of fault that something speaks of.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FaultKindNode {
    /// The kind, the key.
    pub id: FaultKind,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `experiment`: one run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Experiment {
    /// The run, the key.
    pub id: ExperimentId,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The steady-state hypothesis in words.
    #[serde(default)]
    pub hypothesis: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it was prepared.
    #[serde(default)]
    pub planned_at: Option<Timestamp>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<ExperimentOutcome>,
    /// Why it ended so.
    #[serde(default)]
    pub reason: Option<String>,
    /// Every measurement of its steady state, by time.
    #[serde(default)]
    pub steady_states: Vec<SteadyState>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// One measurement of a steady state.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SteadyState {
    /// When in the run.
    pub phase: SteadyStatePhase,
    /// Whether the hypothesis held.
    pub held: bool,
    /// Its probes.
    pub probes: Vec<ProbeResult>,
    /// When it was measured.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
}

/// `fault`: one injection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Fault {
    /// The injection, the key.
    pub id: FaultId,
    /// What kind.
    #[serde(default)]
    pub kind: Option<FaultKind>,
    /// The component at fault.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// The caller whose link to the component alone is disturbed.
    #[serde(default)]
    pub peer: Option<ComponentName>,
    /// The run it belongs to.
    #[serde(default)]
    pub experiment: Option<ExperimentId>,
    /// Driver parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// When the driver undoes it by itself.
    #[serde(default)]
    pub deadline_ms: Option<f64>,
    /// When it began to act.
    #[serde(default)]
    pub injected_at: Option<Timestamp>,
    /// When it ceased to act.
    #[serde(default)]
    pub cleared_at: Option<Timestamp>,
    /// Who undid it.
    #[serde(default)]
    pub cleared_by: Option<ClearedBy>,
    /// What undid it.
    #[serde(default)]
    pub action: Option<String>,
    /// Whether the driver saw that it is gone.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What a change was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A version went live.
    Deployment,
    /// A setting changed.
    Configuration,
}

/// `change`: a deployment or a change of configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ChangeRow {
    /// The event, the key.
    pub id: EventId,
    /// What it was.
    pub kind: ChangeKind,
    /// Where.
    pub component: ComponentName,
    /// When.
    pub at: Timestamp,
    /// The version that went live, of a deployment.
    #[serde(default)]
    pub version: Option<String>,
    /// The version before.
    #[serde(default)]
    pub previous_version: Option<String>,
    /// What it brings, in words.
    #[serde(default)]
    pub description: Option<String>,
    /// The new settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// Whether an alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It does.
    Firing,
    /// It no longer does.
    Resolved,
}

/// `alert`: what another system raised.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Alert {
    /// Its fingerprint, the key.
    pub id: AlertId,
    /// The rule's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The component it speaks of.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// How bad.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// What it says.
    #[serde(default)]
    pub summary: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it fires.
    pub status: AlertStatus,
    /// When it last began to fire.
    #[serde(default)]
    pub fired_at: Option<Timestamp>,
    /// The event that said so.
    #[serde(default)]
    pub fired_by: Option<EventId>,
    /// When it last ceased to fire.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `maintenance`: a window of planned work.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Maintenance {
    /// The window, the key.
    pub id: MaintenanceId,
    /// What is worked on.
    #[serde(default)]
    pub components: Vec<ComponentName>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `runbook`: what people wrote down for the next time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Runbook {
    /// The runbook, the key.
    pub id: RunbookId,
    /// Its title; absent while something only refers to it.
    #[serde(default)]
    pub title: Option<String>,
    /// The kinds of fault it is for.
    #[serde(default)]
    pub fault_kinds: Vec<FaultKind>,
    /// The component it is for.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// The text, Markdown.
    #[serde(default)]
    pub text: Option<String>,
    /// When its newest text was published.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `model`: a trained version.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Model {
    /// The model version, the key.
    pub id: ModelId,
    /// The method that uses it.
    #[serde(default)]
    pub method: Option<String>,
    /// Its weights.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// First position of the training data.
    #[serde(default)]
    pub data_from_position: Option<u64>,
    /// Last position of the training data.
    #[serde(default)]
    pub data_to_position: Option<u64>,
    /// How it does on held-out data.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// How the model before it does on them.
    #[serde(default)]
    pub metrics_before: BTreeMap<String, f64>,
    /// Why it is not used unless somebody selects it.
    #[serde(default)]
    pub rejected: Option<String>,
    /// When it was trained.
    #[serde(default)]
    pub trained_at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `model_selection`: which model answers from then on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ModelSelection {
    /// The event that recorded it, the key.
    pub id: EventId,
    /// Which.
    pub choice: ModelChoice,
    /// The model that is pinned.
    #[serde(default)]
    pub model: Option<ModelId>,
    /// Who decided.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `slo`: an objective and how its budget stands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Slo {
    /// The objective, the key.
    pub id: SloId,
    /// The component it holds for.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// What it counts.
    #[serde(default)]
    pub indicator: Option<Indicator>,
    /// The limit of a latency objective.
    #[serde(default)]
    pub threshold_ms: Option<f64>,
    /// The share that must be good.
    #[serde(default)]
    pub objective: Option<f64>,
    /// Over which rolling time.
    #[serde(default)]
    pub window_ms: Option<f64>,
    /// When it was last defined.
    #[serde(default)]
    pub defined_at: Option<Timestamp>,
    /// Last measured burn rate.
    #[serde(default)]
    pub burn_rate: Option<f64>,
    /// Over which time it was measured.
    #[serde(default)]
    pub burn_window_ms: Option<f64>,
    /// Share of the budget that is left.
    #[serde(default)]
    pub remaining: Option<f64>,
    /// When it was measured.
    #[serde(default)]
    pub burned_at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
