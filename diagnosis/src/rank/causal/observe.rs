//! What speaks against each component, each thing by name and as strong as 0 to 1.

use std::collections::BTreeMap;

use events::EventId;

use super::alias;
use super::invariants::{self, Break};
use super::own::Own;
use super::scene::{Part, Scene};
use super::state;
use super::surge::Surges;
use super::symptom::{self, Dimension, Symptom};
use crate::baseline::saturating;
use crate::rank::terms::cited;

/// Slowness that counts half, beside a third of the usual latency.
const HALF_SLOW_MS: f64 = 3.0;
const HALF_SLOW_SHARE: f64 = 0.3;
/// Failed calls that count half, and the share of failures that does.
const HALF_FAILED: f64 = 3.0;
const HALF_FAILING: f64 = 0.005;
/// Nats of likelihood that count half.
const HALF_NATS: f64 = 4.0;
/// How much of what broke in a component is explained by a callee that surely has trouble.
const EXPLAINED_BY_CALLEES: f64 = 0.8;
/// What makes callers stop half-way.
const STOPS_CALLERS: [&str; 4] =
    ["failing by itself", "not answering", "calls stay unanswered", "processor limit reached"];

/// One thing that speaks against a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What, one of [`NAMES`](super::model::NAMES).
    pub name: &'static str,
    /// How strongly, 0 to 1.
    pub strength: f64,
    /// The events that show it.
    pub evidence: Vec<EventId>,
}

/// The observations of every component, in the order of [`Scene::names`]. Nothing speaks against
/// clients.
pub fn observe(scene: &Scene<'_>, noticed: Option<usize>) -> Vec<Vec<Observation>> {
    let components = 0..scene.names.len();
    let owns: Vec<Own> = components.clone().map(|component| Own::of(scene, component)).collect();
    let surges = Surges::of(scene);
    let slow = Symptom::of(noticed.map(|at| &owns[at]), &owns, Dimension::Time);
    let failing = Symptom::of(noticed.map(|at| &owns[at]), &owns, Dimension::Failures);
    let reach = symptom::reach(scene, noticed);
    let mut overloads = BTreeMap::new();
    let mut observed: Vec<Vec<Observation>> = Vec::with_capacity(scene.names.len());
    for component in components.clone() {
        if scene.is_client(component) {
            observed.push(Vec::new());
            continue;
        }
        let own = &owns[component];
        let kept = 1.0 - surges.share_of_callers(component);
        // What its callees took is not known before its calls are told.
        let known = if scene.awaits_outbound(component) { 0.0 } else { reach[component] };
        let slowness = known
            * slow.share(own.own_slow_ms * own.requests)
            * saturating(own.own_slow_ms, HALF_SLOW_MS + HALF_SLOW_SHARE * own.usual_ms);
        let failures = known
            * failing.share(own.own_failing * own.requests)
            * saturating(own.own_failing * own.requests, HALF_FAILED)
            * saturating(own.own_failing, HALF_FAILING);
        overloads.insert(component, (slowness + failures) * (1.0 - kept));
        let mut observations = own_trouble(scene, component, slowness * kept, failures * kept);
        observations.push(Observation {
            name: "more calls than its callers' growth explains",
            strength: surges.unexplained(component),
            evidence: busiest(scene, component),
        });
        observations.extend(passing(scene, component, own));
        for mut silence in state::silence(scene, component).into_iter().flatten() {
            silence.strength *= reach[component];
            observations.push(silence);
        }
        observations.extend(state::resources(scene, component, own).into_iter().flatten());
        observed.push(observations);
    }
    for (component, weight) in surges.carried_to_their_source(overloads) {
        let evidence = busiest(scene, component);
        observed[component].push(Observation {
            name: "overload it passes on",
            strength: weight,
            evidence,
        });
    }
    alias::fold(scene, &mut observed);
    broken(scene, &mut observed);
    for component in components {
        let trouble = observed[component].iter().map(|o| o.strength.max(0.0)).sum();
        observed[component].extend(state::changed(scene, component, trouble));
    }
    for observations in &mut observed {
        observations.retain(|observation| observation.strength > 0.0);
        observations.iter_mut().for_each(|o| o.strength = o.strength.min(1.0));
    }
    observed
}

fn own_trouble(
    scene: &Scene<'_>,
    component: usize,
    slowness: f64,
    failures: f64,
) -> Vec<Observation> {
    let inbound = || scene.inbound(component);
    vec![
        Observation {
            name: "slow by itself",
            strength: slowness,
            evidence: cited(inbound().map(|link| link.slowest())),
        },
        Observation {
            name: "failing by itself",
            strength: failures,
            evidence: cited(inbound().map(|link| link.most_failing())),
        },
    ]
}

// A residue, so that a component on the path of the trouble is listed behind the suspects
// rather than cleared: subtraction is an estimate.
fn passing(scene: &Scene<'_>, component: usize, own: &Own) -> Option<Observation> {
    let slow = saturating(own.slow_ms, HALF_SLOW_MS + HALF_SLOW_SHARE * own.usual_ms);
    let seen = slow.max(saturating(own.failing, 0.15));
    (seen > 0.0).then(|| Observation {
        name: "slow or failing in all",
        strength: seen,
        evidence: cited(scene.inbound(component).map(|link| link.slowest())),
    })
}

// Whoever calls what broke stops half-way too: that is told of it only as far as no callee
// explains it.
fn broken(scene: &Scene<'_>, observed: &mut [Vec<Observation>]) {
    let missing = |(component, part): (usize, &Part<'_>)| {
        if !part.awaited.is_empty() || scene.awaits_inbound(component) {
            return Break::default();
        }
        invariants::missing(&part.signals.counters, &part.usually)
    };
    let missing: Vec<Break> = scene.parts.iter().enumerate().map(missing).collect();
    let complaints = scene.parts.iter().map(|part| invariants::complaints(&part.signals.counters));
    let complaints: Vec<Break> = complaints.collect();
    let strength = |found: &Break| saturating(found.nats, HALF_NATS);
    // Who is asked less than before may be downstream of what broke: what it is still asked for
    // is another mixture.
    let asked = |component: usize| {
        let (before, after) = scene.inbound_rates(component);
        if before > 0.0 { (after / before).min(1.0) } else { 1.0 }
    };
    let own: Vec<f64> = (0..observed.len()).map(|at| strength(&missing[at]) * asked(at)).collect();
    let trouble: Vec<f64> = (0..observed.len())
        .map(|component| {
            let troubles = observed[component].iter().filter(|o| STOPS_CALLERS.contains(&o.name));
            troubles.map(|o| o.strength).fold(own[component], f64::max).min(1.0)
        })
        .collect();
    for component in 0..observed.len() {
        if scene.is_client(component) {
            continue;
        }
        let callees = scene.outbound(component).map(|link| trouble[link.callee]);
        let kept = 1.0 - EXPLAINED_BY_CALLEES * callees.fold(0.0, f64::max);
        for (name, seen, found) in [
            ("a usual step is missing", own[component], &missing[component]),
            ("complaints in its log", strength(&complaints[component]), &complaints[component]),
        ] {
            let evidence = found.evidence.clone();
            observed[component].push(Observation { name, strength: seen * kept, evidence });
        }
    }
}

fn busiest(scene: &Scene<'_>, component: usize) -> Vec<EventId> {
    cited(scene.inbound(component).map(|link| link.busiest()))
}
