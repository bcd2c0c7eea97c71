//! The state of a component's process, and what was done to it shortly before.

use events::EventId;

use super::observe::Observation;
use super::own::Own;
use super::scene::Scene;
use crate::baseline::{floor, saturating};
use crate::evidence::Change;

/// Fewer calls than this may stay away by chance.
const LEAST_EXPECTED: f64 = 10.0;
/// Growth of the processor share that is a busy moment …
const BUSY: f64 = 0.1;
/// … and beyond it, growth that is as much as can be told apart.
const EXHAUSTED: f64 = 0.4;
/// A change alone is no trouble.
const CHANGE_ALONE: f64 = 0.04;

/// What the process did not answer. A caller that gives up is no witness: its calls are missed
/// whoever is at fault.
pub fn silence(scene: &Scene<'_>, component: usize) -> [Option<Observation>; 2] {
    [down(scene, component), unanswered(scene, component)]
}

/// Resources. One that fills up because a callee is slow does not count.
pub fn resources(scene: &Scene<'_>, component: usize, own: &Own) -> [Option<Observation>; 4] {
    let own_share = own.own_share();
    let scaled = |mut observation: Observation| {
        observation.strength *= own_share;
        observation
    };
    [
        full(scene, component).map(scaled),
        processor_limit(scene, component),
        processor(scene, component).map(scaled),
        memory(scene, component),
    ]
}

fn down(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let down = &scene.parts[component].signals.down;
    let was_down = down.usual().map_or(0.0, |usual| usual.median);
    let strength = down.mean_after()? - was_down;
    let shown = down.after().iter().filter(|(_, down)| *down > 0.5);
    let evidence = shown.map(|(event, _)| *event).take(3).collect();
    Some(Observation { name: "not answering", strength, evidence })
}

// Clients go on calling; when fewer and fewer calls of theirs end, the rest still waits.
fn unanswered(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let mut callers = scene.inbound(component).map(|link| link.caller);
    let (before, after) = scene.inbound_rates(component);
    let expected = before * scene.cover.after_s;
    let too_few = expected < LEAST_EXPECTED || scene.awaits_inbound(component);
    if too_few || !callers.all(|c| c.is_none_or(|c| scene.is_client(c))) {
        return None;
    }
    let strength = (1.0 - after / before - 0.5) / 0.5;
    let evidence = event_of(scene.parts[component].signals.traffic.farthest());
    Some(Observation { name: "calls stay unanswered", strength, evidence })
}

fn full(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let saturation = &scene.parts[component].signals.saturation;
    let usual = saturation.usual()?.median;
    let strength = saturation.mean_after()? - usual - floor::SATURATION;
    let evidence = event_of(saturation.after().first().copied());
    Some(Observation { name: "a resource is used up", strength, evidence })
}

// By which factor there is less or more to do than usual.
fn traffic(scene: &Scene<'_>, component: usize) -> f64 {
    let (before, after) = scene.inbound_rates(component);
    let known = before > 0.0 && !scene.awaits_inbound(component);
    if known { (after / before).clamp(0.2, 20.0) } else { 1.0 }
}

fn processor_limit(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let share = &scene.parts[component].signals.cpu_share;
    let usual = share.usual()?;
    let expected = usual.median * traffic(scene, component);
    let noise = BUSY + 2.0 * usual.spread.min(0.1);
    let strength = (share.high_after()? - expected - noise) / EXHAUSTED;
    let evidence = share.after().iter().map(|(event, _)| *event).take(2).collect();
    Some(Observation { name: "processor limit reached", strength, evidence })
}

// Starvation takes processor time away and a runaway loop adds it; what grows with the traffic
// is neither.
fn processor(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let cores = &scene.parts[component].signals.cpu_cores;
    let usual = cores.usual()?;
    let expected = usual.median * traffic(scene, component);
    let noise = floor::CPU_CORES + 2.0 * usual.spread + 0.5 * expected;
    let away = (cores.mean_after()? - expected).abs() - noise;
    let strength = away / (expected + floor::CPU_CORES);
    let evidence = event_of(cores.farthest());
    Some(Observation { name: "unusual processor time", strength, evidence })
}

// Against the newest windows before the incident too: memory that has been growing since the
// start of the process is not growing because of the incident.
fn memory(scene: &Scene<'_>, component: usize) -> Option<Observation> {
    let bytes = &scene.parts[component].signals.memory_bytes;
    let (usual, newest) = (bytes.usual()?, bytes.newest()?);
    let noise = (usual.median * floor::MEMORY_SHARE).max(3.0 * usual.spread);
    let (event, largest) = bytes.after().first().copied()?;
    let grown = (largest - usual.median.max(newest.median) - noise) / usual.median.max(1.0);
    let strength = saturating(grown, 0.5);
    Some(Observation { name: "memory grows", strength, evidence: vec![event] })
}

/// A change speaks as loud as the trouble beside it, from 0 to 1.
pub fn changed(scene: &Scene<'_>, component: usize, trouble: f64) -> Option<Observation> {
    let (last, recency) = scene.parts[component].change?;
    let name = match last.change {
        Change::Deployment { .. } => "deployed shortly before",
        Change::Configuration { .. } => "configured shortly before",
    };
    let strength = recency * (CHANGE_ALONE + (1.0 - CHANGE_ALONE) * trouble.min(1.0));
    Some(Observation { name, strength, evidence: vec![last.event] })
}

fn event_of(shown: Option<(EventId, f64)>) -> Vec<EventId> {
    shown.map(|(event, _)| event).into_iter().collect()
}
