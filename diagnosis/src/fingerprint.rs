//! What an incident looked like, told by role instead of by name.
//!
//! A component is described by where it stands to the first suspect, so that the same kind of
//! fault on another component leaves nearly the same fingerprint.

mod strength;

use std::collections::BTreeMap;

use events::{ComponentName, EventId};
use serde::{Deserialize, Serialize};

use crate::contrast::Contrast;
use crate::evidence::Evidence;
use crate::rank::Ranking;

pub(crate) use strength::of as strengths;

/// Where a component stands to the first suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The first suspect itself.
    Suspect,
    /// Who calls it.
    Caller,
    /// Whom it calls.
    Callee,
    /// Neither.
    Other,
    /// Where users enter.
    Entrance,
}

/// In what a role was unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Requests a window.
    Traffic,
    /// Share of requests that failed.
    Errors,
    /// Median time to answer.
    Latency,
    /// Time to answer of the slowest.
    TailLatency,
    /// Share of a resource in use.
    Saturation,
    /// Processor time.
    Cpu,
    /// Resident memory.
    Memory,
    /// Stopped reporting or answering.
    Availability,
    /// Deployed or configured shortly before.
    Change,
    /// Share of its callers that notice.
    Reach,
}

/// One coordinate of a fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Whose.
    pub role: Role,
    /// In what.
    pub feature: Feature,
    /// From -1 (gone; of latency: refused at once) over 0 (as usual; such are left out) to 1 (as
    /// much as can be told apart).
    #[serde(deserialize_with = "strength::read")]
    pub strength: f64,
    /// The events that show it best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// What an incident looked like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The first suspect, to which the roles refer; absent when the ranker abstained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<ComponentName>,
    /// Coordinates, by role and feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<Symptom>,
    /// How unusual each component was, 0 to 1; those as usual are left out.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "strength::read_shares"
    )]
    pub components: BTreeMap<ComponentName, f64>,
    /// What the first suspect was suspected for, as shares of its score.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "strength::read_shares"
    )]
    pub reasons: BTreeMap<String, f64>,
}

/// Most events that one symptom cites.
const MOST_CITED: usize = 3;

/// What the incident looked like, seen from the first suspect of the ranking.
pub fn of(evidence: &Evidence, ranking: &Ranking) -> Fingerprint {
    seen_from(evidence, ranking, 0)
}

/// What the incident looked like, seen from the suspect at that place of the ranking, the first
/// being 0.
pub fn seen_from(evidence: &Evidence, ranking: &Ranking, place: usize) -> Fingerprint {
    let contrast = Contrast::of(evidence);
    let suspect = ranking.suspects.get(place);
    let mut strongest: BTreeMap<(Role, Feature), (f64, Vec<EventId>)> = BTreeMap::new();
    let mut components = BTreeMap::new();
    for &component in contrast.components.keys() {
        if contrast.is_client(component) {
            continue;
        }
        let strengths = strength::of(&contrast, component);
        let felt = strengths.iter().filter(|(feature, ..)| feature.is_felt());
        let affected = felt.map(|(_, strength, _)| strength.abs()).fold(0.0, f64::max);
        if affected > 0.0 {
            components.insert(component.clone(), affected);
        }
        for role in roles(&contrast, component, suspect.map(|s| &s.component)) {
            for (feature, strength, events) in &strengths {
                if role != Role::Suspect && !feature.is_felt() {
                    continue;
                }
                let slot = strongest.entry((role, *feature)).or_default();
                if strength.abs() > slot.0.abs() {
                    *slot = (*strength, events.iter().copied().take(MOST_CITED).collect());
                }
            }
        }
    }
    let symptoms = strongest.into_iter().map(|((role, feature), (strength, evidence))| Symptom {
        role,
        feature,
        strength,
        evidence,
    });
    Fingerprint {
        suspect: suspect.map(|s| s.component.clone()),
        symptoms: symptoms.collect(),
        components,
        reasons: suspect.map(reasons).unwrap_or_default(),
    }
}

impl Feature {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::TailLatency => "tail_latency",
            Self::Saturation => "saturation",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Availability => "availability",
            Self::Change => "change",
            Self::Reach => "reach",
        }
    }

    // Whether others feel it; the rest is the component's own affair and compares only for the
    // suspect.
    fn is_felt(self) -> bool {
        matches!(
            self,
            Self::Traffic
                | Self::Errors
                | Self::Latency
                | Self::TailLatency
                | Self::Saturation
                | Self::Availability
        )
    }
}

fn roles(
    contrast: &Contrast<'_>,
    component: &ComponentName,
    suspect: Option<&ComponentName>,
) -> Vec<Role> {
    let mut roles = Vec::new();
    let mut callers = contrast.inbound(component).filter_map(|(caller, _)| caller);
    if callers.any(|caller| contrast.is_client(caller)) {
        roles.push(Role::Entrance);
    }
    let Some(suspect) = suspect else {
        roles.push(Role::Other);
        return roles;
    };
    if component == suspect {
        roles.push(Role::Suspect);
    } else if contrast.inbound(suspect).any(|(caller, _)| caller == Some(component)) {
        roles.push(Role::Caller);
    } else if contrast.outbound(suspect).any(|(callee, _)| callee == component) {
        roles.push(Role::Callee);
    } else {
        roles.push(Role::Other);
    }
    roles
}

fn reasons(suspect: &events::catalogue::diagnosis::Suspect) -> BTreeMap<String, f64> {
    let score = suspect.score.get();
    let share = |contribution: f64| (contribution / score * 1_000.0).round() / 1_000.0;
    let terms = suspect.terms.iter().filter(|_| score > 0.0);
    terms.map(|t| (t.name.as_str().to_owned(), share(t.contribution.get()))).collect()
}
