//! Component × kind of fault: never exercised, stale, or exercised.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use diagnosis::verdict::verdict;
use events::catalogue::experiment::ExperimentOutcome as Outcome;
use events::{ComponentName, ExperimentId, FaultKind, IncidentId, LabelId, Timestamp};
use futures::future::try_join_all;
use serde::Deserialize;

use super::component::Component;
use super::error::{ApiError, ApiResult};
use super::experiment::Experiment;
use super::id::key;
use super::list::List;
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page};
use super::scalar::DateTime;
use super::view::View;
use super::vocabulary::ExperimentOutcome;
use crate::coverage::{self, Cell, Known, Real, State};
use crate::rows;

/// Whether a kind of fault was exercised on a component.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "State")]
pub enum CoverageState {
    /// No experiment ever injected it there.
    Never,
    /// The last time is longer ago than `staleAfterDays`.
    Stale,
    /// It was, not too long ago.
    Exercised,
}

/// Which cells. Every condition that is given must hold.
#[derive(InputObject, Default)]
pub struct CoverageFilter {
    /// Of this component.
    pub component: Option<ID>,
    /// Of this kind of fault, such as `latency`.
    pub fault_kind: Option<String>,
    /// In this state.
    pub state: Option<CoverageState>,
}

pub struct CoverageCell {
    cell: Cell,
    state: State,
    component: Component,
}

/// A component × a kind of fault.
#[Object]
impl CoverageCell {
    /// The component.
    async fn component(&self) -> &Component {
        &self.component
    }

    /// The kind of fault.
    async fn fault_kind(&self) -> &str {
        self.cell.fault_kind.as_str()
    }

    /// Whether it was exercised.
    async fn state(&self) -> CoverageState {
        self.state.into()
    }

    /// How the last run ended that injected it; null while it runs, and for a fault injected by
    /// hand.
    async fn last_verdict(&self) -> Option<ExperimentOutcome> {
        self.cell.last_verdict.map(Into::into)
    }

    /// The last run that injected it; null for a fault injected by hand.
    async fn last_run(&self, ctx: &Context<'_>) -> ApiResult<Option<Experiment>> {
        Loaders::of(ctx).optional(self.cell.last_run.as_ref(), Loaders::experiment).await
    }

    /// When it was last injected.
    async fn last_exercised_at(&self) -> Option<DateTime> {
        self.cell.last_exercised_at.map(DateTime)
    }

    /// In how many runs it was injected; by hand, each injection is one.
    async fn runs(&self) -> i32 {
        i32::try_from(self.cell.runs).unwrap_or(i32::MAX)
    }

    /// How many incidents had this component as root cause and this kind of fault, by the labels
    /// that count, without an injected fault behind them.
    async fn real_incidents(&self) -> i32 {
        i32::try_from(self.cell.real_incidents).unwrap_or(i32::MAX)
    }

    /// When the last of them was opened.
    async fn last_real_incident_at(&self) -> Option<DateTime> {
        self.cell.last_real_incident_at.map(DateTime)
    }
}

#[derive(Deserialize)]
struct KindRow {
    id: FaultKind,
}

#[derive(Deserialize)]
struct OutcomeRow {
    id: ExperimentId,
    outcome: Option<Outcome>,
}

const MAX_DAYS: i32 = 36_500;

