//! How often the kind of fault is told: a table, or a line a case.

use std::collections::BTreeMap;

use diagnosis::evaluation::weighted_f1;
use events::FaultKind;
use serde_json::{Value, json};

use super::Told;
use super::report::plain;

/// What the cases of a group are, and what they were taken for.
type Pairs<'a> = Vec<(&'a FaultKind, Option<&'a FaultKind>)>;

/// By group, and `all` last.
fn groups<'a>(answers: &'a [Told<'_>]) -> Vec<(&'a str, Pairs<'a>)> {
    let mut groups: BTreeMap<&str, Pairs<'a>> = BTreeMap::new();
    let mut all = Pairs::new();
    for answer in answers {
        let Some(truth) = answer.case.truth.as_ref().and_then(|it| it.fault_kind.as_ref()) else {
            continue;
        };
        let pair = (truth, answer.kinds.first().map(|(kind, _)| kind));
        groups.entry(&answer.case.group).or_default().push(pair);
        all.push(pair);
    }
    groups.into_iter().chain([("all", all)]).collect()
}

fn accuracy(pairs: &Pairs<'_>) -> f64 {
    let right = pairs.iter().filter(|(truth, taken)| Some(*truth) == *taken).count();
    right as f64 / pairs.len().max(1) as f64
}

/// Weighted F1 and accuracy a group.
pub(crate) fn table(answers: &[Told<'_>]) -> String {
    let mut table = plain(["GROUP", "CASES", "WEIGHTED F1", "RIGHT"]);
    for (group, pairs) in groups(answers) {
        let (f1, right) = (weighted_f1(&pairs), accuracy(&pairs));
        let (f1, right) = (format!("{f1:.3}"), format!("{right:.3}"));
        table.add_row([group.to_owned(), pairs.len().to_string(), f1, right]);
    }
    let abstained = answers.iter().filter(|answer| answer.kinds.is_empty()).count();
    format!("{} cases; abstained in {abstained}\n{}", answers.len(), table.trim_fmt())
}

/// One line a case with the probability of every kind, and one for all.
pub(crate) fn json_lines(answers: &[Told<'_>], data_set: &str) -> Vec<Value> {
    let line = |answer: &Told<'_>| {
        let kinds = answer.kinds.iter().map(|(kind, probability)| {
            json!({ "fault_kind": kind, "probability": (probability * 1e6).round() / 1e6 })
        });
        json!({
            "case": answer.case.name,
            "fault_kind": answer.kinds.first().map(|(kind, _)| kind),
            "kinds": kinds.collect::<Vec<_>>(),
            "abstained": answer.kinds.is_empty(),
        })
    };
    let groups: Vec<Value> = groups(answers)
        .into_iter()
        .map(|(group, pairs)| {
            let (f1, right) = (weighted_f1(&pairs), accuracy(&pairs));
            json!({ "group": group, "cases": pairs.len(), "weighted_f1": f1, "accuracy": right })
        })
        .collect();
    let summary = json!({ "summary": {
        "task": "classify", "dataset": data_set, "cases": answers.len(), "groups": groups,
    } });
    answers.iter().map(line).chain([summary]).collect()
}
