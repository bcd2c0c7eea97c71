//! Runs on a real shop: the binary, its processes, real sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/program.rs"]
mod program;
#[path = "support/sink.rs"]
mod sink;

use std::path::Path;
use std::time::Duration;

use chaos_runner::shop::control::ControlClient;
use events::EventData;
use events::catalogue::experiment::{ClearedBy, ExperimentOutcome, SteadyStatePhase};
use nix::sys::signal::Signal;
use program::{PATIENCE, Program, SLOW_PAYMENTS, experiment, open_shop, processes_of};
use serde_json::Value;
use sink::Sink;
use tokio::time::timeout;

/// What the sink got of a run, without the telemetry of the shop, in the order of arrival.
fn story(sink: &Sink) -> Vec<EventData> {
    let events = sink.events().into_iter();
    events
        .filter(|event| event.source.as_str() == "/chaos-runner")
        .map(|event| event.data)
        .collect()
}

fn cleared(story: &[EventData]) -> Vec<(ClearedBy, bool)> {
    story
        .iter()
        .filter_map(|data| match data {
            EventData::FaultCleared(cleared) => Some((cleared.cleared_by, cleared.verified)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_run_tells_its_story_once_and_in_order_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().await;
    let file = experiment(folder.path(), 4_000);
    let arguments = ["run", file.to_str().unwrap(), "--server", &sink.url, "--window", "500ms"];
    let program = Program::start(folder.path(), &arguments);
    let pid = program.pid();
    let status = program.end().await;
    assert_eq!(status.code(), Some(1), "the steady state deviated");
    assert_eq!(processes_of(pid), Vec::<String>::new());

    let story = story(&sink);
    let measured = |data: &EventData, phase, held| matches!(data, EventData::SteadyStateMeasured(it) if it.phase == phase && it.held == held);
    let [planned, started, before, injected, during, cleared_event, after, finished] =
        story.as_slice()
    else {
        panic!("{story:#?}")
    };
    let EventData::ExperimentPlanned(planned) = planned else { panic!("{planned:?}") };
    assert!(planned.experiment.as_str().starts_with("slow-payments-"));
    assert!(matches!(started, EventData::ExperimentStarted(_)));
    assert!(measured(before, SteadyStatePhase::Before, true), "{before:?}");
    let EventData::FaultInjected(injected) = injected else { panic!("{injected:?}") };
    assert_eq!((injected.kind.as_str(), injected.component.as_str()), ("latency", "payments"));
    assert_eq!(injected.experiment.as_ref(), Some(&planned.experiment));
    assert!(measured(during, SteadyStatePhase::During, false), "{during:?}");
    assert_eq!(cleared(std::slice::from_ref(cleared_event)), [(ClearedBy::Rollback, true)]);
    assert!(measured(after, SteadyStatePhase::After, true), "{after:?}");
    let EventData::ExperimentFinished(finished) = finished else { panic!("{finished:?}") };
    assert_eq!(finished.outcome, ExperimentOutcome::Deviated);

    let events = sink.events();
    let correlated = events.iter().filter(|event| {
        event.correlation_id.as_ref().is_some_and(|id| id.as_str() == planned.experiment.as_str())
    });
    assert_eq!(correlated.count(), 8);
    assert!(
        events.iter().any(|event| matches!(event.data, EventData::MetricSnapshotRecorded(_))),
        "the telemetry of the shop arrives too"
    );
    let journal = std::fs::read(folder.path().join("journal.json")).unwrap();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert_eq!((&journal["status"], &journal["deviated"]), (&"completed".into(), &true.into()));
    assert_eq!(journal["run"].as_array().unwrap().len(), 1);
    assert_eq!(journal["rollbacks"][0]["status"], "succeeded");
    assert_eq!(journal["steady_states"]["during"][0]["steady_state_met"], false);
}

#[tokio::test]
async fn an_interrupt_in_mid_fault_undoes_it_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().await;
    let file = experiment(folder.path(), 300_000);
    let arguments = ["run", file.to_str().unwrap(), "--server", &sink.url, "--window", "500ms"];
    let mut program = Program::start(folder.path(), &arguments);
    let pid = program.pid();
    program.event("fault_injected").await;
    assert_eq!(processes_of(pid).len(), 7);
    program.signal(Signal::SIGINT);
    // An impatient second and third one skip nothing.
    program.signal(Signal::SIGINT);
    program.signal(Signal::SIGTERM);
    let next = program.line(|line| line["event"] == "stopping" || line["event"] == "fault_cleared");
    assert_eq!(next.await["event"], "stopping", "who interrupts is answered first");
    let status = program.end().await;
    assert!(matches!(status.code(), Some(130 | 143)), "{status}");
    assert_eq!(processes_of(pid), Vec::<String>::new());
    let story = story(&sink);
    assert_eq!(cleared(&story), [(ClearedBy::Interrupt, true)]);
    let Some(EventData::ExperimentFinished(finished)) = story.last() else { panic!("{story:?}") };
    assert_eq!(finished.outcome, ExperimentOutcome::Aborted);
    let journal = std::fs::read(folder.path().join("journal.json")).unwrap();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert_eq!(journal["status"], "interrupted");
}

#[tokio::test]
async fn a_run_on_a_shop_of_others_undoes_its_fault_and_leaves_the_shop() {
    let folder = tempfile::tempdir().unwrap();
    let (mut shop, control) = open_shop(folder.path()).await;
    let control = control.as_str();
    let client = ControlClient::new(control);

    let file = experiment(folder.path(), 300_000);
    let mut run =
        Program::start(folder.path(), &["run", file.to_str().unwrap(), "--shop", control]);
    run.event("fault_injected").await;
    assert_eq!(client.faults().await.unwrap().len(), 1);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().await.code(), Some(143));
    assert_eq!(client.faults().await.unwrap(), []);
    assert_eq!(client.status().await.unwrap().components.len(), 7, "the shop goes on");

    let pid = shop.pid();
    drop(shop.stdin);
    let status = timeout(PATIENCE, shop.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(processes_of(pid), Vec::<String>::new());
}

#[tokio::test]
async fn a_steady_state_that_does_not_hold_keeps_the_fault_away() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().await;
    let file = folder.path().join("never.yaml");
    let text = SLOW_PAYMENTS
        .replace("DURATION", "1000")
        .replace("[0, 300]", "[0, 0.001]")
        .replace("span_ms: 1500", "span_ms: 1500, warm_up_ms: 0");
    std::fs::write(&file, text).unwrap();
    let arguments = ["run", file.to_str().unwrap(), "--server", &sink.url, "--window", "500ms"];
    let status = Program::start(folder.path(), &arguments).end().await;
    assert_eq!(status.code(), Some(3));
    let story = story(&sink);
    assert!(!story.iter().any(|data| matches!(data, EventData::FaultInjected(_))), "{story:?}");
    let Some(EventData::ExperimentFinished(finished)) = story.last() else { panic!("{story:?}") };
    assert_eq!(finished.outcome, ExperimentOutcome::Failed);
    let reason = finished.reason.as_ref().unwrap().as_str();
    assert!(reason.starts_with("the steady state did not hold before the method"), "{reason}");
}

/// The outcome of each activity of a section of the journal.
fn statuses(folder: &Path, section: &str) -> Vec<(String, String)> {
    let journal = std::fs::read(folder.join("journal.json")).unwrap();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    journal[section]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (text(&run["activity"]["name"]), text(&run["status"])))
        .collect()
}

