//! What was exercised and what never was: every component × every kind of fault, purely.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::verdict::Verdict;
use events::catalogue::experiment::ExperimentOutcome;
use events::catalogue::fault_kind;
use events::{ComponentName, ExperimentId, FaultKind, IncidentId, Timestamp};
use jiff::SignedDuration;

use crate::rows;

/// Whether a kind of fault was exercised on a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No experiment ever injected it there.
    Never,
    /// The last time is too long ago.
    Stale,
    /// It was, not too long ago.
    Exercised,
}

/// A component × a kind of fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The component.
    pub component: ComponentName,
    /// The kind of fault.
    pub fault_kind: FaultKind,
    /// The run in which it was last injected; absent for a fault injected by hand.
    pub last_run: Option<ExperimentId>,
    /// How that run ended.
    pub last_verdict: Option<ExperimentOutcome>,
    /// When it was last injected.
    pub last_exercised_at: Option<Timestamp>,
    /// In how many runs it was injected; by hand, each injection is one.
    pub runs: usize,
    /// How many incidents were this, that no experiment caused.
    pub real_incidents: usize,
    /// When the last of them was opened.
    pub last_real_incident_at: Option<Timestamp>,
}

impl Cell {
    /// Whether it was exercised since `stale_before`.
    pub fn state(&self, stale_before: Timestamp) -> State {
        match self.last_exercised_at {
            None => State::Never,
            Some(at) if at < stale_before => State::Stale,
            Some(_) => State::Exercised,
        }
    }
}

/// What the cells are made of.
#[derive(Default)]
pub struct Known {
    /// The components.
    pub components: Vec<rows::Component>,
    /// Kinds of fault that something speaks of.
    pub fault_kinds: Vec<FaultKind>,
    /// The injections.
    pub faults: Vec<rows::Fault>,
    /// How runs ended.
    pub outcomes: BTreeMap<ExperimentId, ExperimentOutcome>,
    /// Incidents that no experiment caused, with when they were opened and what labels say of
    /// them.
    pub real: Vec<Real>,
}

/// An incident that no experiment caused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Real {
    /// The incident.
    pub incident: IncidentId,
    /// What caused it.
    pub component: ComponentName,
    /// What kind of fault it was.
    pub fault_kind: FaultKind,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
}

/// The kind of a component that stands for users and is not exercised.
const CLIENT: &str = "client";

/// The cell that an incident is in by the labels that count: of the labels on it, `from_fault`
/// tells those that are known from an injected fault. `None` when they do not say both, or when
/// an experiment caused it.
pub fn real_cell(
    verdict: &Verdict,
    from_fault: impl Fn(&events::LabelId) -> bool,
) -> Option<(ComponentName, FaultKind)> {
    let cell = (verdict.root_cause()?.clone(), verdict.fault_kind()?.clone());
    let injected = verdict.counting.iter().any(|opinion| from_fault(&opinion.label));
    (!injected).then_some(cell)
}

/// All cells, by component, then by kind: each component that is no client × each kind of fault
/// that the local drivers know or that anything speaks of.
pub fn cells(known: &Known) -> Vec<Cell> {
    let mut kinds: BTreeSet<FaultKind> =
        fault_kind::LOCAL.iter().map(|kind| fault_kind::named(kind)).collect();
    kinds.extend(known.fault_kinds.iter().cloned());
    kinds.extend(known.faults.iter().filter_map(|fault| fault.kind.clone()));
    kinds.extend(known.real.iter().map(|real| real.fault_kind.clone()));
    let mut components: Vec<&ComponentName> = known
        .components
        .iter()
        .filter(|component| component.kind.as_deref() != Some(CLIENT))
        .map(|component| &component.id)
        .collect();
    components.sort();

    let mut injections: BTreeMap<(&ComponentName, &FaultKind), Vec<&rows::Fault>> = BTreeMap::new();
    for fault in known.faults.iter().filter(|fault| fault.injected_at.is_some()) {
        if let (Some(component), Some(kind)) = (&fault.component, &fault.kind) {
            injections.entry((component, kind)).or_default().push(fault);
        }
    }
    let mut incidents: BTreeMap<(&ComponentName, &FaultKind), Vec<&Real>> = BTreeMap::new();
    for real in &known.real {
        incidents.entry((&real.component, &real.fault_kind)).or_default().push(real);
    }
    let none = Vec::new();
    let all =
        components.iter().flat_map(|component| kinds.iter().map(move |kind| (component, kind)));
    all.map(|(component, kind)| {
        let injections = injections.get(&(*component, kind)).unwrap_or(&none);
        let incidents = incidents.get(&(*component, kind)).map(Vec::as_slice).unwrap_or_default();
        cell(component, kind, injections, incidents, &known.outcomes)
    })
    .collect()
}

fn cell(
    component: &ComponentName,
    kind: &FaultKind,
    injections: &[&rows::Fault],
    incidents: &[&Real],
    outcomes: &BTreeMap<ExperimentId, ExperimentOutcome>,
) -> Cell {
    let last = injections.iter().max_by_key(|fault| (fault.injected_at, &fault.id));
    let last_run = last.and_then(|fault| fault.experiment.clone());
    let runs: BTreeSet<_> = injections.iter().filter_map(|it| it.experiment.as_ref()).collect();
    let by_hand = injections.iter().filter(|fault| fault.experiment.is_none()).count();
    Cell {
        component: component.clone(),
        fault_kind: kind.clone(),
        last_verdict: last_run.as_ref().and_then(|run| outcomes.get(run).copied()),
        last_run,
        last_exercised_at: last.and_then(|fault| fault.injected_at),
        runs: runs.len() + by_hand,
        real_incidents: incidents.len(),
        last_real_incident_at: incidents.iter().filter_map(|real| real.opened_at).max(),
    }
}

/// The moment `days` before `now`.
pub fn days_before(now: Timestamp, days: u32) -> Timestamp {
    let hours = i64::from(days) * 24;
    now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN)
}
