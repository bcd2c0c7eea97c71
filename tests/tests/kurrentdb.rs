//! The log in KurrentDB: against a double of its server, and against a real one where
//! `FAULTLINE_KURRENTDB_URL` names it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "kurrentdb/cluster.rs"]
mod cluster;
#[path = "kurrentdb/faults.rs"]
mod faults;
#[path = "kurrentdb/index.rs"]
mod index;
#[path = "kurrentdb/product.rs"]
mod product;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::catalogue::topology::ComponentDiscovered;
use events::log::conformance::Backend;
use events::log::{Appended, EventLog, ExpectedRevision, KurrentLog, KurrentOptions};
use events::value::Line;
use events::{ComponentName, Event, EventId, RecordedEvent, StreamId, Timestamp};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tests::kurrentdb::Double;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct OnDouble {
    double: Double,
    index: TempDir,
}

impl OnDouble {
    async fn start() -> Self {
        Self { double: Double::start().await, index: tempfile::tempdir().unwrap() }
    }
}

impl Backend for OnDouble {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        Box::pin(async { Arc::new(open(&self.double, self.index.path()).await) as Arc<_> })
    }
}

events::conformance!(OnDouble::start().await);

struct OnServer {
    url: String,
    index: TempDir,
}

impl Backend for OnServer {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        let options = KurrentOptions::new(&self.url, self.index.path());
        Box::pin(async { Arc::new(KurrentLog::open(options).await.unwrap()) as Arc<_> })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_behaves_the_same() {
    #[expect(clippy::disallowed_methods, reason = "the one setting of a test")]
    let Ok(url) = std::env::var("FAULTLINE_KURRENTDB_URL") else {
        println!("skipped: FAULTLINE_KURRENTDB_URL names no KurrentDB to test against");
        return;
    };
    let backend = OnServer { url, index: tempfile::tempdir().unwrap() };
    events::conformance!(all of backend);
}

async fn open(double: &Double, index: &Path) -> KurrentLog {
    KurrentLog::open(KurrentOptions::new(double.url(), index)).await.unwrap()
}

fn event(name: &str) -> Event {
    Event::new(
        Line::clipped("/test"),
        Timestamp::UNIX_EPOCH,
        ComponentDiscovered {
            component: ComponentName::new(name).unwrap(),
            discovered_by: Line::clipped("a test"),
        },
    )
}

fn batch(count: usize) -> Vec<Event> {
    (0..count).map(|n| event(&format!("c-{n}"))).collect()
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn ids(events: &[Event]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

fn recorded_ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|recorded| recorded.event.id).collect()
}

async fn append(log: &KurrentLog, name: &str, events: &[Event]) -> Vec<Appended> {
    log.append(stream(name), ExpectedRevision::Any, events.to_vec()).await.unwrap()
}

/// How often an event was written, by what the double keeps.
fn copies(double: &Double, id: EventId) -> usize {
    double.records().iter().filter(|record| record.id == id.0).count()
}
