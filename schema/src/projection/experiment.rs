//! Chaos experiments and their faults: ground truth, in tables that no diagnosis reads.

use events::RecordedEvent;
use events::catalogue::experiment::{
    ExperimentFinished, ExperimentPlanned, ExperimentStarted, FaultCleared, FaultInjected,
    SteadyStateMeasured,
};
use surrealdb::types::Value;

use super::{ProjectError, word};
use crate::change::{Change, Keep, Merge, Upsert, component_seen};
use crate::table::{RowId, Table};
use crate::value::{float, json, object, optional, text, texts, time};

pub(super) fn planned(
    recorded: &RecordedEvent,
    data: &ExperimentPlanned,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Experiment, &data.experiment)
        .newest(at, "title", text(data.title.as_str()))
        .newest(at, "description", optional(data.description.as_ref(), |it| text(it.as_str())))
        .newest(at, "hypothesis", optional(data.hypothesis.as_ref(), |it| text(it.as_str())))
        .newest(at, "tags", texts(&data.tags))
        .newest(at, "planned_at", time(at));
    Ok(vec![row.into()])
}

pub(super) fn started(recorded: &RecordedEvent, data: &ExperimentStarted) -> Vec<Change> {
    let at = recorded.event.time;
    vec![
        Upsert::node(Table::Experiment, &data.experiment)
            .with("started_at", Merge::Earliest(at))
            .into(),
    ]
}

pub(super) fn steady_state_measured(
    recorded: &RecordedEvent,
    data: &SteadyStateMeasured,
) -> Result<Vec<Change>, ProjectError> {
    let entry = object([
        ("phase", text(word("phase", &data.phase)?)),
        ("held", Value::Bool(data.held)),
        ("probes", json("probes", &data.probes)?),
        ("at", time(recorded.event.time)),
        ("event", text(recorded.event.id.to_string())),
    ]);
    let row = Upsert::node(Table::Experiment, &data.experiment)
        .with("steady_states", Merge::Entry { by: "event", entry, keep: Keep::Newer });
    Ok(vec![row.into()])
}

pub(super) fn fault_injected(
    recorded: &RecordedEvent,
    data: &FaultInjected,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let peer = optional(data.peer.as_ref(), |it| text(it.as_str()));
    let mut row = Upsert::node(Table::Fault, &data.fault)
        .newest(at, "kind", text(data.kind.as_str()))
        .newest(at, "component", text(data.component.as_str()))
        .newest(at, "peer", peer.clone())
        .newest(at, "deadline_ms", optional(data.deadline_ms, float))
        .newest(at, "injected_at", time(at))
        .newest(at, "parameters", json("parameters", &data.parameters)?);
    let mut changes = vec![
        component_seen(&data.component, at).into(),
        Upsert::node(Table::FaultKind, &data.kind).into(),
    ];
    changes.extend(data.peer.iter().map(|peer| component_seen(peer, at).into()));
    if let Some(experiment) = &data.experiment {
        row = row.newest(at, "experiment", text(experiment.as_str()));
        changes.push(Upsert::node(Table::Experiment, experiment).into());
        changes.push(part_of(&data.fault, experiment));
    }
    changes.push(row.into());
    changes.push(
        Upsert::edge(
            Table::InjectedInto,
            RowId::node(Table::Fault, &data.fault),
            RowId::node(Table::Component, &data.component),
        )
        .set("peer", peer)
        .into(),
    );
    Ok(changes)
}

pub(super) fn fault_cleared(
    recorded: &RecordedEvent,
    data: &FaultCleared,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let mut row = Upsert::node(Table::Fault, &data.fault)
        .newest(at, "cleared_at", time(at))
        .newest(at, "cleared_by", text(word("cleared_by", &data.cleared_by)?))
        .newest(at, "action", text(data.action.as_str()))
        .newest(at, "verified", Value::Bool(data.verified));
    let mut changes = Vec::new();
    if let Some(experiment) = &data.experiment {
        row = row.newest(at, "experiment", text(experiment.as_str()));
        changes.push(Upsert::node(Table::Experiment, experiment).into());
        changes.push(part_of(&data.fault, experiment));
    }
    changes.insert(0, row.into());
    Ok(changes)
}

pub(super) fn finished(
    recorded: &RecordedEvent,
    data: &ExperimentFinished,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Experiment, &data.experiment)
        .newest(at, "finished_at", time(at))
        .newest(at, "outcome", text(word("outcome", &data.outcome)?))
        .newest(at, "reason", optional(data.reason.as_ref(), |it| text(it.as_str())));
    Ok(vec![row.into()])
}

fn part_of(fault: &events::FaultId, experiment: &events::ExperimentId) -> Change {
    Upsert::edge(
        Table::PartOf,
        RowId::node(Table::Fault, fault),
        RowId::node(Table::Experiment, experiment),
    )
    .into()
}
