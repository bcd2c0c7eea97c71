//! What telemetry shows, as signs.

use super::Scene;
use crate::contrast::Contrast;
use crate::fingerprint::strengths;

/// A caller notices from this share of failures on.
const NOTICED_FAILING: f64 = 0.05;

/// Adds every feature that left the usual, and the calls that became slow or fail.
pub fn show(scene: &mut Scene, contrast: &Contrast<'_>) {
    for &component in contrast.components.keys() {
        let Some(place) = scene.find(component) else { continue };
        for (feature, strength, events) in strengths(contrast, component) {
            let direction = if strength < 0.0 { "down" } else { "up" };
            let sign = format!("measured {} {direction}", feature.name());
            scene.show(place, &sign, strength.abs(), None, &events);
        }
    }
    for ((caller, callee), edge) in &contrast.edges {
        let Some(to) = scene.find(callee) else { continue };
        let noise = edge.usual_ms().map_or(f64::INFINITY, |usual| 2.0 * usual.latency_floor_ms());
        let slow = edge.slower_ms().unwrap_or(0.0) > noise;
        let failing = edge.failing_more() > NOTICED_FAILING;
        let told = [(slow, "slow", edge.slowest(2)), (failing, "error", edge.most_failing(2))];
        for (_, direction, events) in told.into_iter().filter(|(is_so, ..)| *is_so) {
            scene.show(to, &format!("answers {direction}"), 1.0, None, &events);
            let Some(from) = caller.and_then(|caller| scene.find(caller)) else { continue };
            scene.show(from, &format!("calls {direction}"), 1.0, None, &events);
            scene.parts[to].callers.insert(from);
            scene.parts[from].callees.insert(to);
        }
    }
}
