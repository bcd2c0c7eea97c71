//! What people, and experiments, say an incident was.
//!
//! A label is said once under its id; another opinion is another label. Taken back, it and the
//! edges it drew are closed rather than removed: an answer as of an earlier moment still needs
//! them.

use events::RecordedEvent;
use events::catalogue::label::{Claim, FeedbackGiven, LabelAssigned, LabelRetracted};
use surrealdb::types::Value;

use super::{ProjectError, word};
use crate::change::{Change, Merge, Required, Upsert, component_seen, timeline_entry};
use crate::table::{RowId, Table};
use crate::value::{float, int, optional, text, time};

pub(super) fn assigned(
    recorded: &RecordedEvent,
    data: &LabelAssigned,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let claimed = Claimed::of(&data.claim)?;
    let mut row = Upsert::node(Table::Label, &data.label)
        .set("incident", text(data.incident.as_str()))
        .set("claim", text(claimed.name))
        .set("by", text(data.by.as_str()))
        .set("confidence", float(data.confidence))
        .set("fault", optional(data.fault.as_ref(), |it| text(it.as_str())))
        .set("comment", optional(data.comment.as_ref(), |it| text(it.as_str())))
        .set("at", time(at));
    if let Some((field, said)) = &claimed.said {
        row = row.set(field, text(said.as_str()));
    }
    let said = claimed.said.as_ref().map_or(String::new(), |(_, said)| format!(" {said}"));
    let entry = timeline_entry(
        recorded,
        &data.incident,
        format!("labelled: {}{said}", claimed.name.replace('_', " ")),
    )
    .set("by", text(data.by.as_str()));
    let incident = Upsert::node(Table::Incident, &data.incident);
    let incident_row = incident.row.clone();
    let mut changes = vec![
        Change::Require(row.row.clone(), Required::Unset("at")),
        incident.into(),
        row.into(),
        entry.into(),
    ];
    match &data.claim {
        Claim::RootCause { component } | Claim::ContributingFactor { component } => {
            let target = component_seen(component, at);
            changes.push(labelled(data, &claimed, &incident_row, &target.row));
            changes.push(target.into());
        }
        Claim::FaultKind { fault_kind } => {
            let target = Upsert::node(Table::FaultKind, fault_kind);
            changes.push(labelled(data, &claimed, &incident_row, &target.row));
            changes.push(target.into());
        }
        Claim::Duplicate { of } => changes.push(Upsert::node(Table::Incident, of).into()),
        Claim::FalsePositive {} | Claim::Severity { .. } => {}
    }
    if let Some(fault) = &data.fault {
        let fault = Upsert::node(Table::Fault, fault);
        let edge = Upsert::edge_with_key(
            Table::Triggered,
            vec![data.incident.to_string(), data.label.to_string()],
            fault.row.clone(),
            incident_row,
        )
        .set("label", text(data.label.as_str()));
        changes.extend([fault.into(), edge.into()]);
    }
    Ok(changes)
}

/// What a claim says, as the columns of a label have it.
struct Claimed {
    name: &'static str,
    said: Option<(&'static str, String)>,
}

impl Claimed {
    fn of(claim: &Claim) -> Result<Self, ProjectError> {
        let (name, said) = match claim {
            Claim::RootCause { component } => {
                ("root_cause", Some(("component", component.to_string())))
            }
            Claim::FaultKind { fault_kind } => {
                ("fault_kind", Some(("fault_kind", fault_kind.to_string())))
            }
            Claim::ContributingFactor { component } => {
                ("contributing_factor", Some(("component", component.to_string())))
            }
            Claim::FalsePositive {} => ("false_positive", None),
            Claim::Duplicate { of } => ("duplicate", Some(("duplicate_of", of.to_string()))),
            Claim::Severity { severity } => {
                ("severity", Some(("severity", word("severity", severity)?)))
            }
        };
        Ok(Self { name, said })
    }
}

/// Keyed by incident and label: a label names one target, and its end finds the edge without
/// knowing it.
fn labelled(data: &LabelAssigned, claimed: &Claimed, incident: &RowId, target: &RowId) -> Change {
    Upsert::edge_with_key(
        Table::Labelled,
        vec![data.incident.to_string(), data.label.to_string()],
        incident.clone(),
        target.clone(),
    )
    .set("label", text(data.label.as_str()))
    .set("claim", text(claimed.name))
    .set("confidence", float(data.confidence))
    .into()
}

pub(super) fn retracted(recorded: &RecordedEvent, data: &LabelRetracted) -> Vec<Change> {
    let at = recorded.event.time;
    let label = RowId::node(Table::Label, &data.label);
    let key = vec![data.incident.to_string(), data.label.to_string()];
    let fields = vec![
        ("retracted_at", Merge::Set(time(at))),
        ("retracted_by", Merge::Set(text(data.by.as_str()))),
        ("retraction_reason", Merge::Set(optional(data.reason.as_ref(), |it| text(it.as_str())))),
    ];
    let entry = timeline_entry(recorded, &data.incident, "label taken back".to_owned())
        .set("by", text(data.by.as_str()));
    vec![
        Change::Require(label.clone(), Required::Says("incident", text(data.incident.as_str()))),
        Change::Close { row: label, fields },
        Change::CloseIfKnown(RowId::edge(Table::Labelled, key.clone())),
        Change::CloseIfKnown(RowId::edge(Table::Triggered, key)),
        entry.into(),
    ]
}

pub(super) fn feedback_given(
    recorded: &RecordedEvent,
    data: &FeedbackGiven,
) -> Result<Vec<Change>, ProjectError> {
    let rank = data.right_rank.map(|rank| int("right_rank", rank.into())).transpose()?;
    let row = Upsert::node(Table::Feedback, recorded.event.id)
        .fresh()
        .set("incident", text(data.incident.as_str()))
        .set("diagnosis", text(data.diagnosis.as_str()))
        .set("right_rank", rank.unwrap_or(Value::None))
        .set("by", text(data.by.as_str()))
        .set("confidence", float(data.confidence))
        .set("comment", optional(data.comment.as_ref(), |it| text(it.as_str())))
        .set("at", time(recorded.event.time));
    let summary = match data.right_rank {
        Some(rank) => format!("feedback: suspect {rank} was right"),
        None => "feedback: no suspect was right".to_owned(),
    };
    let entry = timeline_entry(recorded, &data.incident, summary).set("by", text(data.by.as_str()));
    Ok(vec![
        Change::Require(RowId::node(Table::Diagnosis, &data.diagnosis), Required::Known),
        Upsert::node(Table::Incident, &data.incident).into(),
        row.into(),
        entry.into(),
    ])
}
