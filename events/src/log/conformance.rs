//! What every backend of the log does, as tests that any backend can be put through.
//!
//! A backend implements [`Backend`] in its tests and calls [`conformance!`](crate::conformance),
//! which makes one test of every behaviour. The log may hold other events: each behaviour uses
//! streams and ids of its own and begins at the head it finds.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests: each name says what it holds")]

mod appends;
mod reads;
pub mod restore;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;

pub use self::appends::*;
pub use self::reads::*;
use super::{Appended, EventLog, ExpectedRevision};
use crate::catalogue::topology::ComponentDiscovered;
use crate::envelope::{Event, RecordedEvent};
use crate::id::{ComponentName, EventId, StreamId};
use crate::value::Line;

/// A log that can be opened again.
pub trait Backend: Send + Sync {
    /// Opens the one log of this backend. What was opened before has been dropped.
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>>;
}

/// Makes a test of every behaviour; `$backend` is an expression that makes a [`Backend`]. As
/// `conformance!(all of $backend)` it is a statement that runs one behaviour after the other, for
/// a test that may have nothing to run them on.
#[macro_export]
macro_rules! conformance {
    (all of $backend:expr) => { $crate::conformance! { @each sequence $backend } };
    (@each $how:ident $backend:expr) => {
        $crate::conformance! { @$how $backend =>
            events_are_read_back_as_they_were_given
            positions_rise_and_revisions_are_gapless
            the_same_batch_again_is_one_batch_and_the_same_answer
            a_retry_after_reopening_finds_the_first_answer
            concurrent_retries_are_one_batch
            a_batch_with_known_and_new_ids_is_refused_whole
            ids_known_in_another_stream_are_refused
            new_events_of_several_streams_are_appended_in_their_order_or_declined_whole
            a_stale_expected_revision_is_refused_whole
            concurrent_writers_with_one_expectation_have_one_winner
            an_empty_batch_and_a_repeated_id_are_refused
            events_of_several_streams_are_found_at_once
            reads_keep_their_limits
            readers_never_see_a_gap_that_later_fills
            subscriptions_catch_up_and_go_live_without_gap_or_duplicate
            subscriptions_end_when_the_log_closes
            acknowledged_events_survive_reopening
        }
    };
    (@tests $backend:expr => $($behaviour:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            $crate::log::conformance::$behaviour(&$backend).await;
        }
    )*};
    (@sequence $backend:expr => $($behaviour:ident)*) => {$(
        println!("{}", stringify!($behaviour));
        $crate::log::conformance::$behaviour(&$backend).await;
    )*};
    ($backend:expr) => { $crate::conformance! { @each tests $backend } };
}

const PATIENCE: Duration = Duration::from_secs(60);

fn fresh_stream() -> StreamId {
    StreamId::new(format!("conformance-{}", EventId::generate())).unwrap()
}

fn event(name: &str) -> Event {
    Event::new(
        Line::clipped("/conformance"),
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

fn ids(events: &[Event]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

fn recorded_ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|recorded| recorded.event.id).collect()
}

async fn append<L: EventLog + ?Sized>(
    log: &L,
    stream: &StreamId,
    events: &[Event],
) -> Vec<Appended> {
    log.append(stream.clone(), ExpectedRevision::Any, events.to_vec()).await.unwrap()
}

/// Everything behind `after`, in pages.
async fn all_after(log: &dyn EventLog, mut after: u64) -> Vec<RecordedEvent> {
    let mut all = Vec::new();
    loop {
        let page = log.read_all(after, 7).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page);
    }
}

/// Appends `batches` batches of 1 to 5 events from each of 4 tasks; the ids in all.
async fn append_concurrently(log: &Arc<dyn EventLog>, batches: usize) -> HashSet<EventId> {
    let tasks = (0..4).map(|task| {
        let log = Arc::clone(log);
        tokio::spawn(async move {
            let stream = fresh_stream();
            let mut all = Vec::new();
            for n in 0..batches {
                let events = batch(1 + (n + task) % 5);
                all.extend(ids(&events));
                append(&*log, &stream, &events).await;
            }
            all
        })
    });
    join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect()
}
