//! What an evaluation comes to: a table for people, a line a case for programs.

use std::collections::BTreeSet;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use diagnosis::evaluation::{self, Outcome, place};
use events::EventId;
use serde_json::{Value, json};

use super::Answer;

/// The k of the hit rates.
const PLACES: [usize; 3] = [1, 3, 5];
/// Of the resampling behind the intervals.
const SEED: u64 = 1;

/// What became of the cases whose truth is told.
fn outcomes(answers: &[Answer<'_>]) -> Vec<Outcome> {
    let outcome = |answer: &Answer<'_>| {
        let truth = answer.case.truth.as_ref()?;
        let suspects = answer.ranking.suspects.iter().map(|suspect| &suspect.component);
        Some(Outcome {
            case: answer.case.name.clone(),
            group: answer.case.group.clone(),
            place: place(&truth.root_causes, suspects),
        })
    };
    answers.iter().filter_map(outcome).collect()
}

/// The same, with a cause found only where calls lead to it from where the incident was noticed.
fn grounded(answers: &[Answer<'_>]) -> Vec<Outcome> {
    let told = answers.iter().filter(|it| it.case.truth.is_some());
    let mut outcomes = outcomes(answers);
    for (outcome, answer) in outcomes.iter_mut().zip(told) {
        outcome.place = outcome.place.filter(|_| answer.has_path);
    }
    outcomes
}

/// Share of hits a group, with 95 % intervals, and the cases whose cause did not come first.
pub(crate) fn table(answers: &[Answer<'_>]) -> String {
    let outcomes = outcomes(answers);
    let method = method(answers);
    let hits = PLACES.map(|k| format!("TOP-{k}")).into_iter().chain(["TOP-1 BY PATH".to_owned()]);
    let mut table = plain(["GROUP".to_owned(), "CASES".to_owned()].into_iter().chain(hits));
    let by_path = evaluation::table(&grounded(answers), &PLACES[..1], SEED);
    for (row, by_path) in evaluation::table(&outcomes, &PLACES, SEED).into_iter().zip(by_path) {
        let hits = row.hits.iter().chain(&by_path.hits).map(|(share, interval)| {
            format!("{share:.3} [{:.2}, {:.2}]", interval.low, interval.high)
        });
        table.add_row([row.group.clone(), row.cases.to_string()].into_iter().chain(hits));
    }
    let abstained = answers.iter().filter(|it| it.ranking.abstained.is_some()).count();
    let slowest = answers.iter().map(|it| it.took).max().unwrap_or_default();
    let mut text = format!(
        "{method}: {} cases, of {} the truth is told; abstained in {abstained}; the slowest took {:.1} ms\n{}\n",
        answers.len(),
        outcomes.len(),
        slowest.as_secs_f64() * 1e3,
        table.trim_fmt(),
    );
    for missed in outcomes.iter().filter(|it| it.place != Some(0)) {
        let found = missed.place.map_or("not found".to_owned(), |n| format!("at place {}", n + 1));
        text.push_str(&format!("missed: {} {found}\n", missed.case));
    }
    text.truncate(text.trim_end().len());
    text
}

/// A table without lines, for terminals of any width.
pub(crate) fn plain<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
    table
}

fn method<'a>(answers: &'a [Answer<'_>]) -> &'a str {
    answers.first().map_or("", |answer| answer.ranking.method.as_str())
}

/// One line a case, and one for all. But for `elapsed_ms` the same input gives the same bytes.
pub(crate) fn json_lines(answers: &[Answer<'_>], data_set: &str) -> Vec<Value> {
    let outcomes = outcomes(answers);
    let method = method(answers);
    let mut lines: Vec<Value> = answers.iter().map(line).collect();
    let by_path = evaluation::table(&grounded(answers), &PLACES[..1], SEED);
    let groups: Vec<Value> = evaluation::table(&outcomes, &PLACES, SEED)
        .into_iter()
        .zip(by_path)
        .map(|(row, by_path)| {
            let mut group = json!({ "group": row.group, "cases": row.cases });
            for (k, (share, interval)) in PLACES.iter().zip(row.hits) {
                group[format!("top_{k}")] = json!(share);
                group[format!("top_{k}_interval")] = json!([interval.low, interval.high]);
            }
            for (share, interval) in by_path.hits {
                group["top_1_by_path"] = json!(share);
                group["top_1_by_path_interval"] = json!([interval.low, interval.high]);
            }
            group
        })
        .collect();
    lines.push(json!({ "summary": {
        "task": "rca", "dataset": data_set, "method": method, "cases": answers.len(),
        "with_truth": outcomes.len(), "groups": groups,
    } }));
    lines
}

fn line(answer: &Answer<'_>) -> Value {
    let suspects = answer.ranking.suspects.iter().map(|suspect| {
        let evidence: BTreeSet<EventId> =
            suspect.terms.iter().flat_map(|term| term.evidence.iter().copied()).collect();
        json!({
            "component": suspect.component,
            "score": suspect.score,
            "fault_kind": suspect.fault_kind,
            "path": suspect.path,
            "evidence": evidence,
        })
    });
    json!({
        "case": answer.case.name,
        "ranking": suspects.collect::<Vec<_>>(),
        "abstained": answer.ranking.abstained.is_some(),
        "elapsed_ms": (answer.took.as_secs_f64() * 1e6).round() / 1e3,
    })
}