#[tokio::test]
async fn a_deadline_aborts_and_undoes() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let file = folder.path().join("deadline.yaml");
    let text = SLOW_PAYMENTS
        .replace("DURATION", "300000")
        .replace("span_ms: 1500", "span_ms: 1500, deadline_ms: 700");
    std::fs::write(&file, text).unwrap();
    let run = Program::start(folder.path(), &["run", file.to_str().unwrap(), "--shop", &control]);
    assert_eq!(run.end().await.code(), Some(4));
    assert_eq!(ControlClient::new(control).faults().await.unwrap(), []);
    let journal = std::fs::read(folder.path().join("journal.json")).unwrap();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert_eq!(journal["status"], "aborted");
}

#[tokio::test]
async fn rollbacks_are_carried_out_after_a_failure_and_skipped_only_by_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let text = r#"
title: Fails
description: Its second action does not exist.
runtime: {rollbacks: {strategy: STRATEGY}}
method:
  - name: acts until it is cleared
    type: action
    provider: {type: faultline, fault: latency, component: payments}
  - name: fails
    type: action
    provider: {type: process, path: /no/such/program}
  - name: never begins
    type: action
    provider: {type: process, path: "true"}
rollbacks:
  - name: puts things right
    type: action
    provider: {type: process, path: "true"}
"#;
    let file = folder.path().join("fails.yaml");
    let succeeded = |name: &str| (name.to_owned(), "succeeded".to_owned());
    let failed = |name: &str| (name.to_owned(), "failed".to_owned());
    for (strategy, rolled_back) in
        [("default", vec![succeeded("puts things right")]), ("never", vec![]), ("deviated", vec![])]
    {
        std::fs::write(&file, text.replace("STRATEGY", strategy)).unwrap();
        let arguments = ["run", file.to_str().unwrap(), "--shop", &control];
        assert_eq!(Program::start(folder.path(), &arguments).end().await.code(), Some(3));
        assert_eq!(
            statuses(folder.path(), "run"),
            [succeeded("acts until it is cleared"), failed("fails")]
        );
        assert_eq!(statuses(folder.path(), "rollbacks"), rolled_back, "{strategy}");
        let shop = ControlClient::new(control.as_str());
        assert_eq!(shop.faults().await.unwrap(), [], "{strategy}: the fault is undone anyway");
    }
}

#[tokio::test]
async fn a_killed_runner_takes_its_shop_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = experiment(folder.path(), 300_000);
    let arguments = ["run", file.to_str().unwrap(), "--window", "500ms"];
    let mut program = Program::start(folder.path(), &arguments);
    let pid = program.pid();
    program.event("fault_injected").await;
    program.signal(Signal::SIGKILL);
    program.end().await;
    let gone = async {
        while !processes_of(pid).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the kernel ends the processes of the shop");
}
