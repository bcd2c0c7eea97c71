//! Several names of the same thing.
//!
//! Collectors name one thing after each of its views: the function and the service that runs it,
//! say. Such names call each other, nobody else comes between, and one name continues the other.
//! The innermost is the thing itself; what shows at an outer one is its trouble too: requests that
//! the runtime refuses never reach the function.

use super::observe::Observation;
use super::scene::Scene;

/// What the trouble is called where it is moved to.
pub const NAME: &str = "trouble under another of its names";
/// What remains with the outer name.
const KEPT: f64 = 0.5;
/// What callers suffer of.
const SUFFERED: [&str; 2] = ["failing by itself", "slow by itself"];

/// Moves what callers suffer of to the innermost name.
pub fn fold(scene: &Scene<'_>, observed: &mut [Vec<Observation>]) {
    for component in 0..observed.len() {
        let Some(innermost) = innermost(scene, component) else { continue };
        let mut moved: Vec<Observation> = Vec::new();
        for observation in &mut observed[component] {
            if SUFFERED.contains(&observation.name) && observation.strength > 0.0 {
                moved.push(Observation { name: NAME, ..observation.clone() });
                observation.strength *= KEPT;
            }
        }
        let largest = moved.into_iter().max_by(|a, b| a.strength.total_cmp(&b.strength));
        observed[innermost].extend(largest);
    }
}

fn innermost(scene: &Scene<'_>, component: usize) -> Option<usize> {
    let mut at = component;
    // Names that call each other in a circle have no innermost one; a step for each is enough.
    for _ in 0..scene.names.len() {
        match inner(scene, at) {
            Some(callee) if callee != component => at = callee,
            Some(_) => return None,
            None => return (at != component).then_some(at),
        }
    }
    None
}

fn inner(scene: &Scene<'_>, component: usize) -> Option<usize> {
    let mut callees = scene.outbound(component).map(|link| link.callee);
    let callee = callees.next().filter(|_| callees.next().is_none())?;
    let alone = scene.inbound(callee).all(|link| link.caller == Some(component));
    let (outer, inner) = (scene.names[component].as_str(), scene.names[callee].as_str());
    (alone && (continues(outer, inner) || continues(inner, outer))).then_some(callee)
}

// Whether `longer` is `name` and, behind a mark, more.
fn continues(name: &str, longer: &str) -> bool {
    let rest = longer.strip_prefix(name).unwrap_or_default();
    rest.chars().next().is_some_and(|mark| !mark.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_continues_the_other_behind_a_mark() {
        assert!(continues("updater_AWS::Lambda", "updater_AWS::Lambda::Function"));
        assert!(!continues("cart", "carts"));
        assert!(!continues("cart", "cart"));
        assert!(!continues("cart", "payments"));
    }
}
