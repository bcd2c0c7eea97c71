//! The whole answer: who is suspected, what it looked like, what it resembles.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::SimilarIncident;
use events::{FaultKind, IncidentId};
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::fingerprint::{self, Fingerprint};
use crate::rank::{Ranker, Ranking};
use crate::similarity::{LEAST_NEAR, PastIncident, Told, nearest};

/// Most similar incidents in a diagnosis.
pub const MOST_SIMILAR: usize = 5;
/// A past incident must be this similar for its fault kind to be assumed.
const LEAST_SIMILAR_FOR_KIND: f64 = 0.6;
/// The suspects whose fault kind is looked for.
const SUSPECTS_WITH_KIND: usize = 3;

/// A diagnosis of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// Who is suspected and why.
    pub ranking: Ranking,
    /// What the incident looked like, seen from the first suspect.
    pub fingerprint: Fingerprint,
    /// What was said of it.
    pub told: Told,
    /// The past incidents that looked like it, the most similar first.
    pub similar: Vec<SimilarIncident>,
}

/// Diagnoses an incident from its evidence and a past of which nothing is known but what was
/// measured. A pure function: the same input gives the same diagnosis, byte for byte (DI-1).
///
/// The ranking stands on the evidence alone. The past adds which incidents were alike, and from
/// those that people or experiments labelled, which kind of fault each of the first suspects
/// would be.
pub fn diagnose(evidence: &Evidence, past: &[PastIncident], ranker: &dyn Ranker) -> Diagnosis {
    let ranked = Ranked::by(ranker, evidence, None);
    let near = ranked.lookups().into_iter().map(|lookup| {
        let known = |past: &&PastIncident| !lookup.of_known_kind || past.fault_kind.is_some();
        let past: Vec<PastIncident> = past.iter().filter(known).cloned().collect();
        nearest(&lookup.fingerprint, &past, lookup.first, lookup.min_score)
    });
    let near = near.collect();
    ranked.against(near, past)
}

/// An incident that is ranked and not yet compared with the past.
#[derive(Clone, Debug)]
pub struct Ranked {
    ranking: Ranking,
    fingerprint: Fingerprint,
    told: Told,
    /// What it looked like, seen from each of the first suspects.
    seen: Vec<Fingerprint>,
}

/// Past incidents that a diagnosis asks for.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Those most like this.
    pub fingerprint: Fingerprint,
    /// And most like this; absent where only what was measured counts.
    pub told: Option<Told>,
    /// At most so many.
    pub first: usize,
    /// None less similar.
    pub min_score: f64,
    /// Only those of a known kind of fault.
    pub of_known_kind: bool,
}

impl Ranked {
    /// The first half of a diagnosis, which needs no past.
    pub fn by(ranker: &dyn Ranker, evidence: &Evidence, title: Option<&str>) -> Self {
        let ranking = ranker.rank(evidence);
        let fingerprint = fingerprint::of(evidence, &ranking);
        let places = 0..ranking.suspects.len().min(SUSPECTS_WITH_KIND);
        let seen = places.map(|place| fingerprint::seen_from(evidence, &ranking, place));
        Self { seen: seen.collect(), told: Told::of(title, evidence), fingerprint, ranking }
    }

    /// What [`Self::against`] needs answers to.
    pub fn lookups(&self) -> Vec<Lookup> {
        let similar = Lookup {
            fingerprint: self.fingerprint.clone(),
            told: Some(self.told.clone()),
            first: MOST_SIMILAR,
            min_score: LEAST_NEAR,
            of_known_kind: false,
        };
        let of_kinds = self.seen.iter().map(|seen| Lookup {
            fingerprint: seen.clone(),
            told: None,
            first: MOST_SIMILAR,
            min_score: LEAST_SIMILAR_FOR_KIND,
            of_known_kind: true,
        });
        std::iter::once(similar).chain(of_kinds).collect()
    }

    /// The second half, from the answers to the [`Self::lookups`] in their order and what is known
    /// of the incidents in them.
    pub fn against(self, near: Vec<Vec<SimilarIncident>>, past: &[PastIncident]) -> Diagnosis {
        let Self { mut ranking, fingerprint, told, .. } = self;
        let mut near = near.into_iter();
        let similar = near.next().unwrap_or_default();
        for (suspect, near) in ranking.suspects.iter_mut().zip(near) {
            // What was labelled is surer than what one observation speaks for.
            suspect.fault_kind = likely_kind(&near, past).or(suspect.fault_kind.take());
        }
        Diagnosis { ranking, fingerprint, told, similar }
    }
}

// The kind that most of the similarity among the nearest labelled incidents speaks for.
fn likely_kind(near: &[SimilarIncident], past: &[PastIncident]) -> Option<FaultKind> {
    let kinds: BTreeMap<&IncidentId, &FaultKind> =
        past.iter().filter_map(|p| Some((&p.incident, p.fault_kind.as_ref()?))).collect();
    let mut votes: BTreeMap<&FaultKind, f64> = BTreeMap::new();
    for similar in near {
        if let Some(kind) = kinds.get(&similar.incident) {
            *votes.entry(kind).or_default() += similar.score.get().powi(4);
        }
    }
    let best = votes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(kind, _)| kind.clone())
}
