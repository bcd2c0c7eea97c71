//! How the system got over what its components caused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_graphql::{Context, SimpleObject};
use diagnosis::topology;
use events::{ComponentName, FaultId, Timestamp};
use futures::future::try_join_all;

use super::component::Component;
use super::critical::{INCIDENTS, caused_by, count};
use super::error::{ApiError, ApiResult};
use super::list::List;
use super::load::Loaders;
use super::page::Page;
use super::view::View;
use crate::rows;

/// How long something took, over several incidents.
#[derive(SimpleObject)]
pub struct Durations {
    /// How many incidents it is known of.
    pub count: i32,
    /// Half of them took at most so many milliseconds; null without any.
    pub p50_ms: Option<f64>,
    /// 90 % of them took at most so many milliseconds; null without any.
    pub p90_ms: Option<f64>,
}

impl Durations {
    /// By nearest rank: each answer is one that was measured.
    pub fn of(mut ms: Vec<i64>) -> Self {
        ms.sort_unstable();
        let rank = |share: f64| {
            let at = (share * ms.len() as f64).ceil() as usize;
            ms.get(at.saturating_sub(1)).map(|ms| *ms as f64)
        };
        Self { count: count(ms.len()), p50_ms: rank(0.5), p90_ms: rank(0.9) }
    }
}

/// Something that undid faults or incidents.
#[derive(SimpleObject)]
pub struct RecoveryAction {
    /// What was done, in the words of an operator.
    pub action: String,
    /// How often.
    pub count: i32,
}

/// How the system got over what a component caused: its newest 200 incidents by the labels that
/// count, and its newest 200 injected faults.
#[derive(SimpleObject)]
pub struct Recovery {
    /// The component.
    pub component: Component,
    /// How many incidents are looked at.
    pub incidents: i32,
    /// How many injected faults are looked at.
    pub faults: i32,
    /// From the injection of a fault to the opening of the incident that it caused. Of other
    /// incidents nobody knows when they began.
    pub time_to_detect: Durations,
    /// From the opening to the first thing that was done, or to when users no longer noticed.
    pub time_to_mitigate: Durations,
    /// From the opening to the end.
    pub time_to_resolve: Durations,
    /// How long injected faults acted.
    pub fault_durations: Durations,
    /// What undid them, the most frequent first, at most 20.
    pub actions: Vec<RecoveryAction>,
}

/// How the system got over what `name` caused.
pub async fn recovery(
    ctx: &Context<'_>,
    view: &Arc<View>,
    name: ComponentName,
) -> ApiResult<Recovery> {
    let newest = Page { first: INCIDENTS, after: None };
    let injected = List::newest("fault", "injected_at").when("injected_at != NONE").filter(
        "component = $component",
        "component",
        Some(name.as_str()),
    );
    let loaders = Loaders::of(ctx);
    let (component, incidents, faults) = futures::try_join!(
        loaders.component(&name),
        caused_by(ctx, view, &name),
        injected.rows::<rows::Fault>(view, &newest),
    )?;
    let component =
        component.ok_or_else(|| ApiError::not_found("component", "component", &name))?;
    let told = incidents.iter().map(|incident| {
        let loaders = &loaders;
        async move {
            futures::try_join!(
                loaders.mitigations_of(&incident.id),
                loaders.faults_behind(&incident.id),
            )
        }
    });
    let mut times = Times::default();
    for (incident, (mitigations, behind)) in incidents.iter().zip(try_join_all(told).await?) {
        times.add(incident, &mitigations, &behind);
    }
    for fault in &faults {
        times.fault(fault);
    }
    Ok(Recovery {
        component,
        incidents: count(incidents.len()),
        faults: count(faults.len()),
        time_to_detect: Durations::of(times.detect),
        time_to_mitigate: Durations::of(times.mitigate),
        time_to_resolve: Durations::of(times.resolve),
        fault_durations: Durations::of(times.acted),
        actions: most_frequent(times.actions),
    })
}

#[derive(Default)]
struct Times {
    detect: Vec<i64>,
    mitigate: Vec<i64>,
    resolve: Vec<i64>,
    acted: Vec<i64>,
    actions: BTreeMap<String, i32>,
    /// Faults whose end is told by the mitigation of an incident.
    told: BTreeSet<FaultId>,
}

impl Times {
    fn add(
        &mut self,
        incident: &rows::Incident,
        mitigations: &[Arc<rows::Mitigation>],
        faults: &[Arc<rows::Fault>],
    ) {
        let done = || mitigations.iter().filter(|row| row.kind != rows::MitigationKind::Suggested);
        for row in done() {
            *self.actions.entry(row.action.clone()).or_default() += 1;
        }
        self.told.extend(faults.iter().map(|fault| fault.id.clone()));
        let Some(opened_at) = incident.opened_at else { return };
        let first_fault = faults.iter().filter_map(|fault| fault.injected_at).min();
        self.detect.extend(first_fault.and_then(|at| between(at, opened_at)));
        let mitigated = done().map(|row| row.at).chain(incident.mitigated_at).min();
        self.mitigate.extend(mitigated.and_then(|at| between(opened_at, at)));
        self.resolve.extend(incident.resolved_at.and_then(|at| between(opened_at, at)));
    }

    fn fault(&mut self, fault: &rows::Fault) {
        let acted = fault.injected_at.zip(fault.cleared_at);
        self.acted.extend(acted.and_then(|(from, to)| between(from, to)));
        if let Some(action) = &fault.action
            && !self.told.contains(&fault.id)
        {
            *self.actions.entry(action.clone()).or_default() += 1;
        }
    }
}

/// How long it took; nothing when the clocks say that the end was first.
pub fn between(from: Timestamp, to: Timestamp) -> Option<i64> {
    Some(to.as_millisecond() - from.as_millisecond()).filter(|ms| *ms >= 0)
}

fn most_frequent(actions: BTreeMap<String, i32>) -> Vec<RecoveryAction> {
    let mut actions: Vec<_> =
        actions.into_iter().map(|(action, count)| RecoveryAction { action, count }).collect();
    actions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.action.cmp(&b.action)));
    actions.truncate(topology::NAMED);
    actions
}
