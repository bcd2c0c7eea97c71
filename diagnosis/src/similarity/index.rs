//! The fingerprints of all past incidents, kept so that the nearest are found without reading
//! them anew.
//!
//! The answer is that of an exhaustive [`compare`] with every fingerprint that was known at the
//! position. Of each the most that it can score is found first, from small numbers that lie close
//! together; then they are scored, the most promising first, until what is left cannot be among
//! the nearest (the threshold algorithm: R. Fagin, A. Lotem, M. Naor, 2003).

mod best;
mod layers;
mod marks;
mod row;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::Range;

use events::catalogue::diagnosis::SimilarIncident;
use events::catalogue::label::Claim;
use events::{FaultId, IncidentId, LabelId};

use self::best::{Best, Candidate, Promising};
use self::layers::{Entry, Layer, Layers};
use self::marks::Marks;
use self::row::Rows;
use super::{Similarity, Told, compare};
use crate::fingerprint::Fingerprint;
use crate::parts::{GRANULE, in_parts};
use crate::verdict::{Opinion, verdict};

/// Still known.
const OPEN: u64 = u64::MAX;

/// A label, which may decide whether an incident is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The incident.
    pub incident: IncidentId,
    /// What the label says of it.
    pub opinion: Opinion,
    /// The injected fault that it is known from.
    pub fault: Option<FaultId>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Nearest<'q> {
    /// What it looks like.
    pub fingerprint: &'q Fingerprint,
    /// As known at this position.
    pub at: u64,
    /// At most so many.
    pub first: usize,
    /// None less similar.
    pub min_score: f64,
    /// Not this incident.
    pub excluding: Option<&'q IncidentId>,
    /// Labels known from these faults do not count.
    pub withheld: &'q BTreeSet<FaultId>,
    /// Only incidents of which labels say the kind of fault.
    pub of_known_kind: bool,
}

#[derive(Debug)]
struct Span {
    opinion: Opinion,
    fault: Option<FaultId>,
    since: u64,
    until: u64,
}

#[derive(Debug)]
struct Incident {
    id: IncidentId,
    /// Where its latest fingerprint stands.
    place: Option<usize>,
    labels: Vec<Span>,
}

/// Whose fingerprint an entry is, from which position to which.
#[derive(Debug)]
struct Life {
    of: u32,
    since: u64,
    until: u64,
}

/// The index. Positions of fingerprints never go back: each replaces what its incident looked
/// like before.
#[derive(Debug, Default)]
pub struct FingerprintIndex {
    incidents: Vec<Incident>,
    by_id: HashMap<IncidentId, u32>,
    /// Since when each fingerprint is known.
    since: Vec<u64>,
    lives: Layers<Life>,
    rows: Rows,
    text: Marks,
    structure: Marks,
    /// Which incident a label is on, to find it when it is taken back.
    labelled: HashMap<LabelId, u32>,
}

impl FingerprintIndex {
    /// An incident looks like this from `position` on, in place of what it looked like before.
    /// Nothing is told of it.
    ///
    /// # Panics
    /// When `position` is below that of an earlier fingerprint.
    pub fn put(&mut self, position: u64, incident: &IncidentId, fingerprint: &Fingerprint) {
        self.put_told(position, incident, fingerprint, &Told::default());
    }

    /// As [`Self::put`], of an incident that is told so.
    ///
    /// # Panics
    /// When `position` is below that of an earlier fingerprint.
    pub fn put_told(
        &mut self,
        position: u64,
        incident: &IncidentId,
        fingerprint: &Fingerprint,
        told: &Told,
    ) {
        let last = self.since.last().copied().unwrap_or(0);
        assert!(position >= last, "position {position} comes behind {last}");
        let of = self.number(incident);
        let next = self.lives.all(Layer::Standing).len();
        let place = *self.incidents[of as usize].place.get_or_insert(next);
        if let Some(replaced) = self.lives.standing_mut(place) {
            replaced.until = position;
        }
        self.since.push(position);
        self.lives.put(place, Life { of, since: position, until: OPEN });
        self.rows.put(place, fingerprint);
        self.text.put(place, &told.text);
        self.structure.put(place, &told.structure);
    }

    /// A label was given at `position`. A label is given once.
    pub fn label(&mut self, position: u64, labelled: Labelled) {
        if self.labelled.contains_key(&labelled.opinion.label) {
            return;
        }
        let number = self.number(&labelled.incident);
        let Labelled { opinion, fault, .. } = labelled;
        self.labelled.insert(opinion.label.clone(), number);
        let span = Span { opinion, fault, since: position, until: OPEN };
        self.incidents[number as usize].labels.push(span);
    }

    /// A label was taken back at `position`. Labels that decide nothing here are passed over.
    pub fn unlabel(&mut self, position: u64, label: &LabelId) {
        let Some(number) = self.labelled.get(label) else { return };
        let spans = &mut self.incidents[*number as usize].labels;
        let given = |span: &&mut Span| span.opinion.label == *label && span.until == OPEN;
        spans.iter_mut().filter(given).for_each(|span| span.until = position);
    }

