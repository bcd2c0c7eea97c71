//! Deployments, configuration and maintenance.

use events::RecordedEvent;
use events::catalogue::change::{
    ConfigurationChanged, DeploymentRecorded, MaintenanceEnded, MaintenanceStarted,
};

use super::ProjectError;
use crate::change::{Change, Upsert, component_seen};
use crate::table::{RowId, Table};
use crate::value::{json, optional, text, texts, time};

pub(super) fn deployment(recorded: &RecordedEvent, data: &DeploymentRecorded) -> Vec<Change> {
    let at = recorded.event.time;
    let row = change(recorded, "deployment", &data.component)
        .set("version", text(data.version.as_str()))
        .set("previous_version", optional(data.previous_version.as_ref(), |it| text(it.as_str())))
        .set("description", optional(data.description.as_ref(), |it| text(it.as_str())));
    let component =
        component_seen(&data.component, at).newest(at, "version", text(data.version.as_str()));
    vec![component.into(), row.into(), link(recorded)]
}

pub(super) fn configuration(
    recorded: &RecordedEvent,
    data: &ConfigurationChanged,
) -> Result<Vec<Change>, ProjectError> {
    let mut row = change(recorded, "configuration", &data.component)
        .set("description", text(data.description.as_str()));
    if !data.settings.is_empty() {
        row = row.set("settings", json("settings", &data.settings)?);
    }
    let component = component_seen(&data.component, recorded.event.time);
    Ok(vec![component.into(), row.into(), link(recorded)])
}

pub(super) fn maintenance_started(
    recorded: &RecordedEvent,
    data: &MaintenanceStarted,
) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Maintenance, &data.maintenance)
        .newest(at, "components", texts(&data.components))
        .newest(at, "reason", text(data.reason.as_str()))
        .newest(at, "started_at", time(at));
    let mut changes: Vec<Change> =
        data.components.iter().map(|name| component_seen(name, at).into()).collect();
    changes.push(row.into());
    changes
}

pub(super) fn maintenance_ended(recorded: &RecordedEvent, data: &MaintenanceEnded) -> Vec<Change> {
    let at = recorded.event.time;
    vec![
        Upsert::node(Table::Maintenance, &data.maintenance).newest(at, "ended_at", time(at)).into(),
    ]
}

fn change(recorded: &RecordedEvent, kind: &str, component: &events::ComponentName) -> Upsert {
    Upsert::node(Table::Change, recorded.event.id)
        .fresh()
        .set("kind", text(kind))
        .set("component", text(component.as_str()))
        .set("at", time(recorded.event.time))
}

fn link(recorded: &RecordedEvent) -> Change {
    Change::LinkToIncidents {
        change: RowId::node(Table::Change, recorded.event.id),
        at: recorded.event.time,
    }
}
