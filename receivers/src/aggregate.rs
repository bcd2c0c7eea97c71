//! Raw telemetry in, summarised facts out.
//!
//! An [`Aggregator`] takes requests of OTLP as they come, sorts what is in them into windows of
//! the time at which it happened, and gives the events of a window once it has been over for as
//! long as late telemetry is waited for. It has no clock: the caller says what time it is.
//!
//! The order in which requests come, and how what is in them was split, makes no difference to
//! the events, as long as everything comes before its window is closed. What comes later is
//! dropped and counted: an event is a fact, and the detector judges a window once, so that a
//! second one about the same window would be read as another measurement. A request that is sent
//! again is known again and counts once. Ids derive from component, window and kind.
//!
//! Whatever is sent, memory is bounded by [`Limits`].

mod components;
mod dropped;
mod edges;
mod latency;
mod logs;
mod metrics;
mod open;
mod peers;
mod settings;
mod span_index;
mod spans;
mod telling;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use events::{ComponentName, Event, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::otlp::Received;
use components::{ComponentNo, Components, Kind, ResourceNo};
pub use dropped::{Absorbed, Reason, Totals};
use logs::Miner;
use metrics::{Meanings, SeriesTable};
use open::OpenWindow;
use peers::Peers;
pub use settings::{Aggregate, Limits, NamedExtra, PeerRule, Settings};
use span_index::SpanIndex;
use spans::Protocols;
use window::{Grid, Number};

/// Summarises telemetry into windows.
#[derive(Debug)]
pub struct Aggregator {
    settings: Settings,
    grid: Grid,
    now_ns: i64,
    /// The newest window that is closed.
    closed: Number,
    open: BTreeMap<Number, OpenWindow>,
    components: Components,
    peers: Peers,
    protocols: Protocols,
    spans: SpanIndex,
    meanings: Meanings,
    series: SeriesTable,
    miners: BTreeMap<ComponentNo, Miner>,
    /// The shape of the line that is looked at.
    line: String,
    /// Pairs of caller and callee that were told of.
    known_edges: BTreeSet<(ComponentNo, ComponentNo)>,
    requests: RecentRequests,
    totals: Totals,
}

impl Aggregator {
    /// An aggregator that begins at `now`. What happened in windows that are over by then is
    /// late. After a restart, give the end of the newest window that events were made of as
    /// `told_until`: what is left of it is late too, because its events are in the log.
    pub fn new(settings: Settings, now: Timestamp, told_until: Option<Timestamp>) -> Self {
        let grid = Grid::new(settings.window_ms, settings.lateness_ms, settings.ahead_ms);
        let now_ns = window::unix_ns(now);
        let told = told_until.map(|end| grid.number(window::unix_ns(end)) - 1);
        Self {
            grid,
            now_ns,
            closed: grid.over(now_ns).max(told.unwrap_or(Number::MIN)),
            open: BTreeMap::new(),
            components: Components::new(&settings),
            peers: Peers::new(&settings),
            protocols: Protocols::default(),
            spans: SpanIndex::new(settings.span_memory_ms, settings.limits.spans, now_ns),
            meanings: Meanings::new(&settings.extras),
            series: SeriesTable::new(settings.limits.series, now_ns),
            miners: BTreeMap::new(),
            line: String::new(),
            known_edges: BTreeSet::new(),
            requests: RecentRequests::new(settings.limits.requests),
            totals: Totals::default(),
            settings,
        }
    }

    /// Says that a version of a component is live from before: it is no deployment when telemetry
    /// tells of it.
    pub fn know_version(&mut self, component: &ComponentName, version: &str) {
        // No room for it is no harm: the component has no room later either.
        if let Ok(number) = self.components.named(component, Kind::External, Number::MAX) {
            self.components.get_mut(number).versions.know(version);
        }
    }

    /// The newest live version of every component that tells one: what the next process should
    /// [know](Self::know_version).
    pub fn versions(&self) -> impl Iterator<Item = (&ComponentName, &str)> {
        self.components.numbers().filter_map(|number| {
            let component = self.components.get(number);
            Some((&component.name, component.versions.newest()?))
        })
    }

    /// The end of the newest window that is closed.
    pub fn told_until(&self) -> Timestamp {
        self.grid.window(self.closed, 1).end()
    }

    /// Takes a request of spans.
    pub fn traces(&mut self, received: &Received<ExportTraceServiceRequest>) -> Absorbed {
        let absorbed = match self.repeated(received.fingerprint) {
            true => {
                let scopes = received.request.resource_spans.iter().flat_map(|it| &it.scope_spans);
                again(scopes.map(|scope| scope.spans.len()))
            }
            false => self.absorb_spans(&received.request),
        };
        self.totals.add(&absorbed);
        absorbed
    }

