//! Who keeps events, and what each does for a batch: encode the events, refuse known ids and
//! taken revisions, and answer when everything is durable.

mod fjall;
mod log;
mod postgres;
mod sqlite;

use std::path::Path;
use std::time::Duration;

use events::Event;
use tokio::runtime::Runtime;

/// The batches of every writer.
pub type Work = Vec<Vec<Vec<Event>>>;

/// One way to keep events.
pub struct Store {
    pub name: &'static str,
    /// How long it takes to append everything in an empty folder, each writer for itself.
    pub append: fn(&Runtime, &Path, Work) -> Duration,
}

/// The log itself.
pub const LOG: Store = Store { name: "log", append: log::append };

/// Who it is compared with, as far as they can be reached.
pub fn others() -> Vec<Store> {
    let mut others = vec![
        Store { name: "sqlite", append: sqlite::append },
        Store { name: "fjall", append: fjall::append },
    ];
    if postgres::url().is_some() {
        others.push(Store { name: "postgres", append: postgres::append });
    }
    others
}

/// What every store keeps beside id, stream, revision and type.
fn encoded(event: &Event) -> (Vec<u8>, Vec<u8>) {
    let metadata = serde_json::json!({"source": event.source, "time": event.time});
    (serde_json::to_vec(&metadata).unwrap(), serde_json::to_vec(&event.data).unwrap())
}
