//! Which past incidents an incident looks like.
//!
//! Symptoms and reasons are compared by the weighted Jaccard index, the shared strength over the
//! greater strength (M. Ružička, 1958): it reads as a share, it is 1 only for the same, and its
//! sum falls apart into one reason a symptom. What was said of incidents beside that, in alerts,
//! logs and titles, is compared in the same way by [`nearest_told`]. [`index`] finds the nearest
//! among very many.

mod blend;
pub mod index;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::diagnosis::{ScoreTerm, SimilarIncident};
use events::value::{Line, Ratio};
use events::{ComponentName, EventId, FaultKind, IncidentId};
use serde::{Deserialize, Serialize};

pub use blend::{LEAST_NEAR, nearest_told};
pub use told::{MOST_MARKS, Told};

use crate::fingerprint::{Feature, Fingerprint, Role, Symptom};
use crate::rank::{finite, grains};

/// An incident of the past and what became known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastIncident {
    /// The incident.
    pub incident: IncidentId,
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// The component that caused it, by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<ComponentName>,
    /// The kind of fault, by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_kind: Option<FaultKind>,
    /// What was done against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_by: Vec<String>,
}

/// How alike two fingerprints are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similarity {
    /// 0, nothing in common, to 1, the same.
    pub score: Ratio,
    /// What makes the score, the largest first: they add up to it.
    pub reasons: Vec<ScoreTerm>,
}

const SYMPTOMS: f64 = 0.7;
const REASONS: f64 = 0.2;
/// The same place counts little, so that the same fault elsewhere is found before another fault
/// in the same place.
const PLACE: f64 = 0.1;

fn weight(symptom: (Role, Feature)) -> f64 {
    let role = match symptom.0 {
        Role::Suspect => 1.0,
        Role::Caller | Role::Callee => 0.2,
        Role::Entrance => 0.1,
        Role::Other => 0.05,
    };
    let feature = match symptom.1 {
        Feature::Reach => 0.3,
        Feature::Cpu | Feature::Saturation => 0.5,
        // Nearly every fault slows something down; these few things tell kinds apart.
        Feature::Traffic | Feature::Availability => 1.5,
        Feature::Memory => 2.0,
        _ => 1.0,
    };
    role * feature
}

/// Compares two fingerprints; symmetric but for the cited events, which are `this` one's.
pub fn compare(this: &Fingerprint, other: &Fingerprint) -> Similarity {
    let mut terms = alike_symptoms(this, other);
    let keys: BTreeSet<&String> = this.reasons.keys().chain(other.reasons.keys()).collect();
    let share = |of: &BTreeMap<String, f64>, key: &String| of.get(key).copied().unwrap_or(0.0);
    let pairs = keys.into_iter().map(|k| (share(&this.reasons, k), share(&other.reasons, k)));
    terms.push(("suspected for alike reasons".to_owned(), REASONS * jaccard(pairs), Vec::new()));
    terms.push(("in the same place".to_owned(), PLACE * same_place(this, other), Vec::new()));

    let mut reasons: Vec<ScoreTerm> = terms
        .into_iter()
        .map(|(name, share, evidence)| (name, grains(share), evidence))
        .filter(|(_, share, _)| *share > 0.0)
        .map(|(name, share, evidence)| ScoreTerm {
            name: Line::clipped(&name),
            contribution: finite(share),
            evidence,
        })
        .collect();
    reasons.sort_by(|a, b| {
        let shares = b.contribution.get().total_cmp(&a.contribution.get());
        shares.then_with(|| a.name.cmp(&b.name))
    });
    // Each of some thirty roundings adds at most half a grain, so the sum may pass 1 by a little.
    let mut score: f64 = reasons.iter().map(|reason| reason.contribution.get()).sum();
    if let Some(first) = reasons.first_mut().filter(|_| score > 1.0) {
        first.contribution = finite(first.contribution.get() - (score - 1.0));
        score = 1.0;
    }
    Similarity { score: Ratio::new(score).expect("shares of a whole are from 0 to 1"), reasons }
}

