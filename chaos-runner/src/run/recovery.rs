//! Undoing what runners that were killed left behind, and telling how their runs ended.
//!
//! The events have the ids that the dead runner would have given them: whatever it told itself
//! before it died is not told twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::catalogue::experiment::{
    ClearedBy, ExperimentFinished, ExperimentOutcome, FaultCleared,
};
use events::value::Line;
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
    let mut entries = Vec::new();
    let mut recovered = Vec::new();
    for entry in book.left_behind()? {
        recovered.push(recover_one(&entry).await);
        entries.push(entry);
    }
    let ends: Vec<_> = entries.iter().map(|entry| &entry.intent).collect();
    for (place, end) in ends_of_runs(&ends, &recovered) {
        recovered[place].events.push(end);
    }
    for (entry, one) in entries.into_iter().zip(&recovered) {
        if keep(one) && !one.may_act {
            entry.strike_out();
        }
    }
    Ok(recovered)
}

/// How the runs ended, each told once, with the last of its faults that acted. A run with a fault
/// that may still act has not come to its end: that fault stays in the book and tells it later.
fn ends_of_runs(intents: &[&Intent], recovered: &[Recovered]) -> Vec<(usize, Event)> {
    let mut last = BTreeMap::new();
    let mut acting = BTreeSet::new();
    for (place, (intent, one)) in intents.iter().zip(recovered).enumerate() {
        if one.may_act {
            acting.insert(intent.root);
        }
        if !one.events.is_empty() {
            last.insert(intent.root, place);
        }
    }
    last.retain(|root, _| !acting.contains(root));
    last.into_iter()
        .map(|(root, place)| {
            let experiment = &intents[place].experiment;
            let finished = ExperimentFinished {
                experiment: experiment.clone(),
                outcome: ExperimentOutcome::Aborted,
                reason: Some(Line::clipped(
                    "the runner died; its faults were undone at the next start",
                )),
            };
            let id = root.derived("finished");
            (place, told(experiment, id, Some(root), Timestamp::now(), finished.into()))
        })
        .collect()
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
    let Intent { experiment, root, .. } = &entry.intent;
    let injected = entry.injected.clone().unwrap_or_else(|| entry.intent.as_injected());
    let cause = injected_id(*root, fault);
    let undone = FaultCleared {
        fault: fault.clone(),
        experiment: Some(experiment.clone()),
        cleared_by: cleared.cleared_by,
        action: Line::clipped(&cleared.action),
        verified: cleared.verified,
    };
    let event = |id: EventId, cause: EventId, at: Timestamp, data: EventData| {
        told(experiment, id, Some(cause), at, data)
    };
    vec![
        event(cause, *root, injected.injected_at, injection(&injected, experiment.clone()).into()),
        event(cause.derived("cleared"), cause, cleared.cleared_at, undone.into()),
    ]
}

#[cfg(test)]
mod tests {
    use events::EventData;
    use serde_json::json;

    use super::*;
    use crate::run::RunIdentity;
    use crate::state::StateFolder;

    #[tokio::test]
    async fn the_end_of_a_run_is_told_once_and_after_its_last_fault() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(Some(folder.path()), &|_| None).unwrap();
        let book = FaultBook::open(&state, Some("http://127.0.0.1:7700")).unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let shop = format!("http://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let identities = [RunIdentity::new("One"), RunIdentity::new("Other")];
        for (run, number) in [(0, 1), (1, 1), (0, 2)] {
            let RunIdentity { experiment, root } = identities[run].clone();
            let fault = FaultId::new(format!("{experiment}-{number}")).unwrap();
            let spec = json!({"kind": "latency", "component": "payments"});
            let intent = Intent {
                shop: shop.clone(),
                server: book.server(),
                title: Line::new("T").unwrap(),
                experiment,
                root,
                fault,
                spec: serde_json::from_value(spec).unwrap(),
                at: Timestamp::now(),
            };
            let injected = intent.as_injected();
            book.write(intent).await.unwrap().acts(&injected);
        }
        let mut told = Vec::new();
        let recovered = recover(&book, |one| {
            told.extend(one.events.iter().cloned());
            true
        });
        assert_eq!(recovered.await.unwrap().len(), 3);
        let ids: BTreeSet<_> = told.iter().map(|event| event.id).collect();
        assert_eq!((told.len(), ids.len()), (8, 8), "two a fault, one a run, none twice");
        for identity in &identities {
            let of_run = told.iter().rfind(|it| {
                it.correlation_id.as_ref().map(Line::as_str) == Some(identity.experiment.as_str())
            });
            assert!(matches!(of_run.unwrap().data, EventData::ExperimentFinished(_)));
        }
        assert!(book.left_behind().unwrap().is_empty());
    }
}
