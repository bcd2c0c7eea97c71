//! An incident from its opening to its post-mortem.
//!
//! What is told of an incident may arrive before its opening, and makes a stub.

use events::catalogue::incident::{
    IncidentAcknowledged, IncidentMerged, IncidentMitigated, IncidentOpened, IncidentReopened,
    IncidentResolved, MitigationApplied, PostmortemPublished, SymptomAttached,
};
use events::{IncidentId, RecordedEvent};
use surrealdb::types::Value;

use super::{ProjectError, word};
use crate::change::{Change, Keep, Merge, Required, Upsert, component_seen, timeline_entry};
use crate::table::{RowId, Table};
use crate::value::{float, object, optional, text, texts, time};

pub(super) fn opened(
    recorded: &RecordedEvent,
    data: &IncidentOpened,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Incident, &data.incident)
        .set("title", text(data.title.as_str()))
        .set("component", text(data.component.as_str()))
        .newest(at, "severity", text(word("severity", &data.severity)?))
        .set("opened_by", text(data.opened_by.as_str()))
        .set("opened_at", time(at))
        .set("evidence", texts(&data.evidence))
        .newest(at, "status", text("open"));
    let incident = row.row.clone();
    let entry = timeline_entry(recorded, &data.incident, format!("opened: {}", data.title))
        .set("by", text(data.opened_by.as_str()))
        .set("component", text(data.component.as_str()));
    Ok(vec![
        Change::Require(incident.clone(), Required::Unset("opened_at")),
        component_seen(&data.component, at).into(),
        row.into(),
        entry.into(),
        Change::LinkToChanges { incident, opened_at: at },
    ])
}

pub(super) fn symptom_attached(
    recorded: &RecordedEvent,
    data: &SymptomAttached,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let signal = word("signal", &data.signal)?;
    let strength = data.strength.get();
    let symptom = object([
        ("signal", text(signal.as_str())),
        ("strength", float(strength)),
        ("observed", optional(data.observed, float)),
        ("baseline", optional(data.baseline, float)),
        ("at", time(at)),
        ("event", text(recorded.event.id.to_string())),
        ("evidence", texts(&data.evidence)),
    ]);
    let affects = Upsert::edge(
        Table::Affects,
        RowId::node(Table::Incident, &data.incident),
        RowId::node(Table::Component, &data.component),
    )
    .with("strength", Merge::Largest(strength.abs()))
    .with("symptoms", Merge::Entry { by: "signal", entry: symptom, keep: Keep::Stronger });
    let summary = format!("{}: {signal} {strength:+.1} σ", data.component);
    let entry = timeline_entry(recorded, &data.incident, summary)
        .set("component", text(data.component.as_str()));
    Ok(vec![
        Upsert::node(Table::Incident, &data.incident).into(),
        component_seen(&data.component, at).into(),
        affects.into(),
        entry.into(),
    ])
}

pub(super) fn acknowledged(recorded: &RecordedEvent, data: &IncidentAcknowledged) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Incident, &data.incident)
        .newest(at, "acknowledged_at", time(at))
        .newest(at, "acknowledged_by", text(data.by.as_str()))
        .newest(at, "status", text("acknowledged"));
    step(recorded, &data.incident, row, "acknowledged".to_owned(), data.by.as_str())
}

