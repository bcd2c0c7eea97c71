//! Alerts of calls, told from both ends.

use std::collections::{BTreeMap, BTreeSet};

use events::ComponentName;

use super::{Alarmed, Scene};
use crate::evidence::{AlertEvidence, Evidence, Signal};

/// Adds what alerts of calls say of the caller and of the callee.
///
/// Spans of its own may be the caller's view of calls that others answer; who that is, lessons
/// tell (`answering`).
pub fn show(scene: &mut Scene, evidence: &Evidence) {
    let calls: Vec<&AlertEvidence> =
        evidence.alerts().iter().filter(|alert| alert.signal == Signal::Call).collect();
    for alert in &calls {
        let caller = alert.caller.as_ref();
        let role = match caller {
            None => "entered",
            Some(caller) if *caller == alert.component => "own span",
            Some(_) => "answers",
        };
        tell(scene, &alert.component, role, alert);
        if let Some(caller) = caller {
            let (caller, callee) = (scene.place(caller), scene.place(&alert.component));
            let (operation, event) = (alert.name.clone(), alert.event);
            let direction = direction(alert).to_owned();
            scene.calls.push(Alarmed { caller, callee, operation, direction, event });
        }
        if let (Some(caller), "answers") = (caller, role) {
            tell(scene, caller, "calls", alert);
            let (from, to) = (scene.place(caller), scene.place(&alert.component));
            scene.parts[to].callers.insert(from);
            scene.parts[from].callees.insert(to);
        }
    }
    ends(scene);
}

fn direction(alert: &AlertEvidence) -> &str {
    alert.direction.as_ref().map_or("", |direction| direction.as_str())
}

fn tell(scene: &mut Scene, of: &ComponentName, role: &str, alert: &AlertEvidence) {
    let direction = direction(alert);
    let part = scene.place(of);
    let events = [alert.event];
    scene.show(part, &format!("{role} {direction}"), 1.0, None, &events);
    let with_operation = format!("{role} {direction}: {}", alert.name.as_str());
    scene.show(part, &with_operation, 1.0, None, &events);
}

// Slow answers are passed on by who waits for slow answers itself; where the waiting ends is
// nearer to the cause.
fn ends(scene: &mut Scene) {
    let mut found: BTreeMap<usize, BTreeSet<(&'static str, String)>> = BTreeMap::new();
    for (place, part) in scene.parts.iter().enumerate() {
        for direction in ["slow", "error"] {
            let shows = |role: &str| part.signs.contains_key(&format!("{role} {direction}"));
            let answers = shows("answers") || shows("entered");
            let sign = match (answers, shows("own span"), shows("calls")) {
                (true, _, true) => "passes on",
                (true, true, false) => "ends at",
                (true, false, false) => "ends before",
                _ => continue,
            };
            found.entry(place).or_default().insert((sign, direction.to_owned()));
        }
    }
    for (place, signs) in found {
        for (sign, direction) in signs {
            let shown_by = [format!("answers {direction}"), format!("entered {direction}")];
            let events: Vec<_> = shown_by
                .iter()
                .filter_map(|sign| scene.parts[place].signs.get(sign))
                .flat_map(|sign| sign.events.clone())
                .collect();
            scene.show(place, &format!("{direction} {sign}"), 1.0, None, &events);
        }
    }
}
