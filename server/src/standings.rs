//! How the system stands by the newest windows: every component's signals, every objective's
//! budget. A fold over the log that the reactors advance; where another server reacts it is empty.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diagnosis::objectives::{Burned, Objectives, Standing};
use events::catalogue::model::SloDefined;
use events::catalogue::telemetry::MetricSnapshotRecorded;
use events::{ComponentName, EventData, RecordedEvent, SloId, Timestamp};
use jiff::SignedDuration;

/// Windows without a report after which a component is not available, and the least time that is
/// waited: reports take their time.
const SILENT_WINDOWS: u64 = 3;
const LEAST_SILENCE: SignedDuration = SignedDuration::from_secs(30);
/// After this time without a report a component is no longer told of.
const GONE: SignedDuration = SignedDuration::from_mins(15);

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Standings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objectives: Objectives,
    components: BTreeMap<ComponentName, Reported>,
}

/// The newest windows of a component. Its calls and what it uses may be reported in windows of
/// different lengths, so that one says nothing of the other.
#[derive(Debug)]
struct Reported {
    newest: MetricSnapshotRecorded,
    /// The newest that tells of calls.
    calls: Option<MetricSnapshotRecorded>,
    /// The newest that tells how much of a resource is in use.
    saturation: Option<MetricSnapshotRecorded>,
}

impl Reported {
    fn new(newest: MetricSnapshotRecorded) -> Self {
        let mut reported = Self { newest: newest.clone(), calls: None, saturation: None };
        reported.take(&newest);
        reported
    }

    fn take(&mut self, data: &MetricSnapshotRecorded) {
        if data.window.end() < self.newest.window.end() {
            return;
        }
        self.newest = data.clone();
        if data.requests.is_some() {
            self.calls = Some(data.clone());
        }
        if data.saturation.is_some() {
            self.saturation = Some(data.clone());
        }
    }

    /// A window, unless the one behind it is over by now.
    fn current<'d>(
        &self,
        of: &'d Option<MetricSnapshotRecorded>,
    ) -> Option<&'d MetricSnapshotRecorded> {
        of.as_ref().filter(|data| {
            let longest = data.window.duration_ms.max(self.newest.window.duration_ms);
            let longest = SignedDuration::from_millis(i64::try_from(longest).unwrap_or(i64::MAX));
            self.newest.window.end().duration_since(data.window.end()) < longest
        })
    }
}

/// Components that are kept at most; whoever is gone is forgotten first.
const MOST_COMPONENTS: usize = 10_000;

/// The signals of a component in its newest window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
    pub(crate) latency_p95_seconds: Option<f64>,
    pub(crate) saturation_ratio: Option<f64>,
    /// It reports, and does not say of itself that it is down.
    pub(crate) available: bool,
}

impl Standings {
    /// Takes the next event of the log; answers which budgets began to burn.
    pub(crate) fn observe(&self, recorded: &RecordedEvent) -> Vec<Burned> {
        let mut state = self.state();
        if let EventData::MetricSnapshotRecorded(data) = &recorded.event.data
            && recorded.pruned.is_none()
        {
            state.take(data);
        }
        state.objectives.observe(recorded)
    }

    /// Begins anew, before the log is followed from its beginning.
    pub(crate) fn forget(&self) {
        *self.state() = State::default();
    }

    /// How an objective stands by the newest window.
    pub(crate) fn of(&self, slo: &SloId) -> Option<Standing> {
        let state = self.state();
        state.objectives.standing(slo, state.objectives.latest()?)
    }

    /// Every objective for which something was measured.
    pub(crate) fn objectives(&self) -> Vec<(SloDefined, Standing)> {
        let state = self.state();
        let Some(at) = state.objectives.latest() else { return Vec::new() };
        let of = |slo: &SloDefined| Some((slo.clone(), state.objectives.standing(&slo.slo, at)?));
        state.objectives.defined().filter_map(of).collect()
    }

