//! What other systems raised. An alert that only ever resolves is kept: it fired before anyone
//! listened.

use events::RecordedEvent;
use events::catalogue::alert::{AlertFired, AlertResolved};
use surrealdb::types::Value;

use super::{ProjectError, word};
use crate::change::{Change, Upsert, component_seen};
use crate::table::Table;
use crate::value::{json, optional, text, time};

pub(super) fn fired(
    recorded: &RecordedEvent,
    data: &AlertFired,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Alert, &data.alert)
        .newest(at, "name", text(data.name.as_str()))
        .newest(at, "component", optional(data.component.as_ref(), |it| text(it.as_str())))
        .newest(at, "severity", text(word("severity", &data.severity)?))
        .newest(at, "summary", optional(data.summary.as_ref(), |it| text(it.as_str())))
        .newest(at, "labels", json("labels", &data.labels)?)
        .newest(at, "fired_at", time(at))
        .newest(at, "fired_by", text(recorded.event.id.to_string()))
        .newest(at, "status", text("firing"))
        .newest(at, "resolved_at", Value::None);
    let mut changes: Vec<Change> =
        data.component.iter().map(|name| component_seen(name, at).into()).collect();
    changes.push(row.into());
    Ok(changes)
}

pub(super) fn resolved(recorded: &RecordedEvent, data: &AlertResolved) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Alert, &data.alert)
        .newest(at, "status", text("resolved"))
        .newest(at, "resolved_at", time(at));
    vec![row.into()]
}