/// A page of the cells for which `filter` holds.
pub async fn cells(
    ctx: &Context<'_>,
    view: &Arc<View>,
    filter: CoverageFilter,
    stale_after_days: i32,
    page: &Page,
) -> ApiResult<Nodes<CoverageCell>> {
    if !(0..=MAX_DAYS).contains(&stale_after_days) {
        let message = format!("expected 0 to {MAX_DAYS}, got {stale_after_days}");
        return Err(ApiError::invalid("staleAfterDays", message));
    }
    let wanted: Option<ComponentName> =
        filter.component.as_ref().map(|id| key("component", "filter.component", id)).transpose()?;
    let stale_before = coverage::days_before(moment(view).await?, stale_after_days.unsigned_abs());
    let known = known(ctx, view).await?;
    let components: BTreeMap<_, _> =
        known.components.iter().map(|row| (row.id.clone(), Arc::new(row.clone()))).collect();
    let cells = coverage::cells(&known)
        .into_iter()
        .filter(|cell| wanted.as_ref().is_none_or(|wanted| cell.component == *wanted))
        .filter(|cell| {
            filter.fault_kind.as_ref().is_none_or(|kind| cell.fault_kind.as_str() == kind)
        })
        .map(|cell| (cell.state(stale_before), cell))
        .filter(|(state, _)| filter.state.is_none_or(|wanted| State::from(wanted) == *state))
        .map(Arc::new)
        .collect::<Vec<_>>();
    Ok(page.cut(
        &cells,
        false,
        |(_, cell)| place(cell),
        |found| {
            let (state, cell) = (*found).clone();
            let component = Component(components[&cell.component].clone());
            CoverageCell { cell, state, component }
        },
    ))
}

/// Names hold no control characters, so that what is joined by one is ordered by component first.
fn place(cell: &Cell) -> Cursor {
    Cursor::named(format!("{}\t{}", cell.component, cell.fault_kind))
}

/// The moment from which staleness is told: now, or when the log recorded the position that is
/// asked for, so that the answer stays the same.
async fn moment(view: &View) -> ApiResult<Timestamp> {
    let base = view.base();
    let Some(position) = view.position() else { return Ok((base.now)()) };
    let before = position.saturating_sub(1);
    let read = base.log.read_all(before, 1).await.map_err(ApiError::internal)?;
    let recorded = read.first().filter(|_| position > 0);
    Ok(recorded.map_or(Timestamp::MIN, |recorded| recorded.recorded_at))
}

async fn known(ctx: &Context<'_>, view: &Arc<View>) -> ApiResult<Known> {
    let (components, kinds, faults, outcomes, real) = futures::try_join!(
        List::by_key("component").all::<rows::Component>(view, "*"),
        List::by_key("fault_kind").all::<KindRow>(view, "id"),
        List::by_key("fault").all::<rows::Fault>(view, "*"),
        List::by_key("experiment").when("outcome != NONE").all::<OutcomeRow>(view, "id, outcome"),
        real_incidents(ctx, view),
    )?;
    let outcomes = outcomes.into_iter().filter_map(|row| Some((row.id, row.outcome?)));
    Ok(Known {
        components,
        fault_kinds: kinds.into_iter().map(|row| row.id).collect(),
        faults,
        outcomes: outcomes.collect(),
        real,
    })
}

/// The incidents that labels give a cell and that no experiment caused.
async fn real_incidents(ctx: &Context<'_>, view: &Arc<View>) -> ApiResult<Vec<Real>> {
    let labels: Vec<rows::Label> = List::by_key("label")
        .when("claim IN ['root_cause', 'fault_kind', 'contributing_factor', 'false_positive']")
        .all(view, "*")
        .await?;
    let mut by_incident: BTreeMap<IncidentId, Vec<rows::Label>> = BTreeMap::new();
    for label in labels {
        by_incident.entry(label.incident.clone()).or_default().push(label);
    }
    let mut found = Vec::new();
    for (incident, labels) in by_incident {
        let verdict = verdict(labels.iter().filter_map(rows::Label::opinion));
        let from_fault =
            |id: &LabelId| labels.iter().any(|label| label.id == *id && label.fault.is_some());
        if let Some((component, fault_kind)) = coverage::real_cell(&verdict, from_fault) {
            found.push((incident, component, fault_kind));
        }
    }
    let loaders = Loaders::of(ctx);
    let opened = found.into_iter().map(|(incident, component, fault_kind)| {
        let loaders = &loaders;
        async move {
            let row = loaders.incident(&incident).await?;
            let opened_at = row.and_then(|row| row.0.opened_at);
            Ok::<_, ApiError>(Real { incident, component, fault_kind, opened_at })
        }
    });
    try_join_all(opened).await
}
