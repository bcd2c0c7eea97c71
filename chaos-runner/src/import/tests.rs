use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// As Chaos Toolkit 1.19 writes it: naive UTC times, a Kubernetes action, a rollback.
fn chaos_toolkit() -> Value {
    let probe = |held: bool, at: &str| {
        json!({
            "steady_state_met": held,
            "probes": [{
                "activity": {
                    "type": "probe", "name": "the shop answers", "tolerance": 200,
                    "provider": {"type": "http", "url": "http://shop"},
                },
                "output": {"status": if held { 200 } else { 503 }, "headers": {}, "body": ""},
                "status": "succeeded", "start": at, "end": at, "duration": 0.1,
                "tolerance_met": held,
            }],
        })
    };
    json!({
        "chaoslib-version": "1.43.0",
        "platform": "Linux-6.1", "node": "worker-7",
        "experiment": {
            "version": "1.0.0", "title": "What if a pod of payments dies?",
            "description": "It should be replaced.", "tags": ["k8s"],
            "steady-state-hypothesis": {"title": "The shop answers", "probes": []},
            "method": [{"type": "action", "name": "kill payments"}],
            "x-of-somebody": 1,
        },
        "start": "2026-03-01T10:00:00.123456", "status": "completed", "deviated": true,
        "steady_states": {
            "before": probe(true, "2026-03-01T10:00:01"),
            "after": probe(false, "2026-03-01T10:01:00"), "during": [],
        },
        "run": [
            {
                "activity": {
                    "type": "action", "name": "kill payments",
                    "provider": {
                        "type": "python", "module": "chaosk8s.pod.actions", "func": "terminate_pods",
                        "arguments": {"label_selector": "app=payments", "ns": "shop", "qty": 1},
                    },
                },
                "output": null, "status": "succeeded",
                "start": "2026-03-01T10:00:02", "end": "2026-03-01T10:00:04", "duration": 2.0,
            },
            {
                "activity": {
                    "type": "action", "name": "call somebody",
                    "provider": {"type": "process", "path": "true"},
                },
                "output": {"status": 0}, "status": "succeeded",
                "start": "2026-03-01T10:00:04", "end": "2026-03-01T10:00:04", "duration": 0.0,
            },
        ],
        "rollbacks": [{
            "activity": {
                "type": "action", "name": "scale payments up",
                "provider": {"type": "process", "path": "kubectl"},
            },
            "output": {"status": 0}, "status": "succeeded",
            "start": "2026-03-01T10:01:01", "end": "2026-03-01T10:01:03", "duration": 2.0,
        }],
        "end": "2026-03-01T10:01:04.5", "duration": 64.4,
    })
}

fn import(document: &Value) -> Imported {
    journal(&document.to_string()).unwrap()
}

#[test]
fn a_journal_becomes_the_story_of_its_run() {
    let imported = import(&chaos_toolkit());
    let types: Vec<_> = imported.events.iter().map(|event| event.data.event_type()).collect();
    assert_eq!(
        types,
        [
            "io.faultline.experiment.planned.v1",
            "io.faultline.experiment.started.v1",
            "io.faultline.experiment.steadystatemeasured.v1",
            "io.faultline.fault.injected.v1",
            "io.faultline.experiment.steadystatemeasured.v1",
            "io.faultline.fault.cleared.v1",
            "io.faultline.experiment.finished.v1",
        ]
    );
    let fault = &imported.faults[0];
    assert_eq!((fault.kind.as_str(), fault.component.as_str()), ("process_kill", "payments"));
    assert_eq!(imported.other_actions, ["call somebody"]);
    assert_eq!(imported.outcome, ExperimentOutcome::Deviated, "although it is `completed`");
    assert_eq!((imported.resilience.held(), imported.resilience.taken()), (0, 1));
    let EventData::FaultCleared(cleared) = &imported.events[5].data else { panic!() };
    assert_eq!(cleared.action.as_str(), "scale payments up");
    assert_eq!(imported.events[0].time, "2026-03-01T10:00:00.123456Z".parse().unwrap());
    for event in &imported.events {
        let read = Event::from_cloud_event(event.to_cloud_event(), Timestamp::UNIX_EPOCH);
        assert_eq!(read.as_ref(), Ok(event));
    }
}

#[test]
fn the_same_journal_twice_is_once_and_a_rerun_is_another_run() {
    let document = chaos_toolkit();
    assert_eq!(import(&document).events, import(&document).events);
    let pretty = serde_json::to_string_pretty(&document).unwrap();
    assert_eq!(journal(&pretty).unwrap().events, import(&document).events, "the form is nothing");
    let mut rerun = document.clone();
    rerun["start"] = "2026-03-02T10:00:00".into();
    rerun["end"] = "2026-03-02T10:01:00".into();
    let (first, second) = (import(&document), import(&rerun));
    assert_ne!(first.experiment, second.experiment);
    let ids = |it: &Imported| it.events.iter().map(|event| event.id).collect::<BTreeSet<_>>();
    assert!(ids(&first).is_disjoint(&ids(&second)));
}

#[test]
fn deviated_decides_and_status_does_not() {
    let with = |status: &str, deviated: Value| {
        let mut document = chaos_toolkit();
        document["status"] = status.into();
        document["deviated"] = deviated;
        import(&document).outcome
    };
    assert_eq!(with("completed", true.into()), ExperimentOutcome::Deviated);
    assert_eq!(with("failed", true.into()), ExperimentOutcome::Deviated);
    assert_eq!(with("completed", false.into()), ExperimentOutcome::Held);
    assert_eq!(with("failed", false.into()), ExperimentOutcome::Failed);
    assert_eq!(with("interrupted", false.into()), ExperimentOutcome::Aborted);
    // Before there was the field, what was measured tells.
    assert_eq!(with("completed", Value::Null), ExperimentOutcome::Deviated);
}

#[test]
fn what_is_no_journal_says_what_is_missing() {
    assert!(matches!(journal("["), Err(InvalidJournal::Syntax(_))));
    let without = |name: &str| {
        let mut document = chaos_toolkit();
        document.as_object_mut().unwrap().remove(name);
        journal(&document.to_string()).unwrap_err().to_string()
    };
    assert_eq!(
        without("experiment"),
        "not a Chaos Toolkit journal: /experiment: expected the experiment that was run"
    );
    assert!(without("start").contains("/start: expected a time"));
    assert!(without("status").contains("/status: expected completed"));
}

#[test]
fn a_journal_without_anything_optional_is_read() {
    let document = json!({
        "experiment": {"title": "T"}, "status": "failed",
        "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:00:00+00:00",
    });
    let imported = import(&document);
    assert_eq!((imported.outcome, imported.events.len()), (ExperimentOutcome::Failed, 3));
    assert_eq!(imported.resilience.ratio(), None);
}
