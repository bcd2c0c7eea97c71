//! The thread that moves entries to the tables while the log is written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;

use super::recent::Entries;
use super::{CHUNK_EVENTS, Index};

/// Events that may wait in memory: the writer waits for the thread from then on.
const MAX_WAITING: usize = 4 * CHUNK_EVENTS;

/// The thread, as its writer sees it.
pub struct Background {
    index: Index,
    chunks: Option<Sender<Arc<Entries>>>,
    done: Receiver<Result<(), fjall::Error>>,
    /// A chunk is on its way.
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it.
    pub fn start(index: Index) -> io::Result<Self> {
        let (chunks, to_move) = mpsc::channel::<Arc<Entries>>();
        let (moved, done) = mpsc::channel();
        let tables = index.clone();
        let thread =
            std::thread::Builder::new().name("event-index".to_owned()).spawn(move || {
                for chunk in to_move {
                    if moved.send(tables.move_to_tables(&chunk)).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { index, chunks: Some(chunks), done, busy: false, thread: Some(thread) })
    }

    /// Hands over a chunk when there is one, and says what became of the last.
    pub fn settle(&mut self) -> Result<(), fjall::Error> {
        if self.busy {
            let gone = || io::Error::other("the thread of the index ended");
            let moved = match self.done.try_recv() {
                Err(TryRecvError::Empty) if self.index.waiting() < MAX_WAITING => return Ok(()),
                Err(TryRecvError::Empty) => self.done.recv().map_err(|_| gone())?,
                Err(TryRecvError::Disconnected) => return Err(gone().into()),
                Ok(moved) => moved,
            };
            self.busy = false;
            moved?;
        }
        if let (Some(chunk), Some(chunks)) = (self.index.begin_move(), &self.chunks) {
            self.busy = chunks.send(chunk).is_ok();
        }
        Ok(())
    }

    /// Moves all that is in memory.
    pub fn finish(mut self) -> Result<(), fjall::Error> {
        self.stop();
        self.index.settle()
    }

    fn stop(&mut self) {
        self.chunks = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}
