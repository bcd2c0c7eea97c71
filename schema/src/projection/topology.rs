//! Components and who calls whom.

use events::RecordedEvent;
use events::catalogue::topology::{ComponentDescribed, ComponentDiscovered, DependencyObserved};

use super::{ProjectError, word};
use crate::change::{Change, Merge, Upsert, component_seen};
use crate::table::{RowId, Table};
use crate::value::{json, optional, text};

pub(super) fn discovered(recorded: &RecordedEvent, data: &ComponentDiscovered) -> Vec<Change> {
    let row = component_seen(&data.component, recorded.event.time)
        .with("discovered_by", Merge::First(text(data.discovered_by.as_str())));
    vec![row.into()]
}

pub(super) fn described(
    recorded: &RecordedEvent,
    data: &ComponentDescribed,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let criticality = data.criticality.map(|it| word("criticality", &it)).transpose()?;
    let mut row = component_seen(&data.component, at)
        .newest_said(at, "kind", optional(data.kind.as_ref(), |it| text(it.as_str())))
        .newest_said(at, "owner", optional(data.owner.as_ref(), |it| text(it.as_str())))
        .newest_said(at, "criticality", optional(criticality, text))
        .newest_said(
            at,
            "description",
            optional(data.description.as_ref(), |it| text(it.as_str())),
        );
    if !data.attributes.is_empty() {
        row = row.newest(at, "attributes", json("attributes", &data.attributes)?);
    }
    Ok(vec![row.into()])
}

pub(super) fn dependency_observed(
    recorded: &RecordedEvent,
    data: &DependencyObserved,
) -> Vec<Change> {
    let at = recorded.event.time;
    let mut calls = calls(&data.caller, &data.callee, at);
    if let Some(protocol) = &data.protocol {
        calls = calls.set("protocol", text(protocol.as_str()));
    }
    vec![
        component_seen(&data.caller, at).into(),
        component_seen(&data.callee, at).into(),
        calls.into(),
    ]
}

/// The edge from a caller to a callee, seen at `at`.
pub(super) fn calls(
    caller: &events::ComponentName,
    callee: &events::ComponentName,
    at: events::Timestamp,
) -> Upsert {
    Upsert::edge(
        Table::Calls,
        RowId::node(Table::Component, caller),
        RowId::node(Table::Component, callee),
    )
    .with("first_seen", Merge::Earliest(at))
    .with("last_seen", Merge::LatestInSteps(at))
}
