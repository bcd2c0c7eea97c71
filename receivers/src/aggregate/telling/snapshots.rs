//! The golden signals of every component.

use std::collections::BTreeMap;

use events::Event;
use events::catalogue::telemetry::MetricSnapshotRecorded;
use events::value::Finite;

use super::{Patterns, event};
use crate::aggregate::Aggregator;
use crate::aggregate::components::ComponentNo;
use crate::aggregate::edges::Edges;
use crate::aggregate::metrics::{Gathered, Signals};
use crate::aggregate::open::{OpenWindow, Requests};
use crate::aggregate::window::Number;

/// What was measured of one component.
#[derive(Clone, Copy, Default)]
struct Measured<'a> {
    requests: Option<&'a Requests>,
    signals: Option<&'a Signals>,
    logged: Option<&'a BTreeMap<String, Finite>>,
}

impl Aggregator {
    pub(super) fn tell_snapshots(
        &mut self,
        number: Number,
        window: &OpenWindow,
        edges: &Edges,
        (gathered, patterns): (&Gathered, &Patterns),
        events: &mut Vec<Event>,
    ) {
        let mut by_callers = BTreeMap::<ComponentNo, Requests>::new();
        for ((_, callee), edge) in edges {
            let requests = by_callers.entry(*callee).or_default();
            requests.merge(edge.calls, edge.errors, &edge.latency);
        }
        let fell_quiet = self.fell_quiet(number);
        let measured = gathered.keys().filter(|(_, windows)| *windows == 1).map(|(it, _)| it);
        let all = window.components.keys().chain(by_callers.keys()).chain(&fell_quiet);
        for component in self.ordered(all.chain(measured).copied()) {
            let signals = gathered.get(&(component, 1));
            let own = window.components.get(&component).map(|of| &of.served);
            let measured = signals.and_then(Signals::all_requests);
            let callers = by_callers.get(&component);
            let requests = fullest([own, measured.as_ref(), callers].into_iter().flatten());
            let in_spans = [own, callers].into_iter().flatten().any(|spans| spans.count > 0);
            let known = self.components.get_mut(component);
            if requests.is_some() {
                known.last_traffic = Some(number);
            }
            if in_spans {
                known.last_spans = Some(number);
            }
            let silence = Requests::default();
            let quiet = fell_quiet.contains(&component).then_some(&silence);
            let logged = patterns.get(&component).map(|told| &told.extras);
            let measured = Measured { requests: requests.or(quiet), signals, logged };
            events.extend(self.snapshot(component, number, 1, measured));
        }
        self.tell_longer(number, gathered, events);
    }

    /// What is measured more rarely than a window is long.
    fn tell_longer(&self, number: Number, gathered: &Gathered, events: &mut Vec<Event>) {
        let mut longer: Vec<_> = gathered.iter().filter(|((_, windows), _)| *windows > 1).collect();
        longer.sort_by_key(|((component, windows), _)| {
            (&self.components.get(*component).name, *windows)
        });
        for ((component, windows), signals) in longer {
            // Where spans tell of the windows in it, they are told already.
            let last = self.components.get(*component).last_spans;
            let untold = last.is_none_or(|last| last + windows <= number);
            let requests = signals.all_requests().filter(|_| untold);
            let requests = requests.as_ref();
            let measured = Measured { requests, signals: Some(signals), logged: None };
            events.extend(self.snapshot(*component, number, *windows, measured));
        }
    }

    /// Components that had requests shortly before a window: if it has none, that is told.
    fn fell_quiet(&self, number: Number) -> Vec<ComponentNo> {
        let quiet = i64::from(self.settings.quiet_windows);
        let fell = |it: &ComponentNo| {
            let last = self.components.get(*it).last_traffic;
            last.is_some_and(|last| last < number && number - last <= quiet)
        };
        self.components.numbers().filter(fell).collect()
    }

    /// A snapshot of a component over some windows up to one; `None` if nothing was measured.
    fn snapshot(
        &self,
        component: ComponentNo,
        last: Number,
        windows: i64,
        Measured { requests, signals, logged }: Measured<'_>,
    ) -> Option<Event> {
        let name = &self.components.get(component).name;
        let window = self.grid.window(last, windows);
        let mut extras = signals.map(|it| it.extras(&self.meanings)).unwrap_or_default();
        extras.extend(logged.into_iter().flatten().map(|(name, it)| (name.clone(), *it)));
        let data = MetricSnapshotRecorded {
            component: name.clone(),
            window: window.clone(),
            requests: requests.map(|requests| requests.count),
            errors: requests.map(|requests| requests.errors.min(requests.count)),
            latency: requests.and_then(|it| it.latency.as_ref()).and_then(|it| it.latency()),
            saturation: signals.and_then(Signals::saturation),
            cpu_cores: signals.and_then(Signals::cpu_cores),
            memory_bytes: signals.and_then(Signals::memory_bytes),
            extras,
        };
        let resources = data.saturation.is_some() || data.cpu_cores.is_some();
        let measured = data.requests.is_some() || resources || data.memory_bytes.is_some();
        let measured = measured || !data.extras.is_empty();
        measured.then(|| event(name, &window, "", window.end(), data))
    }
}

/// What the component itself told in spans, unless its metrics or its callers count clearly more:
/// requests that it did not live to answer, or of which it samples a part.
fn fullest<'a>(told: impl Iterator<Item = &'a Requests>) -> Option<&'a Requests> {
    told.filter(|requests| requests.count > 0).reduce(|best, next| {
        if u128::from(best.count) * 10 < u128::from(next.count) * 9 { next } else { best }
    })
}
