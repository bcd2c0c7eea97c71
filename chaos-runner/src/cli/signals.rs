//! Signals that ask the program to end.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) name: &'static str,
    pub(super) number: u8,
}

const SIGNALS: [Received; 3] = [
    Received { name: "SIGHUP", number: 1 },
    Received { name: "SIGINT", number: 2 },
    Received { name: "SIGTERM", number: 15 },
];

/// The request to end, from whichever signal came first.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupts {
    token: CancellationToken,
    first: Arc<OnceLock<Received>>,
}

impl Interrupts {
    /// Listens from now on. `again` is called for every signal after the first: whoever is
    /// impatient is told why the end takes a moment, and skips nothing.
    pub(super) fn listen(
        again: impl Fn(&'static str) + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let interrupts = Self::default();
        for received in SIGNALS {
            let mut stream = signal(SignalKind::from_raw(i32::from(received.number)))?;
            let (interrupts, again) = (interrupts.clone(), again.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if interrupts.first.set(received).is_ok() {
                        interrupts.token.cancel();
                    } else {
                        again(received.name);
                    }
                }
            });
        }
        Ok(interrupts)
    }

    /// The signal, if one came.
    pub(super) fn received(&self) -> Option<Received> {
        self.first.get().copied()
    }

    /// Waits for a signal.
    pub(super) async fn wait(&self) -> Received {
        self.token.cancelled().await;
        *self.first.get().expect("the token is cancelled after the signal was set")
    }
}
