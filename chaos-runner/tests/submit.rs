//! Sending events: what is repeated, what is given up, and what is said of it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/sink.rs"]
mod sink;

use std::time::{Duration, Instant};

use chaos_runner::state::StateFolder;
use chaos_runner::submit::{Destination, MAX_SPOOL_BYTES, Spool, Submitter};
use events::catalogue::experiment::{ExperimentFinished, ExperimentOutcome, ExperimentStarted};
use events::value::Line;
use events::{Event, EventData, ExperimentId, Timestamp};
use serde_json::{Value, json};
use sink::{Reply, Sink};

const PATIENCE: Duration = Duration::from_secs(30);

/// A submitter whose spool is in `folder`.
fn start(folder: &tempfile::TempDir, url: &str) -> Submitter {
    start_with(folder, url, MAX_SPOOL_BYTES)
}

fn start_with(folder: &tempfile::TempDir, url: &str, max_bytes: u64) -> Submitter {
    let state = StateFolder::open(Some(folder.path()), &|_| None).unwrap();
    let destination = Destination::new(url, None, None).unwrap();
    Submitter::start(&destination, Spool::open(&state, url, max_bytes).unwrap()).unwrap()
}

fn event(data: impl Into<EventData>) -> Event {
    Event::new(Line::new("/test").unwrap(), Timestamp::UNIX_EPOCH, data)
}

fn started(number: usize) -> Event {
    event(ExperimentStarted { experiment: ExperimentId::new(format!("e-{number}")).unwrap() })
}

fn finished() -> Event {
    let experiment = ExperimentId::new("e").unwrap();
    event(ExperimentFinished { experiment, outcome: ExperimentOutcome::Held, reason: None })
}

fn reply(status: u16, retry_after: Option<&str>) -> Reply {
    Reply { status, retry_after: retry_after.map(str::to_owned), body: Value::Null }
}

#[tokio::test]
async fn events_arrive_once_and_in_order_in_batches() {
    let sink = Sink::start().await;
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &sink.url);
    let sent: Vec<_> = (0..500).map(started).collect();
    for event in sent.clone() {
        submitter.offer(event).unwrap();
    }
    let report = submitter.drain(PATIENCE).await;
    assert_eq!((report.accepted, report.shortfall()), (500, None));
    assert_eq!(sink.events(), sent);
    let requests = sink.collected.lock().unwrap().requests.len();
    assert!(requests < 20, "{requests} requests for 500 events");
}

#[tokio::test]
async fn what_may_succeed_later_is_sent_again_with_the_same_ids() {
    let sink = Sink::start().await;
    sink.script([reply(503, None), reply(429, Some("1")), reply(500, None)]);
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &sink.url);
    let sent = started(1);
    let begin = Instant::now();
    submitter.offer(sent.clone()).unwrap();
    let report = submitter.drain(PATIENCE).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(sink.events(), [sent]);
    let requests = sink.collected.lock().unwrap().requests.clone();
    assert_eq!(requests.len(), 4);
    let waited = requests[2].1 - requests[1].1;
    assert!(waited >= Duration::from_secs(1), "Retry-After: 1, waited {waited:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_comes_up_late_gets_everything() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &format!("http://{address}"));
    submitter.offer(started(1)).unwrap();
    let waiting = Instant::now();
    while submitter.report().retrying.is_none() {
        assert!(waiting.elapsed() < PATIENCE, "the first attempt never failed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sink = Sink::on(tokio::net::TcpListener::bind(address).await.unwrap());
    let report = submitter.drain(PATIENCE).await;
    assert_eq!((report.accepted, report.retrying), (1, None));
    assert_eq!(sink.events().len(), 1);
}

#[tokio::test]
async fn an_event_that_is_refused_takes_nobody_with_it() {
    let sink = Sink::start().await;
    sink.collected.lock().unwrap().refused_types = vec!["io.faultline.experiment.finished.v1"];
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &sink.url);
    for event in [started(1), finished(), started(2)] {
        submitter.offer(event).unwrap();
    }
    let report = submitter.drain(PATIENCE).await;
    assert_eq!((report.accepted, report.refused, report.waiting), (2, 1, 0));
    assert_eq!(
        report.shortfall().unwrap(),
        "1 of 3 events did not reach the server: \
         io.faultline.experiment.finished.v1: invalid_value at \"/data\": no"
    );
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    let sink = Sink::start().await;
    let folder = tempfile::tempdir().unwrap();
    let sent: Vec<_> = (0..7).map(started).collect();
    // What one process left is sent by the next one as a single batch.
    sink.script([reply(401, None)]);
    let refused = start(&folder, &sink.url);
    for event in sent.clone() {
        refused.offer(event).unwrap();
    }
    assert_eq!(refused.drain(PATIENCE).await.waiting, 7);
    sink.collected.lock().unwrap().most = Some(3);
    let report = start(&folder, &sink.url).drain(PATIENCE).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(sink.events(), sent, "order is kept");
    let requests = sink.collected.lock().unwrap().requests.clone();
    assert!(requests.iter().any(|(events, _)| *events == 7), "{requests:?}");
}

#[tokio::test]
async fn a_server_that_takes_nothing_ends_the_sending() {
    let sink = Sink::start().await;
    let body = json!({"error": {"code": "unauthorized", "message": "a token is needed"}});
    sink.script(std::iter::repeat_n(Reply { status: 401, retry_after: None, body }, 5));
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &sink.url);
    submitter.offer(started(1)).unwrap();
    let report = submitter.drain(PATIENCE).await;
    assert_eq!(report.waiting, 1);
    let url = &sink.url;
    assert_eq!(
        report.shortfall().unwrap(),
        format!(
            "1 of 1 events did not reach the server, they are kept on disk for \
             `chaos-runner deliver` or the next run: {url}/v1/events answered \
             401 Unauthorized (unauthorized: a token is needed)"
        )
    );
    assert_eq!(sink.collected.lock().unwrap().requests.len(), 1);
}

