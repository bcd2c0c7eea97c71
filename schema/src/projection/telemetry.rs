//! Windows of measurements: one row an event that has them. What was pruned is known by its
//! components alone, so that a graph that is made anew has the same topology.

use events::RecordedEvent;
use events::catalogue::telemetry::{
    LogPatternsRecorded, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use surrealdb::types::Value;

use super::{ProjectError, topology};
use crate::change::{Change, Upsert, component_seen};
use crate::table::Table;
use crate::value::{float, int, json, text, time};

/// A row for the event itself, in the order of its windows.
fn windowed(
    recorded: &RecordedEvent,
    table: Table,
    window: &Window,
) -> Result<Upsert, ProjectError> {
    spanning(Upsert::timed(table, window.start, recorded.event.id), window)
}

/// The row with the window that it speaks of.
pub(super) fn spanning(row: Upsert, window: &Window) -> Result<Upsert, ProjectError> {
    Ok(row
        .set("window_start", time(window.start))
        .set("window_ms", int("window.duration_ms", window.duration_ms)?))
}

pub(super) fn snapshot(
    recorded: &RecordedEvent,
    data: &MetricSnapshotRecorded,
) -> Result<Vec<Change>, ProjectError> {
    let count = |field, count: Option<u64>| count.map_or(Ok(Value::None), |n| int(field, n));
    let number = |number: Option<f64>| number.map_or(Value::None, float);
    let mut row = windowed(recorded, Table::Snapshot, &data.window)?
        .set("component", text(data.component.as_str()))
        .set("requests", count("requests", data.requests)?)
        .set("errors", count("errors", data.errors)?)
        .set("saturation", number(data.saturation.map(f64::from)))
        .set("cpu_cores", number(data.cpu_cores.map(f64::from)))
        .set("memory_bytes", number(data.memory_bytes.map(f64::from)));
    if let Some(latency) = &data.latency {
        row = row.set("latency", json("latency", latency)?);
    }
    if !data.extras.is_empty() {
        row = row.set("extras", json("extras", &data.extras)?);
    }
    Ok(known(recorded, component_seen(&data.component, recorded.event.time), row))
}

/// The component that measured, and what it measured unless that was pruned.
fn known(recorded: &RecordedEvent, component: Upsert, row: Upsert) -> Vec<Change> {
    let row = recorded.pruned.is_none().then_some(row);
    [component].into_iter().chain(row).map(Change::from).collect()
}

pub(super) fn log_patterns(
    recorded: &RecordedEvent,
    data: &LogPatternsRecorded,
) -> Result<Vec<Change>, ProjectError> {
    let row = windowed(recorded, Table::LogPattern, &data.window)?
        .set("component", text(data.component.as_str()))
        .set("patterns", json("patterns", &data.patterns)?);
    Ok(known(recorded, component_seen(&data.component, recorded.event.time), row))
}

pub(super) fn trace_edges(
    recorded: &RecordedEvent,
    data: &TraceEdgesRecorded,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = windowed(recorded, Table::EdgeWindow, &data.window)?
        .set("caller", text(data.caller.as_str()))
        .set("edges", json("edges", &data.edges)?);
    let mut changes = known(recorded, component_seen(&data.caller, at), row);
    for edge in &data.edges {
        changes.push(component_seen(&edge.callee, at).into());
        changes.push(topology::calls(&data.caller, &edge.callee, at).into());
    }
    Ok(changes)
}
