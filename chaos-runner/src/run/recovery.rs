//! Undoing what runners that were killed left behind, and telling how their runs ended.
//!
//! The events have the ids that the dead runner would have given them: whatever it told itself
//! before it died is not told twice.

use std::time::Duration;

use events::catalogue::experiment::{
    ClearedBy, ExperimentFinished, ExperimentOutcome, FaultCleared, FaultInjected,
};
use events::value::{Line, NonNegative};
use events::{Event, EventData, EventId, FaultId, Timestamp};
use jiff::SignedDuration;

use super::book::{BookError, Entry, FaultBook, Intent};
use super::facts::{injected_id, injection, told};
use crate::shop::control::{ClearedFault, ControlClient, ControlError, InjectedFault};
use crate::shop::faults::MAX_DURATION;

/// A fault of a dead runner.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Which.
    pub fault: FaultId,
    /// What became of it, in words.
    pub words: String,
    /// Whether it may still act: its shop answers, and did not undo it.
    pub may_act: bool,
    /// The server that its run told, if any.
    pub server: Option<String>,
    /// What is to be told to it.
    pub events: Vec<Event>,
}

/// What the shop says of a fault.
enum Found {
    Undone(ClearedFault),
    /// The shop never had it, or is another one by now, or is gone.
    Gone(&'static str),
}

/// Undoes every fault of a dead runner. The book forgets a fault only when `keep` took what is
/// to be told of it, so that a recovery that dies is repeated.
pub async fn recover(
    book: &FaultBook,
    mut keep: impl FnMut(&Recovered) -> bool,
) -> Result<Vec<Recovered>, BookError> {
    let mut recovered = Vec::new();
    for entry in book.left_behind()? {
        let one = recover_one(&entry).await;
        if keep(&one) && !one.may_act {
            entry.strike_out();
        }
        recovered.push(one);
    }
    Ok(recovered)
}

async fn recover_one(entry: &Entry) -> Recovered {
    let intent = &entry.intent;
    let fault = intent.fault.clone();
    let shop = ControlClient::new(intent.shop.as_str());
    let found = match shop.clear(&fault, ClearedBy::Interrupt).await {
        Ok(cleared) => Ok(Found::Undone(cleared)),
        Err(ControlError::Refused { refusal, .. }) if refusal.code == "unknown_fault" => {
            Ok(Found::Gone("the shop knows nothing of it any more"))
        }
        Err(error) if error.is_refused_connection() => {
            Ok(Found::Gone("its shop ended, and the fault with it"))
        }
        Err(_) if is_over(intent) => Ok(Found::Gone("its own deadline passed")),
        Err(error) => Err(super::describe(&error)),
    };
    let (words, may_act, events) = match found {
        Ok(found) => {
            let (words, cleared) = clearing(&fault, found, entry.injected.as_ref());
            (words, false, cleared.map_or_else(Vec::new, |it| story(entry, &fault, it)))
        }
        Err(why) => (
            format!("could not be undone, it acts until its own deadline: {why}"),
            true,
            Vec::new(),
        ),
    };
    Recovered { fault, words, may_act, server: intent.server.clone(), events }
}

/// Whether the shop undid the fault by itself by now, wherever it is.
fn is_over(intent: &Intent) -> bool {
    let lasted = Duration::from_millis(intent.spec.duration_ms.unwrap_or(u64::MAX));
    let lasted = SignedDuration::try_from(lasted.min(MAX_DURATION)).unwrap_or(SignedDuration::MAX);
    Timestamp::now().duration_since(intent.at) > lasted
}

/// What undid the fault. `None` when it never acted.
fn clearing(
    fault: &FaultId,
    found: Found,
    injected: Option<&InjectedFault>,
) -> (String, Option<ClearedFault>) {
    match found {
        Found::Undone(cleared) => {
            let words = match cleared.cleared_by {
                ClearedBy::Interrupt => format!("crash recovery: {}", cleared.action),
                _ => format!("{} (before the crash recovery)", cleared.action),
            };
            (words.clone(), Some(ClearedFault { action: words, ..cleared }))
        }
        Found::Gone(why) if injected.is_some() => {
            let words = format!("crash recovery: {why}");
            let cleared = ClearedFault {
                fault: fault.clone(),
                cleared_at: Timestamp::now(),
                cleared_by: ClearedBy::Interrupt,
                action: words.clone(),
                // Nobody was there to see it.
                verified: false,
            };
            (words, Some(cleared))
        }
        Found::Gone(why) => (format!("never acted: {why}"), None),
    }
}

fn story(entry: &Entry, fault: &FaultId, cleared: ClearedFault) -> Vec<Event> {
    let Intent { experiment, root, spec, at, .. } = &entry.intent;
    let injected = match &entry.injected {
        Some(injected) => (injected.injected_at, injection(injected, experiment.clone())),
        None => {
            let data = FaultInjected {
                fault: fault.clone(),
                experiment: Some(experiment.clone()),
                kind: spec.kind.clone(),
                component: spec.component.clone(),
                peer: spec.peer.clone(),
                parameters: spec.arguments.clone(),
                deadline_ms: spec.duration_ms.and_then(|ms| NonNegative::new(ms as f64).ok()),
            };
            (*at, data)
        }
    };
    let cause = injected_id(*root, fault);
    let undone = FaultCleared {
        fault: fault.clone(),
        experiment: Some(experiment.clone()),
        cleared_by: cleared.cleared_by,
        action: Line::clipped(&cleared.action),
        verified: cleared.verified,
    };
    let finished = ExperimentFinished {
        experiment: experiment.clone(),
        outcome: ExperimentOutcome::Aborted,
        reason: Some(Line::clipped("the runner died; its faults were undone at the next start")),
    };
    let event = |id: EventId, cause: EventId, at: Timestamp, data: EventData| {
        told(experiment, id, Some(cause), at, data)
    };
    vec![
        event(cause, *root, injected.0, injected.1.into()),
        event(cause.derived("cleared"), cause, cleared.cleared_at, undone.into()),
        event(root.derived("finished"), *root, Timestamp::now(), finished.into()),
    ]
}
