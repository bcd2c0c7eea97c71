//! The state of a component's process, and what was done to it shortly before.

use events::{ComponentName, EventId};

use super::Term;
use super::excess::Excess;
use crate::baseline::{Usual, floor, saturating};
use crate::contrast::{Contrast, Measured};
use crate::evidence::Change;

const DOWN: f64 = 0.6;
const UNANSWERED: f64 = 0.3;
/// Fewer calls than this may stay away by chance.
const LEAST_EXPECTED: f64 = 10.0;
const SATURATION: f64 = 0.25;
const CPU: f64 = 0.1;
const MEMORY: f64 = 0.6;
const NEWEST_WINDOWS: usize = 5;
/// A change alone is no trouble; beside trouble it weighs half as much again.
const CHANGE_ALONE: f64 = 0.02;
const CHANGE_WITH_TROUBLE: f64 = 0.5;

/// Terms of the component's state. `own` is the weight of its unexplained trouble: a change
/// counts with it, and a resource that fills up because a callee is slow does not count.
pub fn terms(
    contrast: &Contrast<'_>,
    component: &ComponentName,
    excess: &Excess,
    own: f64,
) -> Vec<Term> {
    let Some(measured) = contrast.components.get(component) else { return Vec::new() };
    let own_share = excess.own_share();
    let state = [
        down(measured),
        unanswered(contrast, component),
        full(measured).map(|term| scaled(term, own_share)),
        processor(contrast, component, measured).map(|term| scaled(term, own_share)),
        memory(measured),
    ];
    let mut terms: Vec<Term> = state.into_iter().flatten().filter(|t| t.weight > 0.0).collect();
    let trouble = own + terms.iter().map(|term| term.weight).sum::<f64>();
    terms.extend(changed(contrast, component, trouble));
    terms
}

fn scaled(mut term: Term, factor: f64) -> Term {
    term.weight *= factor;
    term
}

fn down(measured: &Measured) -> Option<Term> {
    let share = measured.down.mean_after()?;
    let was_down = measured.down.usual().map_or(0.0, |usual| usual.median);
    let shown = measured.down.after.iter().filter(|(_, down)| *down > 0.5);
    let evidence = shown.map(|(event, _)| *event).take(3).collect();
    Some(Term { name: "not answering", weight: DOWN * (share - was_down).max(0.0), evidence })
}

fn full(measured: &Measured) -> Option<Term> {
    let usual = measured.saturation.usual()?.median;
    let more = measured.saturation.mean_after()? - usual - floor::SATURATION;
    let evidence = event_of(measured.saturation.largest());
    Some(Term { name: "a resource is used up", weight: SATURATION * more.max(0.0), evidence })
}

// Clients go on calling; when fewer and fewer calls of theirs end, the rest still waits.
fn unanswered(contrast: &Contrast<'_>, component: &ComponentName) -> Option<Term> {
    let mut callers = contrast.inbound(component).map(|(caller, _)| caller);
    let (before, after) = contrast.inbound_rates(component);
    let expected = before * contrast.after_s;
    if expected < LEAST_EXPECTED || !callers.all(|c| c.is_none_or(|c| contrast.is_client(c))) {
        return None;
    }
    let missing = (1.0 - after / before - 0.5) / 0.5;
    let measured = contrast.components.get(component)?;
    let evidence = event_of(measured.traffic.farthest());
    Some(Term { name: "calls stay unanswered", weight: UNANSWERED * missing.max(0.0), evidence })
}

// Starvation takes processor time away and a runaway loop adds it; what grows with the traffic
// is neither.
fn processor(
    contrast: &Contrast<'_>,
    component: &ComponentName,
    measured: &Measured,
) -> Option<Term> {
    let usual = measured.cpu_cores.usual()?;
    let (before, after) = contrast.inbound_rates(component);
    let traffic = if before > 0.0 { (after / before).clamp(0.2, 20.0) } else { 1.0 };
    let expected = usual.median * traffic;
    let noise = floor::CPU_CORES + 2.0 * usual.spread + 0.5 * expected;
    let away = (measured.cpu_cores.mean_after()? - expected).abs() - noise;
    let strength = (away / (expected + floor::CPU_CORES)).clamp(0.0, 1.0);
    let evidence = event_of(measured.cpu_cores.farthest());
    Some(Term { name: "unusual processor time", weight: CPU * strength, evidence })
}

// Against the newest windows before the incident too: memory that has been growing since the
// start of the process is not growing because of the incident.
fn memory(measured: &Measured) -> Option<Term> {
    let series = &measured.memory_bytes;
    let usual = series.usual()?;
    let newest = Usual::of(series.before.iter().rev().take(NEWEST_WINDOWS).copied())?;
    let noise = (usual.median * floor::MEMORY_SHARE).max(3.0 * usual.spread);
    let (event, largest) = series.largest()?;
    let grown = (largest - usual.median.max(newest.median) - noise) / usual.median.max(1.0);
    let strength = saturating(grown, 0.5);
    Some(Term { name: "memory grows", weight: MEMORY * strength, evidence: vec![event] })
}

fn changed(contrast: &Contrast<'_>, component: &ComponentName, trouble: f64) -> Option<Term> {
    let (last, recency) = contrast.last_change(component)?;
    let name = match last.change {
        Change::Deployment { .. } => "deployed shortly before",
        Change::Configuration { .. } => "configured shortly before",
    };
    let weight = recency * (CHANGE_ALONE + CHANGE_WITH_TROUBLE * trouble);
    Some(Term { name, weight, evidence: vec![last.event] })
}

fn event_of(shown: Option<(EventId, f64)>) -> Vec<EventId> {
    shown.map(|(event, _)| event).into_iter().collect()
}
