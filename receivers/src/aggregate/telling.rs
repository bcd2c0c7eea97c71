//! A closed window as events.

mod snapshots;

use std::collections::BTreeMap;

use events::catalogue::change::DeploymentRecorded;
use events::catalogue::telemetry::{CallStatistics, MAX_ENTRIES, TraceEdgesRecorded};
use events::catalogue::topology::{ComponentDescribed, ComponentDiscovered, DependencyObserved};
use events::value::Line;
use events::{ComponentName, Event, EventData, EventId, Timestamp};
use uuid::Uuid;

use super::Aggregator;
use super::components::ComponentNo;
use super::dropped::Reason;
use super::edges::{Edge, Edges};
use super::logs;
use super::open::OpenWindow;
use super::window::{self, Number};

/// What ids are derived under.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_52a3_9c0b_4e0e_8a57_d1c0_7e1e_4e77);

/// What components logged in a window.
type Patterns = BTreeMap<ComponentNo, logs::Told>;

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
        let patterns = self.patterns(number, &mut window);
        self.tell_snapshots(number, &window, &edges, (&gathered, &patterns), events);
        self.tell_edges(number, edges, events);
        self.tell_patterns(number, &patterns, events);
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

    /// The patterns of every component's lines.
    fn patterns(&mut self, number: Number, window: &mut OpenWindow) -> Patterns {
        let mut patterns = Patterns::new();
        for (component, of) in &mut window.components {
            patterns.extend(self.mine(*component, number, of).map(|told| (*component, told)));
        }
        patterns
    }

    fn tell_patterns(&self, number: Number, patterns: &Patterns, events: &mut Vec<Event>) {
        let span = self.grid.window(number, 1);
        for component in self.ordered(patterns.keys().copied()) {
            let name = &self.components.get(component).name;
            for (part, fact) in patterns[&component].facts(name, &span).into_iter().enumerate() {
                events.push(event(name, &span, &part.to_string(), span.end(), fact));
            }
        }
    }
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
