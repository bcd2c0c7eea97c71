//! From what was found to how good that is.

use std::collections::BTreeMap;

use super::super::bootstrap::{Interval, interval};
use super::{Grade, Judged};

/// So many places count for the cumulated gain.
const GAINING: usize = 10;

/// How good an answer is, or answers are on average; each from 0 to 1. A place is right from the
/// same kind of fault on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Whether the first was right.
    pub first: f64,
    /// Whether one of the first three was right.
    pub among_three: f64,
    /// One divided by the place of the first that was right (E. Voorhees, TREC-8, 1999).
    pub reciprocal_rank: f64,
    /// Discounted cumulated gain of the first ten, as a share of the most there could be
    /// (K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002).
    pub gain: f64,
}

impl Scores {
    /// Their names, in the order of [`Self::all`].
    pub const NAMES: [&str; 4] = ["hit@1", "hit@3", "MRR", "nDCG@10"];

    /// All of them.
    pub fn all(self) -> [f64; 4] {
        [self.first, self.among_three, self.reciprocal_rank, self.gain]
    }

    fn of_all(all: [f64; 4]) -> Self {
        let [first, among_three, reciprocal_rank, gain] = all;
        Self { first, among_three, reciprocal_rank, gain }
    }

    fn mean<'s>(scores: impl IntoIterator<Item = &'s Self>) -> Self {
        let mut sum = [0.0; 4];
        let mut count = 0.0_f64;
        for scores in scores {
            sum.iter_mut().zip(scores.all()).for_each(|(sum, score)| *sum += score);
            count += 1.0;
        }
        Self::of_all(sum.map(|sum| sum / count.max(1.0)))
    }
}

impl Judged {
    /// Whether the past holds anything right.
    pub fn is_answerable(&self) -> bool {
        self.at_least(Grade::SameKind) > 0
    }

    /// How good the answer was; `None` when there was nothing right to find.
    pub fn scores(&self) -> Option<Scores> {
        let right = self.found.iter().position(|grade| *grade >= Grade::SameKind);
        let within = |k: usize| f64::from(u8::from(right.is_some_and(|place| place < k)));
        self.is_answerable().then(|| Scores {
            first: within(1),
            among_three: within(3),
            reciprocal_rank: right.map_or(0.0, |place| 1.0 / (place + 1) as f64),
            gain: cumulated(self.found.iter().copied()) / self.most_gain(),
        })
    }

    /// How good the past in an order drawn by chance is expected to be, exactly; `None` when there
    /// was nothing right to find. What was found plays no part.
    pub fn by_chance(&self) -> Option<Scores> {
        let right = self.at_least(Grade::SameKind) as f64;
        let all = self.past.iter().sum::<usize>();
        // That the first `k` are all wrong, for k = 0, 1, …
        let mut wrong = vec![1.0];
        for drawn in 0..all {
            let left = all as f64 - drawn as f64;
            let before = wrong.last().copied().unwrap_or(1.0);
            wrong.push(before * ((left - right) / left).max(0.0));
        }
        let within = |k: usize| 1.0 - wrong[k.min(all)];
        let at = |place: usize| wrong[place] - wrong[place + 1];
        let gains = [Grade::SameComponent, Grade::SameKind, Grade::Same];
        let gains = gains.iter().map(|grade| grade.gain() * self.past[*grade as usize] as f64);
        let each = gains.sum::<f64>() / all.max(1) as f64;
        let discounts: f64 = (0..all.min(GAINING)).map(discount).sum();
        self.is_answerable().then(|| Scores {
            first: within(1),
            among_three: within(3),
            reciprocal_rank: (0..all).map(|place| at(place) / (place + 1) as f64).sum(),
            gain: each * discounts / self.most_gain(),
        })
    }

    fn most_gain(&self) -> f64 {
        let grades = [Grade::Same, Grade::SameKind, Grade::SameComponent];
        cumulated(
            grades.iter().flat_map(|grade| vec![*grade; self.past[*grade as usize].min(GAINING)]),
        )
    }
}

fn cumulated(grades: impl Iterator<Item = Grade>) -> f64 {
    let gains = grades.take(GAINING).enumerate();
    gains.map(|(place, grade)| grade.gain() * discount(place)).sum()
}

fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

/// How good the answers to one incident were, on average over the orders in which it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScores {
    /// The incident.
    pub case: String,
    /// Its history.
    pub history: String,
    /// The mean.
    pub scores: Scores,
}

/// The scores of each incident that had anything right to find, by history and name. An incident
/// that was asked in several orders stands once, so that intervals count incidents.
pub fn by_case(judged: &[Judged], scores: impl Fn(&Judged) -> Option<Scores>) -> Vec<CaseScores> {
    let mut cases: BTreeMap<(&str, &str), Vec<Scores>> = BTreeMap::new();
    for judged in judged {
        if let Some(scores) = scores(judged) {
            cases.entry((&judged.history, &judged.case)).or_default().push(scores);
        }
    }
    let of_case = |((history, case), scores): ((&str, &str), Vec<Scores>)| CaseScores {
        case: case.to_owned(),
        history: history.to_owned(),
        scores: Scores::mean(&scores),
    };
    cases.into_iter().map(of_case).collect()
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The history.
    pub history: String,
    /// How many incidents had anything right to find.
    pub cases: usize,
    /// The mean of each score and its 95 % interval, in the order of [`Scores::NAMES`].
    pub scores: [(f64, Interval); 4],
}

/// A line for each history, by name. Intervals are percentiles of resampled incidents.
pub fn rows(cases: &[CaseScores], seed: u64) -> Vec<Row> {
    let row = |history: &str, members: &[[f64; 4]]| Row {
        history: history.to_owned(),
        cases: members.len(),
        scores: intervals(members, seed),
    };
    let mut histories: BTreeMap<&str, Vec<[f64; 4]>> = BTreeMap::new();
    for case in cases {
        histories.entry(&case.history).or_default().push(case.scores.all());
    }
    histories.iter().map(|(history, members)| row(history, members)).collect()
}

/// By how much one way to find is better than another in a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The history.
    pub history: String,
    /// The mean difference of each score and its 95 % interval, in the order of [`Scores::NAMES`].
    /// One that does not hold 0 is no chance.
    pub scores: [(f64, Interval); 4],
}

/// How much better `these` are than `others`, incident by incident: what is hard for both does not
/// widen the interval. Incidents that only one of them has are left out.
pub fn difference(these: &[CaseScores], others: &[CaseScores], seed: u64) -> Vec<Difference> {
    let key = |case: &CaseScores| (case.history.clone(), case.case.clone());
    let others: BTreeMap<(String, String), Scores> =
        others.iter().map(|case| (key(case), case.scores)).collect();
    let mut histories: BTreeMap<&str, Vec<[f64; 4]>> = BTreeMap::new();
    for case in these {
        if let Some(other) = others.get(&key(case)) {
            let (this, other) = (case.scores.all(), other.all());
            let pairs = std::array::from_fn(|n| this[n] - other[n]);
            histories.entry(&case.history).or_default().push(pairs);
        }
    }
    let of_history = |(history, members): (&str, Vec<[f64; 4]>)| Difference {
        history: history.to_owned(),
        scores: intervals(&members, seed),
    };
    histories.into_iter().map(of_history).collect()
}

fn intervals(members: &[[f64; 4]], seed: u64) -> [(f64, Interval); 4] {
    std::array::from_fn(|n| {
        let values: Vec<f64> = members.iter().map(|scores| scores[n]).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        (mean, interval(&values, seed))
    })
}
