//! What a running server looks after beside its work: tokens that were made or taken back, and a
//! certificate that was renewed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use events::catalogue::audit::{AuditOutcome, AuditRecorded};
use events::log::EventLog;
use events::value::Line;
use events::{Event, EventId, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::auth::{TokenRecord, Tokens};
use crate::http::Clock;
use crate::http::error::chain;
use crate::observed::{SOURCE, record};
use crate::serve::Tls;

const INTERVAL: Duration = Duration::from_secs(1);

/// Looks once a second, for as long as the server runs.
pub(crate) async fn run(
    tokens: Arc<Tokens>,
    tls: Option<Tls>,
    log: Arc<dyn EventLog>,
    clock: Clock,
) {
    let mut audited = HashSet::new();
    let mut certificate = tls.as_ref().map(Tls::stamp);
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        audit(&tokens, log.as_ref(), clock, &mut audited).await;
        if let Some(tls) = &tls
            && certificate != Some(tls.stamp())
        {
            certificate = Some(tls.stamp());
            tls.reload().await;
        }
    }
}

/// Records what was done to tokens. The command line cannot: the log belongs to the server. The
/// ids follow from the tokens, so that each is recorded once, whenever a server first sees it.
async fn audit(tokens: &Tokens, log: &dyn EventLog, clock: Clock, audited: &mut HashSet<EventId>) {
    let known = tokens.current();
    let mut entries: Vec<Event> = known.values().flat_map(|token| entries(token, clock)).collect();
    entries.retain(|entry| !audited.contains(&entry.id));
    entries.sort_by_key(|entry| entry.time);
    for entry in entries {
        let id = entry.id;
        match record(log, vec![entry]).await {
            Ok(_) => {
                audited.insert(id);
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the audit of a token waits");
                return;
            }
        }
    }
}

fn entries(token: &TokenRecord, clock: Clock) -> impl Iterator<Item = Event> {
    let made = token.created_at.map(|at| ("token.create", at));
    let revoked = token.revoked_at.map(|at| ("token.revoke", at));
    made.into_iter().chain(revoked).map(move |(action, at)| {
        let data = AuditRecorded {
            actor: Line::clipped("operator"),
            token: None,
            peer: None,
            action: Line::clipped(action),
            subject: Some(Line::clipped(&format!("{} {}", token.id, token.name))),
            outcome: AuditOutcome::Done,
            event: None,
            request: None,
        };
        let id = EventId(uuid::Uuid::NAMESPACE_URL).derived(&format!("{action} {}", token.id));
        // Not from a future that a wrong clock of the command line made up.
        let at: Timestamp = at.min(clock());
        Event::with_id(id, Line::clipped(SOURCE), at, data)
    })
}
