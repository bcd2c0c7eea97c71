//! What the machine made of the evidence.

use std::collections::BTreeSet;

use events::catalogue::diagnosis::{
    AnomalyDetected, DiagnosisProposed, FailurePredicted, RemediationSuggested, ResponseActionTaken,
};
use events::{EventId, RecordedEvent};
use surrealdb::types::Value;

use super::{ProjectError, telemetry};
use crate::change::{Change, Required, Upsert, component_seen, timeline_entry};
use crate::table::{RowId, Table};
use crate::value::{float, int, json, optional, text, texts, time};

pub(super) fn anomaly_detected(
    recorded: &RecordedEvent,
    data: &AnomalyDetected,
) -> Result<Vec<Change>, ProjectError> {
    let row = Upsert::node(Table::Anomaly, recorded.event.id).fresh();
    let row = telemetry::spanning(row, &data.window)?
        .set("component", text(data.component.as_str()))
        .set("detector", text(data.detector.as_str()))
        .set("score", float(data.score))
        .set("parts", json("parts", &data.parts)?)
        .set("evidence", texts(&data.evidence));
    Ok(vec![component_seen(&data.component, recorded.event.time).into(), row.into()])
}

pub(super) fn proposed(
    recorded: &RecordedEvent,
    data: &DiagnosisProposed,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let diagnosis = RowId::node(Table::Diagnosis, &data.diagnosis);
    let fingerprint = data.fingerprint.as_ref().map(|it| json("fingerprint", it)).transpose()?;
    let told = data.told.as_ref().map(|it| json("told", it)).transpose()?;
    let row = Upsert::node(Table::Diagnosis, &data.diagnosis)
        .set("incident", text(data.incident.as_str()))
        .set("method", text(data.method.as_str()))
        .set("model", optional(data.model.as_ref(), |it| text(it.as_str())))
        .set("evidence_position", int("evidence_position", data.evidence_position)?)
        .set("abstained", optional(data.abstained.as_ref(), |it| text(it.as_str())))
        .set("fingerprint", fingerprint.unwrap_or(Value::None))
        .set("told", told.unwrap_or(Value::None))
        .set("at", time(at));
    let summary = match data.suspects.first() {
        Some(first) => format!("suspected: {} (score {:.2})", first.component, first.score.get()),
        None => "no suspect".to_owned(),
    };
    let entry =
        timeline_entry(recorded, &data.incident, summary).set("by", text(data.method.as_str()));
    let mut changes = vec![
        Change::Require(diagnosis.clone(), Required::Unset("at")),
        Upsert::node(Table::Incident, &data.incident).into(),
        row.into(),
        entry.into(),
    ];
    changes.extend(data.model.iter().map(|model| Upsert::node(Table::Model, model).into()));
    suspects(&mut changes, &diagnosis, recorded, data)?;
    cites(&mut changes, &diagnosis, data);
    resembles(&mut changes, data)?;
    Ok(changes)
}

fn suspects(
    changes: &mut Vec<Change>,
    diagnosis: &RowId,
    recorded: &RecordedEvent,
    data: &DiagnosisProposed,
) -> Result<(), ProjectError> {
    for (rank, suspect) in (1..).zip(&data.suspects) {
        let component = component_seen(&suspect.component, recorded.event.time);
        let edge = Upsert::edge(Table::Suspects, diagnosis.clone(), component.row.clone())
            .set("rank", int("rank", rank)?)
            .set("score", float(suspect.score))
            .set("fault_kind", optional(suspect.fault_kind.as_ref(), |it| text(it.as_str())))
            .set("terms", json("terms", &suspect.terms)?)
            .set("path", texts(&suspect.path));
        changes.extend([component.into(), edge.into()]);
        let kind = suspect.fault_kind.as_ref();
        changes.extend(kind.map(|kind| Upsert::node(Table::FaultKind, kind).into()));
    }
    Ok(())
}

/// The events that the scores were computed from, each once.
fn cites(changes: &mut Vec<Change>, diagnosis: &RowId, data: &DiagnosisProposed) {
    let of_suspects = data.suspects.iter().flat_map(|suspect| &suspect.terms);
    let cited: BTreeSet<EventId> =
        of_suspects.flat_map(|term| term.evidence.iter().copied()).collect();
    for event in cited {
        let evidence = Upsert::node(Table::Evidence, event);
        let edge = Upsert::edge(Table::Cites, diagnosis.clone(), evidence.row.clone());
        changes.extend([evidence.into(), edge.into()]);
    }
}

fn resembles(changes: &mut Vec<Change>, data: &DiagnosisProposed) -> Result<(), ProjectError> {
    for (rank, similar) in (1..).zip(&data.similar) {
        let past = Upsert::node(Table::Incident, &similar.incident);
        let edge = Upsert::edge_with_key(
            Table::Resembles,
            vec![data.diagnosis.to_string(), similar.incident.to_string()],
            RowId::node(Table::Incident, &data.incident),
            past.row.clone(),
        )
        .set("diagnosis", text(data.diagnosis.as_str()))
        .set("rank", int("rank", rank)?)
        .set("score", float(similar.score))
        .set("reasons", json("reasons", &similar.reasons)?);
        changes.extend([past.into(), edge.into()]);
    }
    Ok(())
}

pub(super) fn remediation_suggested(
    recorded: &RecordedEvent,
    data: &RemediationSuggested,
) -> Vec<Change> {
    let row = mitigation(recorded, "suggested", &data.incident, data.action.as_str())
        .set("runbook", optional(data.runbook.as_ref(), |it| text(it.as_str())))
        .set("learned_from", optional(data.learned_from.as_ref(), |it| text(it.as_str())));
    let summary = format!("suggested: {}", data.action);
    let mut changes = vec![
        Upsert::node(Table::Incident, &data.incident).into(),
        row.into(),
        timeline_entry(recorded, &data.incident, summary).into(),
    ];
    let runbook = data.runbook.as_ref();
    changes.extend(runbook.map(|runbook| Upsert::node(Table::Runbook, runbook).into()));
    changes
}

pub(super) fn response_action_taken(
    recorded: &RecordedEvent,
    data: &ResponseActionTaken,
) -> Vec<Change> {
    let row = mitigation(recorded, "response", &data.incident, data.action.as_str())
        .set("by", text(data.by.as_str()))
        .set("outcome", optional(data.outcome.as_ref(), |it| text(it.as_str())));
    let entry = timeline_entry(recorded, &data.incident, format!("response: {}", data.action))
        .set("by", text(data.by.as_str()));
    vec![Upsert::node(Table::Incident, &data.incident).into(), row.into(), entry.into()]
}

pub(super) fn failure_predicted(recorded: &RecordedEvent, data: &FailurePredicted) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Prediction, recorded.event.id)
        .fresh()
        .set("component", text(data.component.as_str()))
        .set("probability", float(data.probability))
        .set("horizon_ms", float(data.horizon_ms))
        .set("reason", text(data.reason.as_str()))
        .set("evidence", texts(&data.evidence))
        .set("at", time(at));
    vec![component_seen(&data.component, at).into(), row.into()]
}

fn mitigation(
    recorded: &RecordedEvent,
    kind: &str,
    incident: &events::IncidentId,
    action: &str,
) -> Upsert {
    Upsert::node(Table::Mitigation, recorded.event.id)
        .fresh()
        .set("incident", text(incident.as_str()))
        .set("kind", text(kind))
        .set("action", text(action))
        .set("at", time(recorded.event.time))
}
