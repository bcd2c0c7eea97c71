//! The thread that compresses full segments.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use super::segment::Segments;

/// The thread. Dropping it stops it between two blocks; what it began is begun again when the log
/// is opened.
pub struct Compressor {
    wake: Option<Sender<()>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compressor {
    /// Starts with the segments that are full already.
    pub fn start(segments: Arc<Segments>, level: i32) -> io::Result<Self> {
        let (wake, woken) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("event-compress".to_owned()).spawn(move || {
                loop {
                    compress_all(&segments, level, &|| stopped.load(Ordering::Relaxed));
                    if woken.recv().is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { wake: Some(wake), stop, thread: Some(thread) })
    }

    /// A segment is full.
    pub fn wake(&self) {
        if let Some(wake) = &self.wake {
            // A thread that panicked has told so itself.
            let _ = wake.send(());
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What cannot be compressed stays as it is: nothing depends on it.
fn compress_all(segments: &Segments, level: i32, stop: &dyn Fn() -> bool) {
    let all = segments.all();
    let Some((_, full)) = all.split_last() else { return };
    for segment in full {
        if stop() {
            return;
        }
        if let Err(error) = segments.pack(segment.header.base, level, stop) {
            let place = segments.place(segment, 0);
            tracing::warn!(log.place = place, %error, "a full segment is not compressed");
        }
    }
}
