//! A process that is killed (EL-1, EL-3, EL-6): what it acknowledged is there, what it did not is
//! there whole or not at all. And a second process beside the first, which is refused.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::catalogue::topology::ComponentDiscovered;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, OpenError, Options};
use events::value::Line;
use events::{ComponentName, Event, EventId, RecordedEvent, StreamId, Timestamp};

const KILLS: usize = 100;
const WRITERS: usize = 4;
const BATCH: usize = 3;
/// A first id a line, written once its batch was acknowledged.
const SIDE_FILE: &str = "acknowledged";
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Runs in a process of its own, in the log's folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of another test; appends until it is killed"]
async fn appends_until_killed() {
    let log = Arc::new(EmbeddedLog::open(Path::new("."), options()).unwrap());
    let side = File::options().append(true).create(true).open(SIDE_FILE).unwrap();
    let side = Arc::new(side);
    let writers = (0..WRITERS).map(|writer| {
        let (log, side) = (Arc::clone(&log), Arc::clone(&side));
        tokio::spawn(async move {
            let stream = StreamId::new(format!("writer-{writer}")).unwrap();
            loop {
                let events = batch();
                let line = format!("{}\n", events[0].id);
                log.append(stream.clone(), ExpectedRevision::Any, events).await.unwrap();
                (&*side).write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        let _: () = writer.await.unwrap();
    }
}

/// Runs in a process of its own, in the log's folder.
#[test]
#[ignore = "the child process of another test; fails unless the log is open elsewhere"]
fn is_refused() {
    let opened = EmbeddedLog::open(Path::new("."), options()).map(drop);
    assert!(matches!(opened, Err(OpenError::Locked { .. })), "{opened:?}");
}

fn child(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("killed::{test}")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The ids in the side file. A last line that was cut off is none yet.
fn acknowledged(folder: &Path) -> Vec<EventId> {
    let text = std::fs::read_to_string(folder.join(SIDE_FILE)).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|id| id.parse().unwrap()).collect()
}

/// Kills a child once it has acknowledged `batches`; at 0 it may not even have the log open.
fn kill_after(batches: usize, folder: &Path) {
    let before = acknowledged(folder).len();
    let mut child = child("appends_until_killed", folder);
    let started = Instant::now();
    while acknowledged(folder).len() < before + batches {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        assert!(started.elapsed() < PATIENCE, "the child acknowledges nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What was read of the log so far, from one opening to the next.
#[derive(Default)]
struct Seen {
    events: Vec<RecordedEvent>,
    ids: HashSet<EventId>,
    revisions: HashMap<StreamId, u64>,
}

impl Seen {
    /// Reads what is new and holds everything against what was acknowledged.
    async fn read(&mut self, log: &EmbeddedLog, acknowledged: &[EventId]) {
        let new = log.read_all(self.events.len() as u64, usize::MAX).await.unwrap();
        assert_eq!(new.len() % BATCH, 0, "part of a batch was written");
        for recorded in &new {
            let next = self.revisions.entry(recorded.stream.clone()).or_default();
            assert_eq!(recorded.revision, *next);
            *next += 1;
            assert!(self.ids.insert(recorded.event.id), "an event is there twice");
        }
        self.events.extend(new);
        assert!(self.events.iter().map(|recorded| recorded.position).eq(1..=log.head()));
        for id in acknowledged {
            assert!(self.ids.contains(id), "{id} was acknowledged and is gone");
        }
    }
}

#[tokio::test]
async fn acknowledged_batches_survive_a_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    for round in 0..KILLS {
        // Every few rounds at once, so that recovery is killed, too.
        kill_after((round * 7) % 30, folder.path());
        let log = EmbeddedLog::open(folder.path(), options()).unwrap();
        seen.read(&log, &acknowledged(folder.path())).await;
    }
    let log = EmbeddedLog::open(folder.path(), options()).unwrap();
    assert_eq!(log.verify(&mut |_| ()).unwrap().position, seen.events.len() as u64);
    drop(log);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let log = EmbeddedLog::open(folder.path(), options()).unwrap();
    assert_eq!(log.read_all(0, usize::MAX).await.unwrap(), seen.events);
    assert_eq!(log.verify(&mut |_| ()).unwrap().streams, WRITERS);
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), options()).unwrap();
    assert!(child("is_refused", folder.path()).wait().unwrap().success());
    // The child can tell: without the first, its own assertion fails.
    drop(log);
    assert!(!child("is_refused", folder.path()).wait().unwrap().success());
}
