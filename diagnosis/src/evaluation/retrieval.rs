//! How well similar incidents are found: every incident asks those that came before it.
//!
//! What is found is judged by labels in grades: the same kind of fault on the same component
//! helps most, the same kind elsewhere more than another kind in the same place. Who answers sees
//! evidence only; the labels of the past are part of the past, that of the question is not.

mod baseline;
mod scores;

use std::collections::BTreeMap;

use events::{ComponentName, FaultKind, Timestamp};

use super::bootstrap::below;
pub use baseline::{Bm25, same_component_most_recent};
pub use scores::{CaseScores, Difference, Row, Scores, by_case, difference, rows};

/// An incident of a history, with what its labels say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The incident.
    pub case: String,
    /// Under what it is reported. Only incidents of the same history are its past.
    pub history: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// The component at fault; of several the first.
    pub component: Option<ComponentName>,
    /// The kind of fault, where it is told.
    pub kind: Option<FaultKind>,
}

/// How much a past incident helps with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Another kind of fault on another component.
    Unrelated,
    /// Another kind of fault on the same component.
    SameComponent,
    /// The same kind of fault on another component.
    SameKind,
    /// The same kind of fault on the same component. Where of the incident in question no kind is
    /// told, the same component.
    Same,
}

impl Grade {
    /// What `past` is to `asked`.
    pub fn of(asked: &Remembered, past: &Remembered) -> Self {
        let component = asked.component.is_some() && asked.component == past.component;
        let kind = asked.kind.is_some() && asked.kind == past.kind;
        match (kind, component) {
            (true, true) => Self::Same,
            (true, false) => Self::SameKind,
            (false, true) if asked.kind.is_none() => Self::Same,
            (false, true) => Self::SameComponent,
            (false, false) => Self::Unrelated,
        }
    }

    /// What finding it is worth: 0 to 3.
    fn gain(self) -> f64 {
        f64::from(self as u8)
    }
}

/// An incident in question and what came before it, as places in the incidents given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The incident that is asked about.
    pub asked: usize,
    /// The earlier ones of its history, the earliest first.
    pub past: Vec<usize>,
}

/// The questions in the order of time: each incident asks those that were noticed before it.
pub fn by_time(incidents: &[Remembered]) -> Vec<Question> {
    let mut order: Vec<usize> = (0..incidents.len()).collect();
    order.sort_by_key(|&place| (incidents[place].at, &incidents[place].case));
    questions(incidents, &order, |asked, past| past.at < asked.at)
}

/// The questions in an order that `seed` draws, for data without times: a list that is sorted by
/// what happened would have every incident preceded by its like.
pub fn by_draw(incidents: &[Remembered], seed: u64) -> Vec<Question> {
    let mut order: Vec<usize> = (0..incidents.len()).collect();
    order.sort_by_key(|&place| &incidents[place].case);
    let mut state = seed;
    for last in (1..order.len()).rev() {
        order.swap(last, below(&mut state, last + 1));
    }
    questions(incidents, &order, |_, _| true)
}

fn questions(
    incidents: &[Remembered],
    order: &[usize],
    is_past: impl Fn(&Remembered, &Remembered) -> bool,
) -> Vec<Question> {
    let mut before: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut questions = Vec::with_capacity(order.len());
    for &asked in order {
        let before = before.entry(&incidents[asked].history).or_default();
        let is_past = |place: &&usize| is_past(&incidents[asked], &incidents[**place]);
        questions.push(Question { asked, past: before.iter().filter(is_past).copied().collect() });
        before.push(asked);
    }
    questions
}

/// What was found for a question, in grades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The incident that was asked about.
    pub case: String,
    /// Its history.
    pub history: String,
    /// What was found, the most similar first; empty when the answer was that nothing is.
    pub found: Vec<Grade>,
    /// How many of the past are of each grade, the least helpful first.
    pub past: [usize; 4],
}

impl Judged {
    /// How many of the past are at least that helpful.
    pub fn at_least(&self, grade: Grade) -> usize {
        self.past[grade as usize..].iter().sum()
    }
}

/// Asks every question whose incident is labelled and judges the answers. `ask` is given the
/// question and returns places of its past, the most similar first; others are passed over.
pub fn judged(
    incidents: &[Remembered],
    questions: &[Question],
    mut ask: impl FnMut(&Question) -> Vec<usize>,
) -> Vec<Judged> {
    let labelled = |question: &&Question| {
        let asked = &incidents[question.asked];
        asked.component.is_some() || asked.kind.is_some()
    };
    let mut judge = |question: &Question| {
        let asked = &incidents[question.asked];
        let grade = |place: &usize| Grade::of(asked, &incidents[*place]);
        let mut past = [0; 4];
        question.past.iter().for_each(|place| past[grade(place) as usize] += 1);
        let mut found: Vec<usize> = Vec::new();
        for place in ask(question) {
            if question.past.contains(&place) && !found.contains(&place) {
                found.push(place);
            }
        }
        Judged {
            case: asked.case.clone(),
            history: asked.history.clone(),
            found: found.iter().map(grade).collect(),
            past,
        }
    };
    questions.iter().filter(labelled).map(&mut judge).collect()
}

#[cfg(test)]
mod tests;
