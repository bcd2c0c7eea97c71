//! How well similar incidents are found: a table, or JSON.

use datasets::remembered::{Found, Way};
use diagnosis::evaluation::Interval;
use diagnosis::evaluation::retrieval::{Difference, Scores, difference, rows};
use serde_json::{Value, json};

use super::report::plain;

/// Of the resampling behind the intervals.
const SEED: u64 = 1;

/// Every way of asking by history, and by how much the last is ahead of the others.
pub(crate) fn table(found: &Found) -> String {
    let mut table = plain(["HISTORY", "CASES", "BY"].into_iter().chain(Scores::NAMES));
    for Way { name, scores } in &found.ways {
        for row in rows(scores, SEED) {
            let cells = [row.history.clone(), row.cases.to_string(), (*name).to_owned()];
            table.add_row(cells.into_iter().chain(told(&row.scores)));
        }
    }
    let mut ahead = plain(["HISTORY", "AHEAD OF"].into_iter().chain(Scores::NAMES));
    for (name, row) in differences(found) {
        let cells = [row.history.clone(), name.to_owned()];
        ahead.add_row(cells.into_iter().chain(told(&row.scores)));
    }
    format!("{}\n\n{}", table.trim_fmt(), ahead.trim_fmt())
}

/// The same as one document.
pub(crate) fn json(found: &Found, data_set: &str) -> Value {
    let scores = |scores: &[(f64, Interval); 4]| -> Value {
        let named = Scores::NAMES.iter().zip(scores).map(|(name, (mean, interval))| {
            let told = json!({ "mean": mean, "interval": [interval.low, interval.high] });
            ((*name).to_owned(), told)
        });
        named.collect::<serde_json::Map<_, _>>().into()
    };
    let ways = found.ways.iter().flat_map(|way| {
        rows(&way.scores, SEED).into_iter().map(|row| {
            json!({ "by": way.name, "history": row.history, "cases": row.cases,
                    "scores": scores(&row.scores) })
        })
    });
    let ahead = differences(found).map(
        |(name, row)| json!({ "of": name, "history": row.history, "scores": scores(&row.scores) }),
    );
    json!({ "task": "similarity", "dataset": data_set,
            "ways": ways.collect::<Vec<_>>(), "ahead": ahead.collect::<Vec<_>>() })
}

fn differences(found: &Found) -> impl Iterator<Item = (&'static str, Difference)> {
    found.ways.split_last().into_iter().flat_map(|(last, others)| {
        others.iter().flat_map(|other| {
            let rows = difference(&last.scores, &other.scores, SEED);
            rows.into_iter().map(|row| (other.name, row))
        })
    })
}

fn told(scores: &[(f64, Interval); 4]) -> [String; 4] {
    scores
        .each_ref()
        .map(|(mean, interval)| format!("{mean:.3} [{:.2}, {:.2}]", interval.low, interval.high))
}
