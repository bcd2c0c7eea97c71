//! The whole answer: who is suspected, what it looked like, what it resembles.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::SimilarIncident;
use events::{FaultKind, IncidentId};
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::fingerprint::{self, Fingerprint};
use crate::rank::{Ranker, Ranking};
use crate::similarity::{PastIncident, nearest};

/// Most similar incidents in a diagnosis.
pub const MOST_SIMILAR: usize = 5;
/// Incidents less similar than this are not worth showing.
pub const LEAST_SIMILAR: f64 = 0.3;
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
    /// The past incidents that looked like it, the most similar first.
    pub similar: Vec<SimilarIncident>,
}

/// Diagnoses an incident from its evidence and the past. A pure function: the same input gives
/// the same diagnosis, byte for byte (DI-1).
///
/// The ranking stands on the evidence alone. The past adds which incidents were alike, and from
/// those that people or experiments labelled, which kind of fault each of the first suspects
/// would be.
pub fn diagnose(evidence: &Evidence, past: &[PastIncident], ranker: &dyn Ranker) -> Diagnosis {
    Ranked::by(ranker, evidence).against(past)
}

/// An incident that is ranked and not yet compared with the past.
#[derive(Clone, Debug)]
pub struct Ranked {
    ranking: Ranking,
    fingerprint: Fingerprint,
    /// What it looked like, seen from each of the first suspects.
    seen: Vec<Fingerprint>,
}

/// Which past incidents a diagnosis needs: no others change it.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Those most like this.
    pub fingerprint: Fingerprint,
    /// At most so many.
    pub first: usize,
    /// None less similar.
    pub min_score: f64,
    /// Only those of a known kind of fault.
    pub of_known_kind: bool,
}

impl Ranked {
    /// The first half of [`diagnose`], which needs no past.
    pub fn by(ranker: &dyn Ranker, evidence: &Evidence) -> Self {
        let ranking = ranker.rank(evidence);
        let fingerprint = fingerprint::of(evidence, &ranking);
        let places = 0..ranking.suspects.len().min(SUSPECTS_WITH_KIND);
        let seen = places.map(|place| fingerprint::seen_from(evidence, &ranking, place));
        Self { seen: seen.collect(), fingerprint, ranking }
    }

    /// The past incidents that [`Self::against`] needs. The nearest of all are also the nearest
    /// among these, so to leave out the rest changes nothing.
    pub fn lookups(&self) -> Vec<Lookup> {
        let similar = Lookup {
            fingerprint: self.fingerprint.clone(),
            first: MOST_SIMILAR,
            min_score: LEAST_SIMILAR,
            of_known_kind: false,
        };
        let of_kinds = self.seen.iter().map(|seen| Lookup {
            fingerprint: seen.clone(),
            first: MOST_SIMILAR,
            min_score: LEAST_SIMILAR_FOR_KIND,
            of_known_kind: true,
        });
        std::iter::once(similar).chain(of_kinds).collect()
    }

    /// The second half of [`diagnose`].
    pub fn against(self, past: &[PastIncident]) -> Diagnosis {
        let Self { mut ranking, fingerprint, seen } = self;
        let similar = nearest(&fingerprint, past, MOST_SIMILAR, LEAST_SIMILAR);
        let labelled: Vec<PastIncident> =
            past.iter().filter(|past| past.fault_kind.is_some()).cloned().collect();
        for (suspect, seen) in ranking.suspects.iter_mut().zip(&seen) {
            // What was labelled is surer than what one observation speaks for.
            suspect.fault_kind = likely_kind(seen, &labelled).or(suspect.fault_kind.take());
        }
        Diagnosis { ranking, fingerprint, similar }
    }
}

// The kind that most of the similarity among the nearest labelled incidents speaks for.
fn likely_kind(fingerprint: &Fingerprint, labelled: &[PastIncident]) -> Option<FaultKind> {
    let kinds: BTreeMap<&IncidentId, &FaultKind> =
        labelled.iter().filter_map(|p| Some((&p.incident, p.fault_kind.as_ref()?))).collect();
    let mut votes: BTreeMap<&FaultKind, f64> = BTreeMap::new();
    for similar in nearest(fingerprint, labelled, MOST_SIMILAR, LEAST_SIMILAR_FOR_KIND) {
        if let Some(kind) = kinds.get(&similar.incident) {
            *votes.entry(kind).or_default() += similar.score.get().powi(4);
        }
    }
    let best = votes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(kind, _)| kind.clone())
}
