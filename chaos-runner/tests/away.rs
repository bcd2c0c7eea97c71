//! A server that is away and a runner that is killed: nothing is lost, nothing stays broken.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/program.rs"]
mod program;
#[path = "support/sink.rs"]
mod sink;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chaos_runner::shop::control::ControlClient;
use events::EventData;
use events::catalogue::experiment::{ClearedBy, ExperimentOutcome, FaultCleared};
use nix::sys::signal::Signal;
use program::{PATIENCE, Program, experiment, open_shop};
use serde_json::Value;
use sink::Sink;
use tokio::net::TcpListener;

/// An address where nobody listens yet.
async fn nobody() -> (SocketAddr, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, format!("http://{address}"))
}

fn spooled(folder: &Path) -> String {
    let spools = std::fs::read_dir(folder.join("state/spool")).unwrap().flatten();
    let files = spools.flat_map(|spool| std::fs::read_dir(spool.path()).unwrap().flatten());
    let files = files.filter(|file| file.path().extension().is_some_and(|it| it == "events"));
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}

async fn until(what: &str, mut fits: impl FnMut() -> bool) {
    let wait = async {
        while !fits() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}

fn cleared(sink: &Sink) -> Vec<FaultCleared> {
    let events = sink.events().into_iter();
    let cleared = events.filter_map(|event| match event.data {
        EventData::FaultCleared(cleared) => Some(cleared),
        _ => None,
    });
    cleared.collect()
}

#[tokio::test]
async fn a_killed_runner_loses_no_event_and_its_fault_is_undone_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let (address, server) = nobody().await;
    let file = experiment(folder.path(), 300_000);
    let file = file.to_str().unwrap();
    let arguments = ["run", file, "--shop", &control, "--server", &server];
    let mut killed = Program::start(folder.path(), &arguments);
    let told = killed.event("fault_injected").await;
    until("the injection on disk", || spooled(folder.path()).contains("fault.injected")).await;
    killed.signal(Signal::SIGKILL);
    killed.end().await;
    let shop = ControlClient::new(control.as_str());
    assert_eq!(shop.faults().await.unwrap().len(), 1, "nobody could undo it");
    let lines = spooled(folder.path());
    let ids = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone());
    let kept: BTreeSet<String> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
    assert!(kept.len() >= 3, "planned, started, injected: {kept:?}");

    // The server is still away while the next runner cleans up.
    let mut undo = Program::start(folder.path(), &["undo"]);
    let recovered = undo.event("recovered").await;
    assert_eq!((&recovered["fault"], &recovered["may_act"]), (&told["fault"], &false.into()));
    assert_eq!(undo.end().await.code(), Some(0));
    assert_eq!(shop.faults().await.unwrap(), []);

    let sink = Sink::on(TcpListener::bind(address).await.unwrap());
    let deliver = Program::start(folder.path(), &["deliver"]);
    assert_eq!(deliver.end().await.code(), Some(0));
    let arrived: BTreeSet<_> = sink.events().iter().map(|it| it.id.to_string()).collect();
    for id in &kept {
        assert!(arrived.contains(id), "{id} is lost");
    }
    let [cleared] = cleared(&sink).try_into().unwrap();
    assert_eq!((cleared.cleared_by, cleared.verified), (ClearedBy::Interrupt, true));
    assert!(cleared.action.as_str().starts_with("crash recovery: "), "{}", cleared.action);
    let finished = sink.events().into_iter().find_map(|event| match event.data {
        EventData::ExperimentFinished(finished) => Some(finished),
        _ => None,
    });
    assert_eq!(finished.unwrap().outcome, ExperimentOutcome::Aborted);

    // Once delivered and once undone is enough.
    let before = sink.collected.lock().unwrap().requests.len();
    assert_eq!(Program::start(folder.path(), &["undo"]).end().await.code(), Some(0));
    assert_eq!(Program::start(folder.path(), &["deliver"]).end().await.code(), Some(0));
    assert_eq!(sink.collected.lock().unwrap().requests.len(), before);
}

#[tokio::test]
async fn the_next_run_undoes_first_and_knows_that_a_shop_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().await;
    let file = experiment(folder.path(), 300_000);
    let file = file.to_str().unwrap();
    // Its own shop dies with it.
    let arguments = ["run", file, "--window", "500ms", "--server", &sink.url];
    let mut killed = Program::start(folder.path(), &arguments);
    killed.event("fault_injected").await;
    killed.signal(Signal::SIGKILL);
    killed.end().await;

    let mut next = Program::start(folder.path(), &arguments);
    let recovered = next.event("recovered").await;
    let words = recovered["action"].as_str().unwrap();
    assert_eq!(words, "crash recovery: its shop ended, and the fault with it");
    next.event("fault_injected").await;
    next.signal(Signal::SIGTERM);
    assert_eq!(next.end().await.code(), Some(143));
    let verified: Vec<_> = cleared(&sink).iter().map(|it| it.verified).collect();
    assert_eq!(verified, [false, true], "nobody saw the first one end");
    let runs: BTreeSet<_> = sink
        .events()
        .into_iter()
        .filter_map(|event| match event.data {
            EventData::ExperimentPlanned(planned) => Some(planned.experiment),
            _ => None,
        })
        .collect();
    assert_eq!(runs.len(), 2, "a rerun is another run");
}

#[tokio::test]
async fn runs_whose_faults_live_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let file = experiment(folder.path(), 300_000);
    let arguments = ["run", file.to_str().unwrap(), "--shop", &control];
    let mut lives = Program::start(folder.path(), &arguments);
    lives.event("fault_injected").await;
    assert_eq!(Program::start(folder.path(), &["undo"]).end().await.code(), Some(0));
    let shop = ControlClient::new(control.as_str());
    assert_eq!(shop.faults().await.unwrap().len(), 1);
    lives.signal(Signal::SIGINT);
    assert_eq!(lives.end().await.code(), Some(130));
    assert_eq!(shop.faults().await.unwrap(), []);
}
