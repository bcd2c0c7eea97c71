//! From findings to anomalies: which findings are believed, and what they show together.

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::diagnosis::AnomalyPart;
use events::value::NonNegative;
use events::{ComponentName, EventId};

use super::assembly::Slot;
use super::history::{History, Subject};
use super::judge::Finding;
use super::{Anomaly, Topology};

/// The anomalies of a window, ordered by component.
///
/// A component is anomalous when one of its findings is overwhelming or has lasted. Trouble
/// travels to the callers, so the findings of those who call an anomalous component, directly
/// or not, are believed without waiting: an incident is then noticed where users feel it.
pub fn anomalies(
    slot: &Slot,
    findings: &[Finding],
    histories: &BTreeMap<Subject, History>,
    topology: &Topology,
    in_a_row: usize,
) -> Vec<Anomaly> {
    let lasted = |finding: &&Finding| {
        let windows =
            histories.get(&finding.subject).map_or(0, |h| h.in_a_row(finding.part.signal));
        finding.triggers && (finding.overwhelming || windows >= in_a_row + finding.windows_more)
    };
    let sure: BTreeSet<&ComponentName> =
        findings.iter().filter(lasted).map(|finding| finding.subject.component()).collect();
    let mut believed = sure.clone();
    for component in sure {
        believed.extend(topology.upstream(component));
    }
    let mut by_component: BTreeMap<&ComponentName, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| believed.contains(f.subject.component())) {
        by_component.entry(finding.subject.component()).or_default().push(finding);
    }
    by_component.retain(|_, findings| findings.iter().any(|finding| finding.triggers));
    by_component
        .into_iter()
        .filter_map(|(component, findings)| anomaly(component, slot, findings, histories))
        .collect()
}

fn anomaly(
    component: &ComponentName,
    slot: &Slot,
    mut findings: Vec<&Finding>,
    histories: &BTreeMap<Subject, History>,
) -> Option<Anomaly> {
    findings.sort_by(|a, b| {
        let (a, b) = (a.part.deviation.get().abs(), b.part.deviation.get().abs());
        b.total_cmp(&a)
    });
    let mut parts: Vec<AnomalyPart> = Vec::new();
    for finding in &findings {
        if parts.iter().all(|part| part.signal != finding.part.signal) {
            parts.push(finding.part.clone());
        }
    }
    let score = parts.first()?.deviation.get().abs();
    let mut since = slot.window.start;
    let mut evidence = Vec::new();
    findings.iter().for_each(|finding| push_new(&mut evidence, finding.event));
    for finding in &findings {
        if let Some(streak) = histories.get(&finding.subject).and_then(|h| h.streak(finding)) {
            since = since.min(streak.since);
            streak.events.iter().for_each(|event| push_new(&mut evidence, *event));
        }
    }
    Some(Anomaly {
        component: component.clone(),
        window: slot.window.clone(),
        since,
        score: NonNegative::new(score).expect("the deviation of an anomaly part is finite"),
        parts,
        evidence,
    })
}

fn push_new(ids: &mut Vec<EventId>, id: EventId) {
    if !ids.contains(&id) {
        ids.push(id);
    }
}
