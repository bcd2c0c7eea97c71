//! A base is rebuilt, verified, taken out and put in, and says the same (PR-1, PR-5, QU-2).

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "operations/evaluation.rs"]
mod evaluation;
#[path = "operations/retention.rs"]
mod retention;

use std::path::Path;
use std::time::{Duration, Instant};

use events::{Event, EventId};
use serde_json::{Value, json};
use tests::cli::faultline;
use tests::server::Server;
use tests::shop_history::History;

const LIMIT: Duration = Duration::from_secs(120);

fn history() -> Vec<Event> {
    History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 45,
        slow: "payments",
        from: 25,
        to: 34,
    }
    .events()
}

/// A server on `data` that has decided everything about the history.
async fn filled(data: &Path) -> Server {
    let server = Server::start(data).await;
    for chunk in history().chunks(200) {
        let batch: Vec<Value> = chunk.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = server.post(&batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    server.settled(LIMIT).await;
    server
}

fn label(incident: &str, component: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": EventId::generate(),
        "source": "/tests",
        "type": "io.faultline.label.assigned.v1",
        "data": {
            "label": EventId::generate(),
            "incident": incident,
            "claim": { "claim": "root_cause", "component": component },
            "by": "ada",
            "confidence": 0.9,
        },
    })
}

/// What is asked as of a position: incidents with their labels, diagnoses and symptoms.
fn question(position: u64) -> String {
    format!(
        "{{ incidents(first: 10, asOf: {{ position: {position} }}) {{ edges {{ node {{ \
           key status title openedAt resolvedAt \
           labels(first: 20) {{ edges {{ node {{ key by }} }} }} \
           diagnoses(first: 20) {{ edges {{ node {{ key suspects {{ score \
             terms {{ name contribution evidence }} }} }} }} }} \
         }} }} }} \
         components(first: 50, asOf: {{ position: {position} }}) {{ edges {{ node {{ name \
           }} }} }} }}"
    )
}

async fn head(server: &Server) -> u64 {
    let head = server.graphql("{ head }").await["head"].clone();
    head.as_u64().or_else(|| head.as_str()?.parse().ok()).unwrap()
}

