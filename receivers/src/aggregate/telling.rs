//! A closed window as events.

use std::collections::BTreeMap;

use events::catalogue::change::DeploymentRecorded;
use events::catalogue::telemetry::{
    CallStatistics, MAX_ENTRIES, MetricSnapshotRecorded, TraceEdgesRecorded,
};
use events::catalogue::topology::{ComponentDescribed, ComponentDiscovered, DependencyObserved};
use events::value::Line;
use events::{ComponentName, Event, EventData, EventId, Timestamp};
use uuid::Uuid;

use super::Aggregator;
use super::components::ComponentNo;
use super::dropped::Reason;
use super::edges::{Edge, Edges};
use super::metrics::{Gathered, Signals};
use super::open::{OpenWindow, Requests};
use super::window::{self, Number};

/// What ids are derived under.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_52a3_9c0b_4e0e_8a57_d1c0_7e1e_4e77);

/// Who says it.
const SOURCE: &str = "/otlp";

/// An event of `component` about a window: the same for the same, so that it is in the log once.
fn event(
    component: &ComponentName,
    window: &events::catalogue::telemetry::Window,
    part: &str,
    at: Timestamp,
    data: impl Into<EventData>,
) -> Event {
    let data = data.into();
    let kind = data.event_type();
    let (start, length) = (window.start, window.duration_ms);
    let name = format!("{component}\n{start}\n{length}\n{kind}\n{part}");
    let id = EventId(Uuid::new_v5(&NAMESPACE, name.as_bytes()));
    let mut event = Event::with_id(id, Line::clipped(SOURCE), at, data);
    event.subject = Some(Line::clipped(component.as_str()));
    event
}

impl Aggregator {
    /// Makes the events of a window.
    pub(super) fn tell(&mut self, number: Number, mut window: OpenWindow, events: &mut Vec<Event>) {
        self.tell_deployments(number, &window, events);
        let edges = self.edges(number, &window);
        let points = std::mem::take(&mut window.points);
        let gathered = self.gathered(number, points);
        self.tell_topology(number, &window, &edges, events);
        self.tell_snapshots(number, &window, &edges, &gathered, events);
        self.tell_edges(number, edges, events);
    }

    fn tell_deployments(&mut self, number: Number, window: &OpenWindow, events: &mut Vec<Event>) {
        let span = self.grid.window(number, 1);
        for component in self.ordered(window.components.keys().copied()) {
            let mut versions = BTreeMap::<Box<str>, i64>::new();
            for (place, earliest) in &window.components[&component].places {
                self.components.seen_at(*place);
                let version = self.components.place(*place).and_then(|it| it.version.clone());
                if let Some(version) = version {
                    let known = versions.entry(version).or_insert(*earliest);
                    *known = *earliest.min(known);
                }
            }
            let known = self.components.get_mut(component);
            for introduced in known.versions.seen(number, versions) {
                let data = DeploymentRecorded {
                    component: known.name.clone(),
                    version: Line::clipped(&introduced.version),
                    previous_version: Some(Line::clipped(&introduced.previous)),
                    description: None,
                };
                let at = window::moment(introduced.at_ns);
                events.push(event(&known.name, &span, &introduced.version, at, data));
            }
        }
    }

    /// Components by name: their numbers tell in which order they came.
    fn ordered(&self, numbers: impl Iterator<Item = ComponentNo>) -> Vec<ComponentNo> {
        let mut numbers: Vec<ComponentNo> = numbers.collect();
        numbers.sort_by_key(|number| &self.components.get(*number).name);
        numbers.dedup();
        numbers
    }

