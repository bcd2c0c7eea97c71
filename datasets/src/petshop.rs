//! PetShop: metrics of AWS components every five minutes, a call graph, issues with an alarm.
//!
//! Hardt, Orchard, Blöbaum, Kirschbaum, Kasiviswanathan: "The PetShop Dataset - Finding Causes of
//! Performance Issues across Microservices", CLeaR 2024 (arXiv 2311.04806), CC-BY-4.0.
//!
//! ```text
//! <scenario>/graph.csv                    cell (row, column) is not 0: row calls column
//! <scenario>/noissue/metrics.csv          normal operation, shared by the issues of the scenario
//! <scenario>/<split>/<issue>/metrics.csv  around the alarm
//! <scenario>/<split>/<issue>/target.json  the alarm, and the truth
//! ```
//!
//! What was injected (`metadata`) is not read at all: it is part of the answer.

mod graph;
mod metrics;
mod target;

use std::path::Path;

use events::AlertId;
use events::catalogue::alert::AlertFired;
use events::catalogue::incident::Severity;
use events::catalogue::topology::DependencyObserved;
use events::value::Line;

use crate::case::{Case, DataSet, Noticed, Period, Recorder, Skipped};
use crate::table::{self, ReadError};
use graph::Graph;
use metrics::{Metrics, STEP};
use target::Target;

const NAME: &str = "petshop";
const NORMAL: &str = "noissue";

/// Reads every scenario below `path`, or the one that `path` is.
pub fn read(path: &Path) -> Result<DataSet, ReadError> {
    let mut data_set = DataSet { name: NAME, ..DataSet::default() };
    for scenario in table::folders(path)? {
        read_scenario(&mut data_set, &path.join(&scenario), &scenario)?;
    }
    if data_set.cases.is_empty() && data_set.skipped.is_empty() {
        let expected = "issues of PetShop (SCENARIO/SPLIT/ISSUE/target.json)";
        return Err(ReadError::NotFound { path: path.to_owned(), expected });
    }
    data_set.cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(data_set)
}

fn read_scenario(data_set: &mut DataSet, folder: &Path, scenario: &str) -> Result<(), ReadError> {
    let graph = Graph::read(&folder.join("graph.csv"))?;
    let normal = Metrics::read(&folder.join(NORMAL).join("metrics.csv"))?;
    let periods: Vec<String> = normal.iter().map(|_| format!("{scenario}/{NORMAL}")).collect();
    if let (Some(metrics), Some(name)) = (normal, periods.first()) {
        let mut recorder = Recorder::new(NAME, name);
        metrics.record(&mut recorder);
        data_set.periods.push(Period { name: name.clone(), events: recorder.finish() });
    }
    for split in table::folders(folder)?.into_iter().filter(|split| split != NORMAL) {
        for issue in table::folders(&folder.join(&split))? {
            let path = folder.join(&split).join(&issue);
            let name = format!("{scenario}/{split}/{issue}");
            match read_issue(&path, scenario, &name, &graph)? {
                Ok(case) => data_set.cases.push(Case { periods: periods.clone(), ..case }),
                Err(reason) => data_set.skipped.push(Skipped { path, reason }),
            }
        }
    }
    Ok(())
}

fn read_issue(
    path: &Path,
    scenario: &str,
    name: &str,
    graph: &Graph,
) -> Result<Result<Case, String>, ReadError> {
    let Some(text) = table::text(&path.join("target.json"))? else {
        return Ok(Err("no target.json: nothing says what alarmed".to_owned()));
    };
    let target = match Target::parse(&text) {
        Ok(target) => target,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some(metrics) = Metrics::read(&path.join("metrics.csv"))? else {
        return Ok(Err("no metrics.csv: nothing was measured".to_owned()));
    };
    // The row that the alarm is in the first half of shows the fault already, as far as it shows.
    let rows = metrics.starts().filter(|start| *start + STEP / 2 >= target.at);
    let at = rows.min().unwrap_or(target.at);
    let mut recorder = Recorder::new(NAME, name);
    let first = metrics.starts().min().unwrap_or(at);
    for (caller, callee) in graph.calls() {
        let (caller, callee) = (caller.clone(), callee.clone());
        let what = format!("call {caller} {callee}");
        recorder.record(&what, first, DependencyObserved { caller, callee, protocol: None });
    }
    metrics.record(&mut recorder);
    recorder.record("alert", at + STEP, alarm(name, &target));
    Ok(Ok(Case {
        name: name.to_owned(),
        group: group(scenario, &target),
        periods: Vec::new(),
        events: recorder.finish(),
        noticed: Noticed { component: target.component, at, until: None },
        title: None,
        truth: target.truth,
    }))
}

fn alarm(name: &str, target: &Target) -> AlertFired {
    AlertFired {
        alert: AlertId::new(
            format!("{NAME}/{name}").chars().take(AlertId::MAX_CHARS).collect::<String>(),
        )
        .expect("a folder's name has no control character and the length was cut"),
        name: Line::clipped(&format!("{} {}", target.metric, target.statistic)),
        component: Some(target.component.clone()),
        severity: Severity::Error,
        summary: None,
        labels: [
            ("metric".to_owned(), Line::clipped(&target.metric)),
            ("statistic".to_owned(), Line::clipped(&target.statistic)),
        ]
        .into(),
    }
}

// As the authors report: by traffic and by what alarmed; both temporal scenarios together.
fn group(scenario: &str, target: &Target) -> String {
    let traffic = scenario.split("_traffic").next().unwrap_or(scenario);
    format!("{traffic} {}", target.metric)
}
