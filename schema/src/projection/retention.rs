//! What was taken out of the log on purpose.

use events::RecordedEvent;
use events::catalogue::retention::RetentionApplied;

use super::ProjectError;
use crate::change::{Change, Upsert};
use crate::table::Table;
use crate::value::{json, time};

pub(super) fn applied(
    recorded: &RecordedEvent,
    data: &RetentionApplied,
) -> Result<Vec<Change>, ProjectError> {
    let row = Upsert::node(Table::Retention, recorded.event.id)
        .fresh()
        .set("at", time(recorded.event.time))
        .set("pruned", json("pruned", &data.pruned)?);
    Ok(vec![row.into()])
}