    /// Every component that reported of late, as it stands at `now`.
    pub(crate) fn components(&self, now: Timestamp) -> Vec<(ComponentName, Signals)> {
        let state = self.state();
        let recent = state
            .components
            .iter()
            .filter(|(_, it)| now.duration_since(it.newest.window.end()) <= GONE);
        recent.map(|(name, reported)| (name.clone(), Signals::of(reported, now))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A fold is whole between two events, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, data: &MetricSnapshotRecorded) {
        let end = data.window.end();
        if self.components.len() >= MOST_COMPONENTS {
            self.components.retain(|_, it| end.duration_since(it.newest.window.end()) <= GONE);
        }
        match self.components.get_mut(&data.component) {
            Some(known) => known.take(data),
            None => {
                self.components.insert(data.component.clone(), Reported::new(data.clone()));
            }
        }
    }
}

impl Signals {
    fn of(reported: &Reported, now: Timestamp) -> Self {
        let calls = reported.current(&reported.calls);
        let requests = calls.and_then(|it| it.requests).map(|requests| requests as f64);
        let seconds = calls.map_or(0.0, |it| it.window.duration_ms as f64 / 1_000.0);
        let errors = calls.and_then(|it| it.errors).map(|errors| errors as f64);
        let latency = calls.and_then(|it| it.latency.as_ref());
        let saturation = reported.current(&reported.saturation).and_then(|it| it.saturation);
        let data = &reported.newest;
        let ratio = requests.filter(|all| *all > 0.0).zip(errors).map(|(all, bad)| bad / all);
        let patience = data.window.duration_ms.saturating_mul(SILENT_WINDOWS);
        let patience = SignedDuration::from_millis(i64::try_from(patience).unwrap_or(i64::MAX));
        let patience = patience.max(LEAST_SILENCE);
        let down = data.extras.get("up").is_some_and(|up| up.get() == 0.0);
        Self {
            requests_per_second: requests.filter(|_| seconds > 0.0).map(|all| all / seconds),
            error_ratio: ratio,
            latency_p95_seconds: latency.map(|it| it.p95_ms.get() / 1_000.0),
            saturation_ratio: saturation.map(|share| share.get()),
            available: !down && now.duration_since(data.window.end()) <= patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use events::value::Line;
    use events::{Event, EventId, StreamId};
    use serde_json::json;

    use super::*;

    fn recorded(at: i64, data: serde_json::Value) -> RecordedEvent {
        let data = EventData::from_json("io.faultline.metrics.snapshotrecorded.v1", data).unwrap();
        let at = Timestamp::from_second(at).unwrap();
        let event = Event::with_id(EventId::generate(), Line::clipped("/test"), at, data);
        let stream = StreamId::new("s").unwrap();
        RecordedEvent { event, stream, revision: 0, position: 1, recorded_at: at, pruned: None }
    }

    fn window(component: &str, start_s: i64, more: serde_json::Value) -> RecordedEvent {
        let start = Timestamp::from_second(start_s).unwrap();
        let mut data = json!({ "component": component,
            "window": { "start": start, "duration_ms": 10_000 } });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        recorded(start_s + 10, data)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_component_is_what_its_newest_window_says() {
        let standings = Standings::default();
        standings.observe(&window("cart", 20, json!({ "requests": 50, "errors": 5 })));
        standings.observe(&window("cart", 10, json!({ "requests": 999, "errors": 0 })));
        let cart = standings.components(at(30))[0].1;
        assert_eq!((cart.requests_per_second, cart.error_ratio), (Some(5.0), Some(0.1)));
        assert_eq!((cart.available, cart.latency_p95_seconds), (true, None));
        standings.observe(&window("cart", 30, json!({ "requests": 0, "errors": 0 })));
        let cart = standings.components(at(40))[0].1;
        assert_eq!(cart.error_ratio, None, "of nothing there is no share");
    }

    #[test]
    fn calls_and_use_may_be_told_in_windows_of_different_lengths() {
        let standings = Standings::default();
        let calls = |start| window("cart", start, json!({ "requests": 50, "errors": 0 }));
        let mut of_a_minute = window("cart", 0, json!({ "saturation": 0.5 }));
        let EventData::MetricSnapshotRecorded(data) = &mut of_a_minute.event.data else { panic!() };
        data.window.duration_ms = 60_000;
        for told in [calls(50), of_a_minute] {
            standings.observe(&told);
        }
        let seen = |second| {
            let cart = standings.components(at(second))[0].1;
            (cart.requests_per_second, cart.saturation_ratio)
        };
        assert_eq!(seen(60), (Some(5.0), Some(0.5)));
        (60..110).step_by(10).for_each(|start| drop(standings.observe(&calls(start))));
        assert_eq!(seen(110), (Some(5.0), Some(0.5)));
        standings.observe(&calls(110));
        assert_eq!(seen(120), (Some(5.0), None), "a minute has passed");
    }

    #[test]
    fn whoever_is_silent_or_says_so_is_not_available() {
        let standings = Standings::default();
        standings.observe(&window("a", 0, json!({})));
        standings.observe(&window("b", 0, json!({ "extras": { "up": 0.0 } })));
        let available = |second| -> Vec<(String, bool)> {
            let all = standings.components(at(second));
            all.into_iter().map(|(name, it)| (name.to_string(), it.available)).collect()
        };
        assert_eq!(available(40), [("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!(available(41)[0], ("a".to_owned(), false), "when all telemetry stops");
        assert_eq!(available(10 + 901), [], "they are gone");
    }
}
