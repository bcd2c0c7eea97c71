//! One batch at a time a stream, and an event id in one batch at a time: what is asked of the
//! index stays true until the batch is answered.

use std::collections::HashSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::id::{EventId, StreamId};

/// Which streams and ids are in use.
#[derive(Default)]
pub struct Turns {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    streams: HashSet<StreamId>,
    ids: HashSet<EventId>,
}

/// The right to append; gives it back when dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    stream: StreamId,
    ids: Vec<EventId>,
}

impl Turns {
    /// Waits until `stream` and all of `ids` are free. They are taken together, so that no two
    /// batches wait for each other.
    pub async fn take(&self, stream: StreamId, ids: Vec<EventId>) -> Turn<'_> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.try_take(&stream, &ids) {
                return Turn { turns: self, stream, ids };
            }
            freed.await;
        }
    }

    fn try_take(&self, stream: &StreamId, ids: &[EventId]) -> bool {
        let mut taken = self.taken.lock().expect("no holder panics");
        if taken.streams.contains(stream) || ids.iter().any(|id| taken.ids.contains(id)) {
            return false;
        }
        taken.streams.insert(stream.clone());
        taken.ids.extend(ids);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        {
            let mut taken = self.turns.taken.lock().expect("no holder panics");
            taken.streams.remove(&self.stream);
            for id in &self.ids {
                taken.ids.remove(id);
            }
        }
        self.turns.freed.notify_waiters();
    }
}