    /// Takes a request of data points.
    pub fn metrics(&mut self, received: &Received<ExportMetricsServiceRequest>) -> Absorbed {
        let absorbed = match self.repeated(received.fingerprint) {
            true => {
                let scopes =
                    received.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
                again(scopes.flat_map(|scope| &scope.metrics).map(metrics::points_of))
            }
            false => self.absorb_points(&received.request),
        };
        self.totals.add(&absorbed);
        absorbed
    }

    /// Takes a request of log records.
    pub fn logs(&mut self, received: &Received<ExportLogsServiceRequest>) -> Absorbed {
        let absorbed = match self.repeated(received.fingerprint) {
            true => {
                let scopes = received.request.resource_logs.iter().flat_map(|it| &it.scope_logs);
                again(scopes.map(|scope| scope.log_records.len()))
            }
            false => self.absorb_lines(&received.request),
        };
        self.totals.add(&absorbed);
        absorbed
    }

    /// Says what time it is, and takes the events of the windows that are closed by that. Between
    /// two calls time stands still, so a server calls it every second or so. Time that goes
    /// backwards changes nothing.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Event> {
        self.now_ns = self.now_ns.max(window::unix_ns(now));
        let events = self.close_up_to(self.grid.over(self.now_ns));
        self.spans.advance(self.now_ns);
        self.requests.advance(self.now_ns);
        events
    }

    /// Closes every window, as full as it is, for the end of the process.
    pub fn close(&mut self) -> Vec<Event> {
        let last = self.open.keys().next_back().copied();
        self.close_up_to(last.unwrap_or(self.closed))
    }

    /// What was taken and dropped since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How much is held: spans and windows that wait.
    pub fn held(&self) -> Held {
        let (spans, series) = (self.spans.len(), self.series.len());
        Held { spans, series, windows: self.open.len() }
    }

    fn close_up_to(&mut self, last: Number) -> Vec<Event> {
        let mut events = Vec::new();
        while self.closed < last {
            // Where nothing is open, only components that just fell quiet have anything to tell.
            let next = self.next_to_tell().min(last);
            self.closed = next;
            let window = self.open.remove(&next).unwrap_or_default();
            self.tell(next, window, &mut events);
        }
        self.totals.events += events.len() as u64;
        events
    }

    fn next_to_tell(&self) -> Number {
        let open = self.open.keys().next().copied().unwrap_or(Number::MAX);
        let quiet = i64::from(self.settings.quiet_windows);
        let traffic =
            self.components.numbers().filter_map(|number| self.components.get(number).last_traffic);
        let fell_quiet = traffic.max().is_some_and(|last| self.closed < last + quiet);
        if fell_quiet { self.closed + 1 } else { open.max(self.closed + 1) }
    }

    /// The window of a moment, if it is neither closed nor too far ahead.
    fn accepts(&self, at_ns: i64) -> Result<Number, Reason> {
        let number = self.grid.number(at_ns);
        if number <= self.closed {
            return Err(Reason::Late);
        }
        if number > self.grid.newest(self.now_ns) {
            return Err(Reason::Future);
        }
        Ok(number)
    }

    fn open_window(&mut self, number: Number) -> &mut OpenWindow {
        self.open.entry(number).or_default()
    }

    fn note(&mut self, number: Number, place: ResourceNo, component: ComponentNo, at_ns: i64) {
        self.open_window(number).component(component).note(place, at_ns);
    }

    fn repeated(&mut self, fingerprint: Option<u128>) -> bool {
        fingerprint.is_some_and(|fingerprint| !self.requests.insert(fingerprint))
    }
}

/// How much an aggregator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Spans whose other half may still come.
    pub spans: usize,
    /// Series whose growth is known.
    pub series: usize,
    /// Windows that are not closed.
    pub windows: usize,
}

/// A request that was taken before.
fn again(counts: impl Iterator<Item = usize>) -> Absorbed {
    Absorbed { repeated: counts.sum::<usize>() as u64, ..Absorbed::default() }
}

/// The requests of the last minutes, to know one that is sent again.
#[derive(Debug)]
struct RecentRequests {
    most: usize,
    young: AHashMap<u128, ()>,
    old: AHashMap<u128, ()>,
    since_ns: i64,
}

/// How long a request is remembered at least: clients give up sooner.
const REQUESTS_NS: i64 = 300_000_000_000;

impl RecentRequests {
    fn new(most: usize) -> Self {
        Self { most, young: AHashMap::new(), old: AHashMap::new(), since_ns: 0 }
    }

    fn advance(&mut self, now_ns: i64) {
        if now_ns.saturating_sub(self.since_ns) >= REQUESTS_NS || self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
            self.since_ns = now_ns;
        }
    }

    fn insert(&mut self, fingerprint: u128) -> bool {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        !self.old.contains_key(&fingerprint) && self.young.insert(fingerprint, ()).is_none()
    }
}

#[cfg(test)]
pub(crate) mod tests;
