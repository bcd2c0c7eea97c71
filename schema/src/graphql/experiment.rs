//! Chaos experiments and the faults they inject: the ground truth that the base learns from.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use serde_json::Value;

use super::component::Component;
use super::error::ApiResult;
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::page::{Nodes, Page, cost};
use super::provenance::Provenance;
use super::scalar::DateTime;
use super::vocabulary::{ClearedBy, ExperimentOutcome, SteadyStatePhase};
use crate::rows;

#[derive(Clone)]
pub struct Experiment(pub Arc<rows::Experiment>);

/// One run of a chaos experiment. A rerun is another one.
#[Object]
impl Experiment {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("experiment", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// What the run is called.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The steady-state hypothesis in words.
    async fn hypothesis(&self) -> Option<&str> {
        self.0.hypothesis.as_deref()
    }

    /// Words to find it by.
    async fn tags(&self) -> &[String] {
        &self.0.tags
    }

    /// When it was prepared.
    async fn planned_at(&self) -> Option<DateTime> {
        self.0.planned_at.map(DateTime)
    }

    /// When it began.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended; null while it runs.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }

    /// How it ended; null while it runs.
    async fn outcome(&self) -> Option<ExperimentOutcome> {
        self.0.outcome.map(Into::into)
    }

    /// Why it ended so, where the outcome alone does not say it.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Every measurement of its steady state, by time.
    async fn steady_states(&self) -> Vec<SteadyState> {
        self.0.steady_states.iter().map(Into::into).collect()
    }

    /// The faults it injected, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn faults(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Fault>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).faults_of(&self.0.id).await?;
        Ok(page.of(&rows, Fault))
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// One measurement of a steady state.
#[derive(SimpleObject)]
pub struct SteadyState {
    /// When in the run.
    pub phase: SteadyStatePhase,
    /// Whether every probe was within its tolerance.
    pub held: bool,
    /// The probes, in their order.
    pub probes: Vec<Probe>,
    /// When it was measured.
    pub at: DateTime,
    /// The event that recorded it.
    pub event: ID,
}

impl From<&rows::SteadyState> for SteadyState {
    fn from(row: &rows::SteadyState) -> Self {
        Self {
            phase: row.phase.into(),
            held: row.held,
            probes: row.probes.iter().map(Into::into).collect(),
            at: DateTime(row.at),
            event: row.event.into(),
        }
    }
}

/// One probe of a steady-state hypothesis.
#[derive(SimpleObject)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Whether the value was within the tolerance.
    pub held: bool,
    /// What was measured; null when the probe failed to measure.
    pub value: Option<f64>,
    /// The accepted values in words, with their unit.
    pub tolerance: String,
}

impl From<&events::catalogue::experiment::ProbeResult> for Probe {
    fn from(probe: &events::catalogue::experiment::ProbeResult) -> Self {
        Self {
            name: probe.name.as_str().to_owned(),
            held: probe.held,
            value: probe.value.map(|value| value.get()),
            tolerance: probe.tolerance.as_str().to_owned(),
        }
    }
}

#[derive(Clone)]
pub struct Fault(pub Arc<rows::Fault>);

/// One injection of a fault.
#[Object]
impl Fault {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("fault", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// What kind of fault: `latency`, `process_kill`, …
    async fn kind(&self) -> Option<&str> {
        self.0.kind.as_ref().map(|kind| kind.as_str())
    }

    /// The component at fault.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// The caller, when only its connections to the component are disturbed.
    async fn peer(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.peer.as_ref(), Loaders::component).await
    }

    /// The run it belongs to; null for a fault injected by hand.
    async fn experiment(&self, ctx: &Context<'_>) -> ApiResult<Option<Experiment>> {
        Loaders::of(ctx).optional(self.0.experiment.as_ref(), Loaders::experiment).await
    }

    /// What the driver was told, by name, with the unit in the name.
    async fn parameters(&self) -> Json<&BTreeMap<String, Value>> {
        Json(&self.0.parameters)
    }

    /// After this time the driver undoes the fault by itself, in milliseconds.
    async fn deadline_ms(&self) -> Option<f64> {
        self.0.deadline_ms
    }

    /// When it began to act.
    async fn injected_at(&self) -> Option<DateTime> {
        self.0.injected_at.map(DateTime)
    }

    /// When it ceased to act; null while it acts.
    async fn cleared_at(&self) -> Option<DateTime> {
        self.0.cleared_at.map(DateTime)
    }

    /// Who undid it.
    async fn cleared_by(&self) -> Option<ClearedBy> {
        self.0.cleared_by.map(Into::into)
    }

    /// What undid it, in the words of an operator: `restarted payments`.
    async fn action(&self) -> Option<&str> {
        self.0.action.as_deref()
    }

    /// Whether the driver saw that the fault is gone.
    async fn verified(&self) -> Option<bool> {
        self.0.verified
    }

    /// The incidents that it caused, as labels say, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn triggered(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Incident>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).incidents_triggered_by(&self.0.id).await?;
        Ok(page.of(&rows, Incident))
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}
