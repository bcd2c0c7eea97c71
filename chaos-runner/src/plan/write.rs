//! A proposal as an experiment file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use events::catalogue::fault_kind as kind;
use serde_json::{Value, json};

use super::Proposal;

/// How long a planned fault acts: several windows of telemetry, and no longer than it takes.
const FAULT_MS: u64 = 12_000;

/// What is injected of each kind: strong enough to show, weak enough to undo at any moment.
pub(super) fn arguments(fault_kind: &str) -> BTreeMap<String, Value> {
    let arguments = match fault_kind {
        kind::LATENCY => json!({"delay_ms": 250}),
        kind::JITTER => json!({"max_delay_ms": 600}),
        kind::BANDWIDTH => json!({"bytes_per_second": 600}),
        kind::CONNECTION_RESET => json!({"probability": 0.5}),
        kind::HTTP_ERROR => json!({"probability": 0.5, "status": 503}),
        kind::SLOW_RESPONSE => json!({"probability": 0.5, "delay_ms": 600}),
        kind::CPU_STARVATION => json!({"stopped_share": 0.9, "period_ms": 500}),
        kind::MEMORY_LEAK => json!({"bytes_per_request": 524_288, "limit_bytes": 268_435_456}),
        kind::ERROR_VERSION => json!({"probability": 0.6}),
        kind::SLOW_VERSION => json!({"delay_ms": 400}),
        _ => json!({}),
    };
    arguments.as_object().cloned().unwrap_or_default().into_iter().collect()
}

/// The file's name.
pub fn file_name(proposal: &Proposal) -> String {
    let cell = &proposal.cell;
    let name = format!("{}-{}", cell.fault_kind, cell.component);
    format!("{}.yaml", crate::run::slug(&name))
}

/// The experiment that exercises a cell, in YAML.
pub fn experiment(proposal: &Proposal) -> String {
    let cell = &proposal.cell;
    // A proposal is made only of kinds and components that the shop knows: no name needs quotes.
    let (component, fault) = (cell.component.as_str(), cell.fault_kind.as_str());
    let words = fault.replace('_', " ");
    let why = proposal.reasons.join("; ");
    let arguments: Vec<_> = arguments(fault)
        .into_iter()
        .map(|(name, value)| format!("\n        {name}: {value}"))
        .collect();
    let arguments = match arguments.as_slice() {
        [] => String::new(),
        some => format!("\n      arguments:{}", some.concat()),
    };
    format!(
        r#"title: {words} on {component}
description: >-
  Planned by coverage. {component} × {fault}: {why}.
tags: [planned, {fault}, {component}]
extensions:
  - {{name: faultline, span_ms: 4000, warm_up_ms: 60000, recovery_ms: 60000}}

steady-state-hypothesis:
  title: Users do not notice {words} on {component}
  probes:
    - name: share of failed requests at the front door
      type: probe
      tolerance: [0, 0.02]
      provider: {{type: faultline, signal: error_ratio, component: gateway}}
    - name: p95 at the front door
      type: probe
      tolerance: [0, 500]
      provider: {{type: faultline, signal: p95_ms, component: gateway}}

method:
  - name: inject {words} into {component}
    type: action
    provider:
      type: faultline
      fault: {fault}
      component: {component}{arguments}
      duration_ms: {FAULT_MS}
"#
    )
}

/// Writes the experiment into `folder`. A file that is there stays as it is: somebody may have
/// changed it. `None` then.
pub fn write(proposal: &Proposal, folder: &Path) -> io::Result<Option<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(file_name(proposal));
    match std::fs::File::create_new(&path) {
        Ok(mut file) => {
            file.write_all(experiment(proposal).as_bytes())?;
            Ok(Some(path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use events::Timestamp;

    use super::*;
    use crate::experiment::{self, Provider};
    use crate::plan::{Cell, State, rank};
    use crate::shop::topology::COMPONENTS;

    #[test]
    fn every_cell_of_the_shop_makes_an_experiment_that_is_valid() {
        let cells: Vec<_> = COMPONENTS
            .iter()
            .flat_map(|component| kind::LOCAL.iter().map(move |kind| (component, kind)))
            .map(|(component, kind)| Cell {
                component: component.id(),
                criticality: Some(component.criticality),
                fault_kind: kind.parse().unwrap(),
                state: State::Never,
                last_verdict: None,
                last_exercised_at: None,
                real_incidents: 1,
            })
            .collect();
        let plan = rank(cells, Timestamp::UNIX_EPOCH, 30);
        assert!(plan.proposals.len() > 80, "{} cells", plan.proposals.len());
        for proposal in &plan.proposals {
            let name = file_name(proposal);
            let read = experiment::parse(&name, &experiment(proposal), &|_| None);
            let read = read.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let Provider::Fault(action) = &read.method[0].provider else { panic!("{name}") };
            assert_eq!(action.kind, proposal.cell.fault_kind);
            assert_eq!(action.component, proposal.cell.component);
            assert!(read.hypothesis.is_some_and(|it| !it.probes.is_empty()));
        }
    }

    #[test]
    fn a_file_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cell = Cell {
            component: "cart".parse().unwrap(),
            criticality: None,
            fault_kind: "latency".parse().unwrap(),
            state: State::Never,
            last_verdict: None,
            last_exercised_at: None,
            real_incidents: 0,
        };
        let plan = rank(vec![cell], Timestamp::UNIX_EPOCH, 30);
        let path = write(&plan.proposals[0], folder.path()).unwrap().unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(write(&plan.proposals[0], folder.path()).unwrap(), None);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
    }
}
