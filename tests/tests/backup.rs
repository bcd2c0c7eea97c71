//! A base is backed up while a server runs on it, and comes back as what it was.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use events::Event;
use serde_json::Value;
use tests::cli::faultline;
use tests::server::Server;
use tests::shop_history::History;

const LIMIT: Duration = Duration::from_secs(120);
const INCIDENTS: &str = "{ head incidents(first: 10) { edges { node { key status title \
                         diagnoses(first: 5) { edges { node { key suspects { score } } } } } } } }";

fn history() -> Vec<Event> {
    History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 45,
        slow: "payments",
        from: 25,
        to: 34,
    }
    .telemetry()
}

async fn post(server: &Server, events: &[Event]) {
    for chunk in events.chunks(100) {
        let batch: Vec<Value> = chunk.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = server.post(&batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
}

fn backed_up(data: &Path, to: &Path) -> String {
    faultline(data, &["backup", "--to", to.to_str().unwrap()]).ok()
}

/// The head that a command printed.
fn head(said: &str) -> &str {
    said.lines().find_map(|line| line.strip_prefix("head: ")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_comes_back_as_the_same_base() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
    faultline(&data, &["token", "create", "--name", "kept", "--scope", "read"]).ok();
    let server = Server::start(&data).await;
    let events = history();
    let (first, rest) = events.split_at(events.len() / 2);
    post(&server, first).await;
    let (copying, from) = (to.clone(), data.clone());
    let copy = tokio::task::spawn_blocking(move || backed_up(&from, &copying));
    post(&server, rest).await;
    let early = copy.await.unwrap();
    server.settled(LIMIT).await;
    let late = backed_up(&data, &to);
    let expected = server.graphql(INCIDENTS).await;
    let incidents = expected["incidents"]["edges"].as_array().unwrap();
    assert_eq!(incidents.len(), 1, "one fault is one incident: {expected}");
    server.stop();
    faultline(&data, &["verify", "--expect", head(&early), "--expect", head(&late)]).ok();

    let restore = ["restore", "--from", to.to_str().unwrap()];
    let checked = faultline(&data, &[&restore[..], &["--check"]].concat()).ok();
    assert_eq!(head(&checked), head(&late));
    let second = folder.path().join("second");
    assert_eq!(head(&faultline(&second, &restore).ok()), head(&late));
    for name in ["tokens.json", "reactors.json"] {
        let file = std::fs::metadata(second.join(name)).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600, "{name}");
    }
    let tokens = |data: &Path| std::fs::read(data.join("tokens.json")).unwrap();
    assert_eq!(tokens(&second), tokens(&data));
    let server = Server::start(&second).await;
    server.settled(LIMIT).await;
    assert_eq!(server.graphql(INCIDENTS).await, expected, "nothing was decided again");
    server.stop();

    let refused = faultline(&second, &restore);
    assert!(refused.code == 1 && refused.err.contains("is not empty"), "{refused:?}");
    let segments = to.join("segments");
    let path = segments.read_dir().unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let third = folder.path().join("third");
    let refused = faultline(&third, &restore);
    assert!(refused.code == 1 && refused.err.contains(path.to_str().unwrap()), "{refused:?}");
    let refused = faultline(&third, &["verify"]);
    assert!(refused.code == 1 && refused.err.contains("restoration"), "{refused:?}");
}
