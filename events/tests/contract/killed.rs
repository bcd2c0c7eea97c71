//! EL-1 against a process that is killed: what it acknowledged is there, what it did not is
//! there whole or not at all.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use events::catalogue::topology::ComponentDiscovered;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use events::value::Line;
use events::{ComponentName, Event, EventId, StreamId, Timestamp};

const BATCH: usize = 3;

fn options() -> Options {
    Options { segment_bytes: 64 << 10, ..Options::default() }
}

fn batch() -> Vec<Event> {
    let discovered = |n: usize| ComponentDiscovered {
        component: ComponentName::new(format!("component-{n}")).unwrap(),
        discovered_by: Line::clipped("a test"),
    };
    (0..BATCH)
        .map(|n| Event::new(Line::clipped("/test"), Timestamp::UNIX_EPOCH, discovered(n)))
        .collect()
}

/// Runs in a process of its own, in the log's folder, and prints the first id of every batch
/// that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of another test; appends until it is killed"]
async fn child() {
    let log = Arc::new(EmbeddedLog::open(Path::new("."), options()).unwrap());
    let writers = (0..4).map(|writer| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let stream = StreamId::new(format!("writer-{writer}")).unwrap();
            loop {
                let events = batch();
                let first = events[0].id;
                log.append(stream.clone(), ExpectedRevision::Any, events).await.unwrap();
                println!("acknowledged {first}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        let _: () = writer.await.unwrap();
    }
}

/// Starts a child, kills it after `lines` acknowledgements, and hands back all it gave.
fn killed_after(lines: usize, folder: &Path) -> Vec<EventId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "killed::child", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be cut off.
        let line = line.unwrap();
        let Some(id) = line.strip_prefix("acknowledged ").and_then(|id| id.parse().ok()) else {
            continue;
        };
        acknowledged.push(id);
        if acknowledged.len() == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= lines, "the child ended by itself");
    acknowledged
}

#[tokio::test]
async fn acknowledged_batches_survive_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        acknowledged.extend(killed_after(1 + round * 37, folder.path()));
        let log = EmbeddedLog::open(folder.path(), options()).unwrap();
        let all = log.read_all(0, usize::MAX).await.unwrap();
        assert!(all.iter().map(|recorded| recorded.position).eq(1..=log.head()));
        assert_eq!(all.len() % BATCH, 0, "part of a batch was written");
        let known: HashSet<_> = all.iter().map(|recorded| recorded.event.id).collect();
        for id in &acknowledged {
            assert!(known.contains(id), "{id} was acknowledged and is gone");
        }
    }
}
