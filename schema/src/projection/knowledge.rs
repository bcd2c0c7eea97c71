//! What people wrote down for the next time.

use events::RecordedEvent;
use events::catalogue::knowledge::RunbookPublished;

use crate::change::{Change, Upsert, component_seen};
use crate::table::Table;
use crate::value::{optional, text, texts, time};

pub(super) fn runbook_published(recorded: &RecordedEvent, data: &RunbookPublished) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Runbook, &data.runbook)
        .newest(at, "title", text(data.title.as_str()))
        .newest(at, "fault_kinds", texts(&data.fault_kinds))
        .newest(at, "component", optional(data.component.as_ref(), |it| text(it.as_str())))
        .newest(at, "text", text(data.text.as_str()))
        .newest(at, "published_at", time(at));
    let mut changes: Vec<Change> =
        data.fault_kinds.iter().map(|kind| Upsert::node(Table::FaultKind, kind).into()).collect();
    changes.extend(data.component.iter().map(|name| component_seen(name, at).into()));
    changes.push(row.into());
    changes
}