fn alike_symptoms(this: &Fingerprint, other: &Fingerprint) -> Vec<(String, f64, Vec<EventId>)> {
    let by_key = |fingerprint: &Fingerprint| -> BTreeMap<(Role, Feature), Symptom> {
        fingerprint.symptoms.iter().map(|s| ((s.role, s.feature), s.clone())).collect()
    };
    let (ours, theirs) = (by_key(this), by_key(other));
    let keys: BTreeSet<(Role, Feature)> = ours.keys().chain(theirs.keys()).copied().collect();
    let strength = |of: &BTreeMap<(Role, Feature), Symptom>, key: &(Role, Feature)| {
        of.get(key).map_or(0.0, |symptom| symptom.strength)
    };
    let greater: f64 = keys
        .iter()
        .map(|key| weight(*key) * strength(&ours, key).abs().max(strength(&theirs, key).abs()))
        .sum();
    let shared = |key: (Role, Feature)| {
        let common = common(strength(&ours, &key), strength(&theirs, &key));
        let evidence = ours.get(&key).map(|s| s.evidence.clone()).unwrap_or_default();
        (told(key), symptom_share(weight(key), common, greater), evidence)
    };
    keys.into_iter().map(shared).collect()
}

/// What two strengths have in common: nothing when one is more and the other less than usual.
fn common(a: f64, b: f64) -> f64 {
    if a * b > 0.0 { a.abs().min(b.abs()) } else { 0.0 }
}

fn symptom_share(weight: f64, common: f64, greater: f64) -> f64 {
    SYMPTOMS * weight * common / greater.max(f64::MIN_POSITIVE)
}

fn told((role, feature): (Role, Feature)) -> String {
    let whose = match role {
        Role::Suspect => "the suspect's",
        Role::Caller => "its callers'",
        Role::Callee => "its callees'",
        Role::Other => "other components'",
        Role::Entrance => "the entrance's",
    };
    let what = match feature {
        Feature::Traffic => "traffic",
        Feature::Errors => "failures",
        Feature::Latency => "latency",
        Feature::TailLatency => "slowest answers",
        Feature::Saturation => "saturation",
        Feature::Cpu => "processor time",
        Feature::Memory => "memory",
        Feature::Availability => "availability",
        Feature::Change => "recent change",
        Feature::Reach => "reach",
    };
    format!("{whose} {what} alike")
}

fn same_place(this: &Fingerprint, other: &Fingerprint) -> f64 {
    let suspect = this.suspect.is_some() && this.suspect == other.suspect;
    let names: BTreeSet<&ComponentName> =
        this.components.keys().chain(other.components.keys()).collect();
    let names_are_empty = names.is_empty();
    let strength = |of: &Fingerprint, name| of.components.get(name).copied().unwrap_or(0.0);
    let pairs = names.into_iter().map(|name| (strength(this, name), strength(other, name)));
    place(suspect, (!names_are_empty).then(|| jaccard(pairs)))
}

fn place(same_suspect: bool, components: Option<f64>) -> f64 {
    let suspect = f64::from(same_suspect);
    components.map_or(suspect, |components| f64::midpoint(suspect, components))
}

fn jaccard(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (common, greater) = pairs.fold((0.0, 0.0), |(c, g), (a, b)| (c + a.min(b), g + a.max(b)));
    if greater > 0.0 { common / greater } else { 0.0 }
}

/// The past incidents most like `fingerprint`: at most `first`, none below `min_score`, the most
/// similar first.
pub fn nearest(
    fingerprint: &Fingerprint,
    past: &[PastIncident],
    first: usize,
    min_score: f64,
) -> Vec<SimilarIncident> {
    let mut similar: Vec<SimilarIncident> = past
        .iter()
        .map(|past| {
            let Similarity { score, reasons } = compare(fingerprint, &past.fingerprint);
            SimilarIncident { incident: past.incident.clone(), score, reasons }
        })
        .filter(|similar| similar.score.get() > 0.0 && similar.score.get() >= min_score)
        .collect();
    similar.sort_by(|a, b| {
        let scores = b.score.get().total_cmp(&a.score.get());
        scores.then_with(|| a.incident.cmp(&b.incident))
    });
    similar.truncate(first);
    similar
}
