//! Who did what that others have to answer for.

use events::RecordedEvent;
use events::catalogue::audit::AuditRecorded;

use super::{ProjectError, word};
use crate::change::{Change, Upsert};
use crate::table::Table;
use crate::value::{optional, text, time};

pub(super) fn recorded(
    recorded: &RecordedEvent,
    data: &AuditRecorded,
) -> Result<Vec<Change>, ProjectError> {
    let row = Upsert::node(Table::Audit, recorded.event.id)
        .fresh()
        .set("at", time(recorded.event.time))
        .set("actor", text(data.actor.as_str()))
        .set("token", optional(data.token.as_ref(), |it| text(it.as_str())))
        .set("peer", optional(data.peer.as_ref(), |it| text(it.as_str())))
        .set("action", text(data.action.as_str()))
        .set("subject", optional(data.subject.as_ref(), |it| text(it.as_str())))
        .set("outcome", text(word("outcome", &data.outcome)?))
        .set("event", optional(data.event, |it| text(it.to_string())))
        .set("request", optional(data.request.as_ref(), |it| text(it.as_str())));
    Ok(vec![row.into()])
}