/// Asks the server to rebuild and waits for the end.
async fn rebuilt(server: &Server) -> Value {
    let (status, answer) = server.post_to("/v1/admin/rebuild?compare=true").await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let started = Instant::now();
    loop {
        let (_, state) = server.get("/v1/admin/rebuild").await.unwrap();
        if state["status"] != "running" {
            return state;
        }
        assert!(started.elapsed() < LIMIT, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stays_the_same_after_labels_a_rebuild_and_another_base() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("first");
    let server = filled(&data).await;
    let incidents = server.graphql("{ incidents(first: 5) { edges { node { key } } } }").await;
    let incident = incidents["incidents"]["edges"][0]["node"]["key"].as_str().unwrap().to_owned();
    let before = head(&server).await;
    let asked = question(before);
    let first = server.graphql(&asked).await.to_string();
    assert!(first.contains("payments"), "{first}");

    let (status, answer) = server.post(&[label(&incident, "orders")]).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    server.settled(LIMIT).await;
    let now = server.graphql(&question(head(&server).await)).await.to_string();
    assert_ne!(now, first, "the label is known now");
    assert_eq!(server.graphql(&asked).await.to_string(), first, "and was not known before");

    // While labels go on to arrive.
    let (state, ()) = tokio::join!(rebuilt(&server), async {
        for _ in 0..20 {
            let (status, answer) = server.post(&[label(&incident, "catalog")]).await.unwrap();
            assert_eq!(status, 200, "{answer}");
        }
    });
    assert_eq!((&state["status"], &state["difference"]), (&json!("done"), &Value::Null), "{state}");
    assert_eq!(server.graphql(&asked).await.to_string(), first, "after a rebuild");
    server.settled(LIMIT).await;
    let latest = head(&server).await;
    let last = server.graphql(&question(latest)).await.to_string();
    drop(server);

    let said = faultline(&data, &["verify", "--graph"]).ok();
    assert!(said.contains("log: sound") && said.contains("graph: sound"), "{said}");
    let file = folder.path().join("export.ndjson");
    faultline(&data, &["export", "--output", file.to_str().unwrap()]).ok();
    let second = folder.path().join("second");
    faultline(&second, &["import", file.to_str().unwrap()]).ok();
    let again = faultline(&second, &["export"]).ok();
    assert!(again == std::fs::read_to_string(&file).unwrap(), "the same log, byte for byte");

    let server = Server::start(&second).await;
    server.settled(LIMIT).await;
    assert_eq!(head(&server).await, latest, "nothing was decided again");
    assert_eq!(server.graphql(&asked).await.to_string(), first, "after export and import");
    assert_eq!(server.graphql(&question(latest)).await.to_string(), last);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_imports_go_on_where_they_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("first");
    let server = filled(&data).await;
    let file = folder.path().join("export.ndjson");
    let path = file.to_str().unwrap();
    let told = faultline(&data, &["export", "--server", server.url()]).ok();
    drop(server);
    faultline(&data, &["export", "--output", path]).ok();
    let whole = std::fs::read_to_string(&file).unwrap();
    assert!(told == whole, "a server exports what its folder does");
    let refused = faultline(&data, &["export", "--output", path]);
    assert!(refused.code != 0 && refused.err.contains("--resume"), "{refused:?}");

    // Interrupted within a line.
    std::fs::write(&file, &whole.as_bytes()[..whole.len() / 2]).unwrap();
    faultline(&data, &["export", "--output", path, "--resume"]).ok();
    assert!(std::fs::read_to_string(&file).unwrap() == whole);

    let second = folder.path().join("second");
    let half = folder.path().join("half.ndjson");
    let cut = whole[..whole.len() / 2].rfind('\n').unwrap() + 1;
    std::fs::write(&half, &whole[..cut]).unwrap();
    faultline(&second, &["import", half.to_str().unwrap()]).ok();
    faultline(&second, &["import", path]).ok();
    assert!(faultline(&second, &["export"]).ok() == whole);
    let told = faultline(&second, &["import", path]).ok();
    assert!(told.contains(" 0 restored"), "{told}");

    // Another history is refused, unless it is to be recorded anew; then once.
    let third = folder.path().join("third");
    let server = Server::start(&third).await;
    let (status, _) = server.post(&[label("inc-other", "orders")]).await.unwrap();
    assert_eq!(status, 200);
    drop(server);
    let refused = faultline(&third, &["import", path]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("--append") && refused.err.contains(":1:"), "{refused:?}");
    let lines = whole.lines().count();
    for new in [lines, 0] {
        let told = faultline(&third, &["import", "--append", path]).ok();
        assert!(told.contains(&format!("{lines} events read, {new} recorded anew")), "{told}");
    }
    let server = Server::start(&third).await;
    server.settled(LIMIT).await;
    assert_eq!(head(&server).await, lines as u64 + 1, "nothing of it was decided again");
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_data_comes_into_a_base_that_went_on_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("first");
    drop(filled(&data).await);
    let whole = faultline(&data, &["export"]).ok();
    let file = folder.path().join("seed.ndjson");
    std::fs::write(&file, &whole).unwrap();
    let beginning = folder.path().join("beginning.ndjson");
    let few: String = whole.split_inclusive('\n').take(7).collect();
    std::fs::write(&beginning, few).unwrap();
    let second = folder.path().join("second");
    faultline(&second, &["import", beginning.to_str().unwrap()]).ok();
    let own = folder.path().join("own.ndjson");
    std::fs::write(&own, format!("{}\n", label("inc-own", "orders"))).unwrap();
    faultline(&second, &["import", "--append", own.to_str().unwrap()]).ok();
    let lines = whole.lines().count();
    for new in [lines - 7, 0] {
        let told = faultline(&second, &["seed", file.to_str().unwrap()]).ok();
        assert!(told.contains(&format!("{lines} events read, {new} new")), "{told}");
    }
}

#[tokio::test]
async fn a_bad_line_is_named_and_nothing_of_its_batch_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let good = |position: u64| {
        let mut event = history()[usize::try_from(position).unwrap()].to_cloud_event();
        event["stream"] = json!("s");
        event["revision"] = json!(position - 1);
        event["position"] = json!(position);
        event["recordedtime"] = json!("2026-03-01T12:00:00Z");
        event
    };
    let mut misspelt = good(2);
    misspelt["data"]["criticalty"] = json!("high");
    let mut nowhere = good(2);
    nowhere.as_object_mut().unwrap().remove("position");
    let data = folder.path().join("base");
    for (bad, wanted) in [
        (misspelt.to_string(), ["unknown_field", "/data/criticalty"]),
        (nowhere.to_string(), ["missing_field", "/position"]),
        (good(3).to_string(), ["not_restored", "position 2"]),
        ("{\"id\":".to_owned(), ["not_json", "EOF"]),
    ] {
        let file = folder.path().join("bad.ndjson");
        std::fs::write(&file, format!("{}\n\n{bad}\n", good(1))).unwrap();
        let said = faultline(&data, &["import", file.to_str().unwrap()]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("bad.ndjson:3: "), "{said:?}");
        assert!(wanted.iter().all(|part| said.err.contains(part)), "{said:?}");
        assert_eq!(faultline(&data, &["export"]).ok(), "", "nothing was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_rebuilt_and_verified_offline_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let nothing = faultline(&data.join("none"), &["verify"]);
    assert!(nothing.code == 1 && nothing.err.contains("no event log"), "{nothing:?}");
    let server = filled(data).await;
    let held = faultline(data, &["verify"]);
    assert!(held.code == 1 && held.err.contains("held by a running server"), "{held:?}");
    drop(server);

    let said = faultline(data, &["verify"]).ok();
    let head = said.lines().find_map(|line| line.strip_prefix("head: ")).unwrap().to_owned();
    faultline(data, &["verify", "--expect", &head]).ok();
    let other = format!("{}@{}", "0".repeat(64), head.split_once('@').unwrap().1);
    let diverges = faultline(data, &["verify", "--expect", &other]);
    assert!(diverges.code == 1 && diverges.out.contains("diverges"), "{diverges:?}");
    let wrong = faultline(data, &["verify", "--expect", "nonsense"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");

    let said = faultline(data, &["rebuild"]).ok();
    assert!(said.contains("events/s"), "{said}");
    let said = faultline(data, &["verify", "--graph", "--expect", &head]).ok();
    assert!(said.contains("graph: sound"), "{said}");

    let segment = data.join("log/segments/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[2_000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = faultline(data, &["verify"]);
    assert_eq!(damaged.code, 1, "{damaged:?}");
    assert!(damaged.out.contains("00000000000000000001.seg at offset"), "{damaged:?}");
}
