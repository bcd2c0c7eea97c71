//! How good rankings are: where the true cause stood, over many cases, and how sure that is.
//!
//! Everything is computed from the cases given and a seed: the same input gives the same bytes.
//! A case whose truth is not known takes no part. How good detection is: [`detection`].
//! How a base did on its own incidents: [`record`].

mod bootstrap;
mod calibration;
mod classes;
pub mod detection;
mod folds;
pub mod record;
pub mod retrieval;

use std::collections::BTreeMap;

use events::ComponentName;

pub use bootstrap::{Interval, interval};
pub use calibration::{brier_score, calibration_error};
pub use classes::{weighted_f1, weighted_f1_interval};
pub use folds::folds;

/// What a ranking made of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case.
    pub case: String,
    /// Under what it is reported.
    pub group: String,
    /// Where the first true cause stood, counted from 0; `None` when it was not among the
    /// suspects or the method abstained.
    pub place: Option<usize>,
}

impl Outcome {
    /// Whether a true cause was among the first `k`.
    pub fn within(&self, k: usize) -> bool {
        self.place.is_some_and(|place| place < k)
    }
}

/// Where the first of the true causes stands among the ranked, counted from 0. Names count
/// verbatim.
pub fn place<'c>(
    truth: &[ComponentName],
    ranked: impl IntoIterator<Item = &'c ComponentName>,
) -> Option<usize> {
    ranked.into_iter().position(|component| truth.contains(component))
}

/// Share of the outcomes with a true cause among the first `k` (top-k recall, AS@k, hit@k); 0
/// without outcomes.
pub fn hit_rate<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>, k: usize) -> f64 {
    let (hits, all) = outcomes
        .into_iter()
        .fold((0usize, 0usize), |(hits, all), o| (hits + usize::from(o.within(k)), all + 1));
    if all == 0 { 0.0 } else { hits as f64 / all as f64 }
}

/// Mean of one divided by the place, counted from 1 (MRR); 0 for what was not found.
pub fn mean_reciprocal_rank<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> f64 {
    let (sum, all) = outcomes.into_iter().fold((0.0, 0usize), |(sum, all), o| {
        (sum + o.place.map_or(0.0, |place| 1.0 / (place + 1) as f64), all + 1)
    });
    if all == 0 { 0.0 } else { sum / all as f64 }
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The group, `all` for the last.
    pub group: String,
    /// How many cases.
    pub cases: usize,
    /// Share of hits and its 95 % interval, for each k asked for.
    pub hits: Vec<(f64, Interval)>,
}

/// A line for each group by name, and one for all. Intervals are percentiles of resampled cases.
pub fn table(outcomes: &[Outcome], ks: &[usize], seed: u64) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        groups.entry(&outcome.group).or_default().push(outcome);
    }
    let mut rows: Vec<(&str, Vec<&Outcome>)> = groups.into_iter().collect();
    rows.push(("all", outcomes.iter().collect()));
    let row = |(group, members): (&str, Vec<&Outcome>)| Row {
        group: group.to_owned(),
        cases: members.len(),
        hits: ks
            .iter()
            .map(|&k| {
                let hits: Vec<f64> =
                    members.iter().map(|o| f64::from(u8::from(o.within(k)))).collect();
                (hit_rate(members.iter().copied(), k), interval(&hits, seed))
            })
            .collect(),
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &str, group: &str, place: Option<usize>) -> Outcome {
        Outcome { case: case.to_owned(), group: group.to_owned(), place }
    }

    #[test]
    fn a_hit_is_a_true_cause_among_the_first() {
        let name = |name: &str| ComponentName::new(name).unwrap();
        let ranked = [name("a"), name("b"), name("c")];
        assert_eq!(place(&[name("c"), name("b")], &ranked), Some(1));
        assert_eq!(place(&[name("B")], &ranked), None, "verbatim");
        let outcomes =
            [outcome("1", "x", Some(0)), outcome("2", "x", Some(2)), outcome("3", "y", None)];
        assert_eq!(hit_rate(&outcomes, 1), 1.0 / 3.0);
        assert_eq!(hit_rate(&outcomes, 3), 2.0 / 3.0);
        assert_eq!(hit_rate([], 1), 0.0);
        assert!((mean_reciprocal_rank(&outcomes) - 4.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn a_table_has_a_line_for_each_group_and_one_for_all() {
        let outcomes =
            [outcome("1", "x", Some(0)), outcome("2", "y", None), outcome("3", "x", Some(0))];
        let rows = table(&outcomes, &[1, 3], 7);
        let told: Vec<_> = rows.iter().map(|r| (r.group.as_str(), r.cases, r.hits[0].0)).collect();
        assert_eq!(told, [("x", 2, 1.0), ("y", 1, 0.0), ("all", 3, 2.0 / 3.0)]);
        assert_eq!(rows, table(&outcomes, &[1, 3], 7));
        let all = rows[2].hits[0].1;
        assert!(all.low < 2.0 / 3.0 && all.high > 2.0 / 3.0, "{all:?}");
    }
}
