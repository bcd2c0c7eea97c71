//! OpenTelemetry in: requests are summarised into windows, and a closed window becomes events.
//!
//! A request is answered when it is counted, not when it is durable: the events of a window are
//! appended once the window is over. A crash loses what the open windows hold, some 16 seconds of
//! it by default; a stop appends it. Each server summarises what it was sent.

mod kept;
mod waiting;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::Timestamp;
use events::log::EventLog;
use jiff::SignedDuration;
use receivers::aggregate::{Held, Totals};
use receivers::otlp::{Received, Request, decode};
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use receivers::{Absorbed, Aggregator, BodyLimits, Content, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::http::Clock;
use waiting::Waiting;

/// How often windows are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long a request waits until others are decoded.
const PATIENCE: Duration = Duration::from_secs(5);
/// When to send again what was declined.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Attempts to append the last windows when the server stops.
const LAST_TRIES: u32 = 5;

/// Bytes as permits of a semaphore.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX)
}

/// A kind of telemetry.
pub(crate) trait Signal: Request + Send + 'static {
    /// Takes a request.
    fn absorb(aggregator: &mut Aggregator, received: &Received<Self>) -> Absorbed;
}

impl Signal for ExportTraceServiceRequest {
    fn absorb(aggregator: &mut Aggregator, received: &Received<Self>) -> Absorbed {
        aggregator.traces(received)
    }
}

impl Signal for ExportMetricsServiceRequest {
    fn absorb(aggregator: &mut Aggregator, received: &Received<Self>) -> Absorbed {
        aggregator.metrics(received)
    }
}

impl Signal for ExportLogsServiceRequest {
    fn absorb(aggregator: &mut Aggregator, received: &Received<Self>) -> Absorbed {
        aggregator.logs(received)
    }
}

/// Why nothing of a request was taken.
#[derive(Debug)]
pub(crate) enum Declined {
    /// It can never be taken.
    Refused(Refusal),
    /// It can be taken later.
    Busy(&'static str),
}

/// See the [module](self).
pub(crate) struct Otlp {
    aggregator: Mutex<Aggregator>,
    waiting: Waiting,
    limits: BodyLimits,
    max_waiting: usize,
    /// Requests that are decoded at once: each may take the memory that one is given.
    places: Arc<Semaphore>,
    /// Memory for the bodies of requests, in KiB.
    room: Arc<Semaphore>,
    kept: PathBuf,
    window: SignedDuration,
    clock: Clock,
}

impl Otlp {
    /// Goes on behind what was told before the last stop.
    pub(crate) fn new(config: &Config, clock: Clock) -> Self {
        let path = kept::path(&config.storage.data);
        let kept = kept::take(&path);
        let settings = config.otlp.windows.clone();
        let window_ms = settings.window_ms;
        let mut aggregator = Aggregator::new(settings, clock(), kept.told_until);
        for (component, version) in &kept.versions {
            aggregator.know_version(component, version);
        }
        let places = std::thread::available_parallelism().map_or(2, Into::into);
        Self {
            aggregator: Mutex::new(aggregator),
            waiting: Waiting::default(),
            limits: config.otlp.limits(),
            max_waiting: config.otlp.max_waiting_events,
            places: Arc::new(Semaphore::new(places)),
            room: Arc::new(Semaphore::new(kib(config.otlp.max_pending_bytes) as usize)),
            kept: path,
            window: SignedDuration::from_millis(i64::try_from(window_ms).unwrap_or(i64::MAX)),
            clock,
        }
    }

    /// Waits until there is room for a body, which is to be kept until it is dropped. One whose
    /// length is not `announced` counts as the largest.
    pub(crate) async fn room(
        &self,
        announced: Option<u64>,
    ) -> Result<OwnedSemaphorePermit, Declined> {
        let most = self.limits.max_bytes as u64;
        let needed = kib(announced.unwrap_or(most).min(most));
        let room = self.room.clone().acquire_many_owned(needed);
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Declined::Busy("too many requests are being sent")),
        }
    }

    /// Reads a request and counts what is in it.
    pub(crate) async fn take<S: Signal>(
        self: &Arc<Self>,
        content: Content,
        body: bytes::Bytes,
    ) -> Result<Absorbed, Declined> {
        if self.waiting.len() > self.max_waiting {
            return Err(Declined::Busy("the event log is behind"));
        }
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(Declined::Busy("too many requests are being read"));
        };
        let otlp = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            let received = decode::<S>(content, &body, &otlp.limits).map_err(Declined::Refused)?;
            Ok(S::absorb(&mut otlp.aggregator(), &received))
        });
        work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Closes windows by the clock and appends their events, for as long as the server runs.
    pub(crate) async fn run(self: Arc<Self>, log: Arc<dyn EventLog>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let otlp = self.clone();
            // Handed over within the work: it goes on when this task is ended by a stop.
            let work = tokio::task::spawn_blocking(move || {
                let mut aggregator = otlp.aggregator();
                otlp.waiting.extend(aggregator.advance((otlp.clock)()));
            });
            if let Err(panic) = work.await {
                std::panic::resume_unwind(panic.into_panic());
            }
            self.waiting.append(&*log).await;
        }
    }

    /// Appends what the open windows hold, and remembers up to where that is.
    pub(crate) async fn finish(&self, log: &dyn EventLog) {
        self.waiting.extend(self.aggregator().close());
        for left in (0..LAST_TRIES).rev() {
            self.waiting.append(log).await;
            match self.waiting.len() {
                0 => break,
                lost if left == 0 => {
                    tracing::error!(events.count = lost, "the last telemetry was not appended");
                }
                _ => tokio::time::sleep(TICK / 4).await,
            }
        }
        if let Err(error) = kept::write(&self.kept, &self.aggregator(), self.window_now()) {
            tracing::warn!(%error, path = ?self.kept, "which windows were told is not remembered");
        }
    }

    /// What was taken and dropped since the start.
    pub(crate) fn totals(&self) -> Totals {
        self.aggregator().totals().clone()
    }

    /// How much is held.
    pub(crate) fn held(&self) -> Held {
        self.aggregator().held()
    }

    /// Events of closed windows that the log does not have yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The end of a window that is open now, or shortly after it.
    fn window_now(&self) -> Timestamp {
        (self.clock)().saturating_add(self.window).unwrap_or(Timestamp::MAX)
    }

    fn aggregator(&self) -> MutexGuard<'_, Aggregator> {
        // Of a request that panicked, part may be counted: no reason to lose everything else.
        self.aggregator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