pub(super) fn mitigation_applied(
    recorded: &RecordedEvent,
    data: &MitigationApplied,
) -> Vec<Change> {
    let at = recorded.event.time;
    let incident = RowId::node(Table::Incident, &data.incident);
    let component = optional(data.component.as_ref(), |it| text(it.as_str()));
    let mitigation = Upsert::node(Table::Mitigation, recorded.event.id)
        .fresh()
        .set("incident", text(data.incident.as_str()))
        .set("kind", text("applied"))
        .set("action", text(data.action.as_str()))
        .set("component", component.clone())
        .set("runbook", optional(data.runbook.as_ref(), |it| text(it.as_str())))
        .set("by", text(data.by.as_str()))
        .set("at", time(at));
    let entry = timeline_entry(recorded, &data.incident, format!("mitigation: {}", data.action))
        .set("by", text(data.by.as_str()))
        .set("component", component);
    let fixed_by = Upsert::edge(Table::FixedBy, incident.clone(), mitigation.row.clone())
        .fresh()
        .set("at", time(at));
    let mut changes = vec![Upsert::node(Table::Incident, &data.incident).into()];
    changes.extend(data.component.iter().map(|name| component_seen(name, at).into()));
    changes.extend([mitigation.into(), entry.into(), fixed_by.into()]);
    if let Some(runbook) = &data.runbook {
        let runbook = Upsert::node(Table::Runbook, runbook);
        let edge = Upsert::edge(Table::FixedBy, incident, runbook.row.clone())
            .with("at", Merge::Latest(at));
        changes.extend([runbook.into(), edge.into()]);
    }
    changes
}

pub(super) fn mitigated(recorded: &RecordedEvent, data: &IncidentMitigated) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Incident, &data.incident)
        .newest(at, "mitigated_at", time(at))
        .newest(at, "mitigated_by", text(data.by.as_str()))
        .newest(at, "status", text("mitigated"));
    step(recorded, &data.incident, row, "mitigated".to_owned(), data.by.as_str())
}

pub(super) fn resolved(recorded: &RecordedEvent, data: &IncidentResolved) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Incident, &data.incident)
        .newest(at, "resolved_at", time(at))
        .newest(at, "resolved_by", text(data.by.as_str()))
        .newest(at, "resolution", optional(data.resolution.as_ref(), |it| text(it.as_str())))
        .newest(at, "status", text("resolved"));
    step(recorded, &data.incident, row, "resolved".to_owned(), data.by.as_str())
}

pub(super) fn reopened(recorded: &RecordedEvent, data: &IncidentReopened) -> Vec<Change> {
    let at = recorded.event.time;
    let mut row = Upsert::node(Table::Incident, &data.incident)
        .newest(at, "reopened_at", time(at))
        .newest(at, "status", text("open"));
    for field in ["mitigated_at", "mitigated_by", "resolved_at", "resolved_by", "resolution"] {
        row = row.newest(at, field, Value::None);
    }
    let summary = format!("reopened: {}", data.reason);
    step(recorded, &data.incident, row, summary, data.by.as_str())
}

pub(super) fn merged(recorded: &RecordedEvent, data: &IncidentMerged) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Incident, &data.incident)
        .newest(at, "merged_into", text(data.into.as_str()))
        .newest(at, "status", text("merged"));
    let summary = format!("merged into {}", data.into);
    let into = Upsert::node(Table::Incident, &data.into);
    // Neither end goes on as another one already, so no chain of merges leads anywhere else.
    let unmerged = |row: &RowId| Change::Require(row.clone(), Required::Unset("merged_into"));
    let mut changes = vec![unmerged(&row.row), unmerged(&into.row)];
    changes.extend(step(recorded, &data.incident, row, summary, data.by.as_str()));
    changes.push(into.into());
    changes
}

pub(super) fn postmortem_published(
    recorded: &RecordedEvent,
    data: &PostmortemPublished,
) -> Vec<Change> {
    let at = recorded.event.time;
    let postmortem = object([
        ("title", text(data.title.as_str())),
        ("text", text(data.text.as_str())),
        ("author", text(data.author.as_str())),
        ("at", time(at)),
        ("event", text(recorded.event.id.to_string())),
    ]);
    let row = Upsert::node(Table::Incident, &data.incident).newest(
        at,
        "postmortem",
        Value::Object(postmortem),
    );
    let summary = format!("post-mortem: {}", data.title);
    step(recorded, &data.incident, row, summary, data.author.as_str())
}

/// A step that somebody took.
fn step(
    recorded: &RecordedEvent,
    incident: &IncidentId,
    row: Upsert,
    summary: String,
    by: &str,
) -> Vec<Change> {
    let entry = timeline_entry(recorded, incident, summary).set("by", text(by));
    vec![row.into(), entry.into()]
}