#[tokio::test]
async fn draining_ends_in_time_and_counts_what_is_left() {
    let sink = Sink::start().await;
    sink.script([reply(503, Some("60"))]);
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, &sink.url);
    for number in 0..3 {
        submitter.offer(started(number)).unwrap();
    }
    while submitter.report().retrying.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begin = Instant::now();
    let report = submitter.drain(Duration::from_millis(300)).await;
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!((report.accepted, report.waiting), (0, 3));
    assert!(report.shortfall().unwrap().contains("503"));
}

#[tokio::test]
async fn what_one_process_could_not_send_the_next_one_does_and_first() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}");
    let sent: Vec<_> = (0..450).map(started).collect();
    let away = start(&folder, &url);
    for event in &sent[..400] {
        away.offer(event.clone()).unwrap();
    }
    let report = away.drain(PATIENCE).await;
    assert_eq!((report.accepted, report.waiting, report.dropped), (0, 400, 0));
    let words = report.shortfall().unwrap();
    assert!(words.contains("kept on disk"), "{words}");

    let sink = Sink::on(tokio::net::TcpListener::bind(address).await.unwrap());
    let back = start(&folder, &url);
    for event in &sent[400..] {
        back.offer(event.clone()).unwrap();
    }
    let report = back.drain(PATIENCE).await;
    assert_eq!((report.accepted, report.shortfall()), (450, None));
    assert_eq!(sink.events(), sent, "what is older goes first");
    let again = start(&folder, &url).drain(PATIENCE).await;
    assert_eq!(again.accepted, 0, "nothing is left");
}

#[tokio::test]
async fn a_full_spool_is_said_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let submitter = start_with(&folder, "http://127.0.0.1:9", 1_000);
    for number in 0..50 {
        submitter.offer(started(number)).unwrap();
    }
    let report = submitter.drain(PATIENCE).await;
    assert_eq!(report.waiting + report.dropped, 50);
    assert!(report.dropped > 0);
    let words = report.shortfall().unwrap();
    assert!(words.contains("is full") && words.contains("of 1000 bytes"), "{words}");
}

#[tokio::test]
async fn what_must_not_get_lost_waits_for_the_disk_and_is_there_when_it_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let submitter = start(&folder, "http://127.0.0.1:9");
    let telemetry = started(1);
    while submitter.offer(telemetry.clone()).is_ok() {}
    let fact = finished();
    submitter.keep(fact.clone()).await.unwrap();
    assert!(spooled(&folder).contains(&fact.id.to_string()));
    submitter.drain(Duration::ZERO).await;

    let folder = tempfile::tempdir().unwrap();
    let full = start_with(&folder, "http://127.0.0.1:9", 10);
    full.keep(fact).await.unwrap_err();
    assert_eq!(full.report().dropped, 1);
}

fn spooled(folder: &tempfile::TempDir) -> String {
    let spools = std::fs::read_dir(folder.path().join("spool")).unwrap().flatten();
    let files = spools.flat_map(|spool| std::fs::read_dir(spool.path()).unwrap().flatten());
    let files = files.filter(|file| file.path().extension().is_some_and(|it| it == "events"));
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}