    fn tell_topology(
        &mut self,
        number: Number,
        window: &OpenWindow,
        edges: &Edges,
        events: &mut Vec<Event>,
    ) {
        let span = self.grid.window(number, 1);
        let ends = edges.keys().flat_map(|(caller, callee)| [*caller, *callee]);
        for component in self.ordered(window.components.keys().copied().chain(ends)) {
            let known = self.components.get_mut(component);
            let values = known.placement.values().map(|values| values.len()).sum();
            let telling = Some((known.kind, values));
            if known.told == telling {
                continue;
            }
            if known.told.is_none() {
                let data = ComponentDiscovered {
                    component: known.name.clone(),
                    discovered_by: Line::clipped("OpenTelemetry"),
                };
                events.push(event(&known.name, &span, "", span.start, data));
            }
            known.told = telling;
            let attributes = known.placement.iter().map(|(name, values)| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                ((*name).to_owned(), Line::clipped(&values.join(", ")))
            });
            let data = ComponentDescribed {
                component: known.name.clone(),
                kind: Some(Line::clipped(known.kind.as_str())),
                owner: None,
                criticality: None,
                description: None,
                attributes: attributes.collect(),
            };
            events.push(event(&known.name, &span, "", span.start, data));
        }
        let mut new: Vec<_> = edges
            .iter()
            .filter(|(pair, _)| !self.known_edges.contains(pair))
            .map(|((caller, callee), edge)| {
                let names = edge.protocols.iter().filter_map(|it| self.protocols.name(*it));
                (*caller, *callee, names.min().map(Line::clipped))
            })
            .collect();
        new.sort_by_key(|(caller, callee, _)| {
            (&self.components.get(*caller).name, &self.components.get(*callee).name)
        });
        for (caller, callee, protocol) in new {
            if self.known_edges.len() >= self.settings.limits.edges {
                self.totals.drop(Reason::TooManyEdges, 1);
                continue;
            }
            self.known_edges.insert((caller, callee));
            let name = |number| self.components.get(number).name.clone();
            let (caller, callee) = (name(caller), name(callee));
            let part = callee.to_string();
            let data = DependencyObserved { caller: caller.clone(), callee, protocol };
            events.push(event(&caller, &span, &part, span.start, data));
        }
    }

    fn tell_snapshots(
        &mut self,
        number: Number,
        window: &OpenWindow,
        edges: &Edges,
        gathered: &Gathered,
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
            let told = [own, measured.as_ref(), by_callers.get(&component)];
            let requests = fullest(told.into_iter().flatten());
            let spans = [own, by_callers.get(&component)].into_iter().flatten();
            let spans = spans.map(|requests| requests.count).any(|count| count > 0);
            let known = self.components.get_mut(component);
            if requests.is_some() {
                known.last_traffic = Some(number);
            }
            if spans {
                known.last_spans = Some(number);
            }
            let silence = Requests::default();
            let quiet = fell_quiet.contains(&component).then_some(&silence);
            let snapshot = self.snapshot(component, (number, 1), requests.or(quiet), signals);
            events.extend(snapshot);
        }
        let mut longer: Vec<_> = gathered.iter().filter(|((_, windows), _)| *windows > 1).collect();
        longer.sort_by_key(|((component, windows), _)| {
            (&self.components.get(*component).name, *windows)
        });
        for ((component, windows), signals) in longer {
            // Where spans tell of the windows in it, they are told already.
            let last = self.components.get(*component).last_spans;
            let requests =
                signals.all_requests().filter(|_| last.is_none_or(|it| it + windows <= number));
            let snapshot =
                self.snapshot(*component, (number, *windows), requests.as_ref(), Some(signals));
            events.extend(snapshot);
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
        (last, windows): (Number, i64),
        requests: Option<&Requests>,
        signals: Option<&Signals>,
    ) -> Option<Event> {
        let name = &self.components.get(component).name;
        let window = self.grid.window(last, windows);
        let data = MetricSnapshotRecorded {
            component: name.clone(),
            window: window.clone(),
            requests: requests.map(|requests| requests.count),
            errors: requests.map(|requests| requests.errors.min(requests.count)),
            latency: requests.and_then(|it| it.latency.as_ref()).and_then(|it| it.latency()),
            saturation: signals.and_then(Signals::saturation),
            cpu_cores: signals.and_then(Signals::cpu_cores),
            memory_bytes: signals.and_then(Signals::memory_bytes),
            extras: signals.map(|signals| signals.extras(&self.meanings)).unwrap_or_default(),
        };
        let numbers =
            [data.saturation.is_some(), data.cpu_cores.is_some(), data.memory_bytes.is_some()];
        let measured =
            data.requests.is_some() || numbers.contains(&true) || !data.extras.is_empty();
        measured.then(|| event(name, &window, "", window.end(), data))
    }

    fn tell_edges(&mut self, number: Number, edges: Edges, events: &mut Vec<Event>) {
        let span = self.grid.window(number, 1);
        let mut by_caller = BTreeMap::<ComponentName, BTreeMap<ComponentName, Edge>>::new();
        for ((caller, callee), edge) in edges {
            if !self.known_edges.contains(&(caller, callee)) {
                continue;
            }
            let name = |number| self.components.get(number).name.clone();
            by_caller.entry(name(caller)).or_default().insert(name(callee), edge);
        }
        for (caller, edges) in by_caller {
            let edges: Vec<CallStatistics> =
                edges.into_iter().map(|(callee, edge)| statistics(callee, &edge)).collect();
            for (part, edges) in edges.chunks(MAX_ENTRIES).enumerate() {
                let data = TraceEdgesRecorded {
                    caller: caller.clone(),
                    window: span.clone(),
                    edges: edges.to_vec(),
                };
                events.push(event(&caller, &span, &part.to_string(), span.end(), data));
            }
        }
    }
}

/// What the component itself told in spans, unless its metrics or its callers count clearly more:
/// requests that it did not live to answer, or of which it samples a part.
fn fullest<'a>(told: impl Iterator<Item = &'a Requests>) -> Option<&'a Requests> {
    told.filter(|requests| requests.count > 0).reduce(|best, next| {
        if u128::from(best.count) * 10 < u128::from(next.count) * 9 { next } else { best }
    })
}

fn statistics(callee: ComponentName, edge: &Edge) -> CallStatistics {
    CallStatistics {
        callee,
        calls: edge.calls,
        errors: edge.errors.min(edge.calls),
        latency: edge.latency.latency(),
        exemplar_trace_ids: edge.exemplars.ids().map(|id| Line::clipped(&id)).collect(),
    }
}
