//! The fingerprints of all past incidents, kept so that the nearest are found without reading
//! them anew.
//!
//! The answer is that of an exhaustive [`compare`] with every fingerprint that was known at the
//! position. Of each the most that it can score is found first, from small numbers that lie close
//! together; then they are scored, the most promising first, until what is left cannot be among
//! the nearest (the threshold algorithm: R. Fagin, A. Lotem, M. Naor, 2003).

mod best;
mod marks;
mod row;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeSet, BinaryHeap, HashMap};

use events::catalogue::diagnosis::SimilarIncident;
use events::catalogue::label::Claim;
use events::{FaultId, IncidentId, LabelId};

use self::best::{Best, Candidate, Promising};
use self::marks::Marks;
use self::row::Rows;
use super::{Similarity, Told, compare};
use crate::fingerprint::Fingerprint;
use crate::parts::in_parts;
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
    /// The entry of its latest fingerprint.
    latest: Option<u32>,
    labels: Vec<Span>,
}

/// The index. Positions of fingerprints never go back: each replaces what its incident looked
/// like before.
#[derive(Debug, Default)]
pub struct FingerprintIndex {
    incidents: Vec<Incident>,
    by_id: HashMap<IncidentId, u32>,
    /// Entry by entry: whose fingerprint, from which position to which.
    of: Vec<u32>,
    since: Vec<u64>,
    until: Vec<u64>,
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
        let number = self.number(incident);
        let entry = u32::try_from(self.of.len()).expect("fewer entries than memory holds");
        let replaced = self.incidents[number as usize].latest.replace(entry);
        if let Some(replaced) = replaced {
            self.until[replaced as usize] = position;
        }
        self.of.push(number);
        self.since.push(position);
        self.until.push(OPEN);
        self.rows.push(fingerprint);
        self.text.push(&told.text);
        self.structure.push(&told.structure);
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
        self.of.len()
    }

    /// The incidents most like the one in question, the most similar first, by
    /// [`nearest`](super::nearest) over everything that was known.
    pub fn nearest(&self, asked: &Nearest<'_>) -> Vec<SimilarIncident> {
        // Beyond every position there is no other answer than behind the last one.
        let asked = &Nearest { at: asked.at.min(OPEN - 1), ..*asked };
        let prepared = self.rows.ask(asked.fingerprint);
        let most = |entry| self.rows.most(&prepared, entry);
        let promising = self.promising(asked, asked.min_score, most);
        let mut last: Option<(usize, f64)> = None;
        let mut best = Best::of(asked);
        self.search(asked, &mut best, promising, |entry| {
            // The same experiment leaves the same fingerprint again and again.
            let same = last.filter(|(before, _)| self.rows.are_alike(*before, entry));
            let score = same.map_or_else(|| self.rows.score(&prepared, entry), |(_, score)| score);
            last = Some((entry, score));
            score
        });
        best.sorted().into_iter().map(|found| self.answer(asked, &found)).collect()
    }

    /// Scores what is promising, the most promising first, until nothing left can be among the
    /// best.
    fn search<'i>(
        &'i self,
        asked: &Nearest<'_>,
        best: &mut Best<'i>,
        promising: Vec<Promising>,
        mut score: impl FnMut(usize) -> f64,
    ) {
        let mut promising = BinaryHeap::from(promising);
        while let Some(Promising { most, entry }) = promising.pop() {
            if most < best.least() {
                break;
            }
            let entry = entry as usize;
            let incident = &self.incidents[self.of[entry] as usize];
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
        most: impl Fn(usize) -> f64 + Sync,
    ) -> Vec<Promising> {
        let may_answer = self.may_answer(asked);
        in_parts(self.known(asked.at), |part| {
            let mut promising = Vec::new();
            for entry in part.filter(|entry| may_answer(*entry)) {
                let most = most(entry);
                if most > 0.0 && most >= least {
                    let entry = u32::try_from(entry).expect("entries are numbered so");
                    promising.push(Promising { most, entry });
                }
            }
            promising
        })
    }

    /// Whether an entry was the latest of an incident that is not excluded.
    fn may_answer<'s>(&'s self, asked: &'s Nearest<'_>) -> impl Fn(usize) -> bool + 's {
        let excluded = asked.excluding.and_then(|incident| self.by_id.get(incident)).copied();
        move |entry| self.until[entry] > asked.at && Some(self.of[entry]) != excluded
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
        let new = Incident { id: incident.clone(), latest: None, labels: Vec::new() };
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