    /// How many fingerprints the index keeps, those that were replaced included.
    pub fn kept(&self) -> usize {
        self.since.len()
    }

    /// The incidents most like the one in question, the most similar first, by
    /// [`nearest`](super::nearest) over everything that was known.
    pub fn nearest(&self, asked: &Nearest<'_>) -> Vec<SimilarIncident> {
        // Beyond every position there is no other answer than behind the last one.
        let asked = &Nearest { at: asked.at.min(OPEN - 1), ..*asked };
        let prepared = self.rows.ask(asked.fingerprint);
        let most = |entry| self.rows.most(&prepared, entry);
        let promising = self.promising(asked, asked.min_score, most);
        let mut best = Best::of(asked);
        self.search(asked, &mut best, promising, self.rows.scores(&prepared));
        best.sorted().into_iter().map(|found| self.answer(asked, &found)).collect()
    }

    /// Scores what is promising, the most promising first, until nothing left can be among the
    /// best.
    fn search<'i>(
        &'i self,
        asked: &Nearest<'_>,
        best: &mut Best<'i>,
        promising: Vec<Promising>,
        mut score: impl FnMut(Entry) -> f64,
    ) {
        let mut promising = BinaryHeap::from(promising);
        while let Some(Promising { most, entry }) = promising.pop() {
            if most < best.least() {
                break;
            }
            let incident = &self.incidents[self.lives.get(entry).of as usize];
            if incident.counts(asked) {
                best.offer(Candidate { score: score(entry), incident: &incident.id, entry });
            }
        }
    }

    /// The entries that may be an answer and can score at least so much, each with the most that
    /// it can score. Labels are not looked at yet.
    fn promising(
        &self,
        asked: &Nearest<'_>,
        least: f64,
        most: impl Fn(Entry) -> f64 + Sync,
    ) -> Vec<Promising> {
        let excluded = asked.excluding.and_then(|incident| self.by_id.get(incident)).copied();
        let may_answer = |life: &Life| {
            life.since <= asked.at && life.until > asked.at && Some(life.of) != excluded
        };
        let in_layer = |(layer, places): (Layer, Range<usize>)| {
            in_parts(places, |part| {
                let mut promising = Vec::new();
                let lives = part.clone().zip(&self.lives.all(layer)[part]);
                for (place, _) in lives.filter(|(_, life)| may_answer(life)) {
                    let entry = Entry::new(layer, place);
                    let most = most(entry);
                    if most > 0.0 && most >= least {
                        promising.push(Promising { most, entry });
                    }
                }
                promising
            })
        };
        let [mut promising, ended] = self.layers(asked.at).map(in_layer);
        promising.extend(ended);
        promising
    }

    /// The places of each layer that may have been the latest of an incident: an entry that ended
    /// before is no answer. They begin at a whole byte of bits.
    fn layers(&self, at: u64) -> [(Layer, Range<usize>); 2] {
        Layer::ALL.map(|layer| {
            let lives = self.lives.all(layer);
            let from = match layer {
                Layer::Standing => 0,
                Layer::Ended => lives.partition_point(|life| life.until <= at),
            };
            (layer, from / GRANULE * GRANULE..lives.len())
        })
    }

    /// How many entries were put up to a position.
    fn known(&self, at: u64) -> usize {
        self.since.partition_point(|since| *since <= at)
    }

    fn answer(&self, asked: &Nearest<'_>, found: &Candidate<'_>) -> SimilarIncident {
        let Similarity { score, reasons } =
            compare(asked.fingerprint, &self.rows.fingerprint(found.entry));
        debug_assert!(score.get() == found.score, "{} is not {}", found.score, score.get());
        SimilarIncident { incident: found.incident.clone(), score, reasons }
    }

    fn number(&mut self, incident: &IncidentId) -> u32 {
        if let Some(number) = self.by_id.get(incident) {
            return *number;
        }
        let number = u32::try_from(self.incidents.len()).expect("fewer than memory holds");
        self.by_id.insert(incident.clone(), number);
        let new = Incident { id: incident.clone(), place: None, labels: Vec::new() };
        self.incidents.push(new);
        number
    }
}

impl Incident {
    /// Whether it is a past to compare with: nobody knows better that nothing was wrong.
    fn counts(&self, asked: &Nearest<'_>) -> bool {
        let standing = || {
            self.labels.iter().filter(|span| {
                let fault = span.fault.as_ref();
                span.since <= asked.at
                    && span.until > asked.at
                    && fault.is_none_or(|fault| !asked.withheld.contains(fault))
            })
        };
        let says = |which: fn(&Claim) -> bool| standing().any(|it| which(&it.opinion.claim));
        if says(|claim| *claim == Claim::FalsePositive {}) {
            let verdict = verdict(standing().map(|span| span.opinion.clone()));
            let known = verdict.fault_kind().is_some();
            return !verdict.is_false_positive() && (known || !asked.of_known_kind);
        }
        !asked.of_known_kind || says(|claim| matches!(claim, Claim::FaultKind { .. }))
    }
}
