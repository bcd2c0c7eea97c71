//! Experiments of other chaos tools: objects of Chaos Mesh, results of Litmus.
//!
//! An object may be sent again and again while it goes on. Ids derive from the identity that
//! its cluster gave it and from what happened, so each thing is told once, and a rerun is another
//! run: Chaos Mesh makes another object of it, Litmus counts it in the same one.

mod litmus;
mod mesh;

use std::collections::BTreeMap;

use events::catalogue::experiment::{ExperimentPlanned, ExperimentStarted};
use events::value::{Line, Text};
use events::{
    ComponentName, Event, EventData, EventId, ExperimentId, FaultId, FaultKind, Timestamp,
};
use serde_json::Value;

use crate::document::{derived, scalar};
pub use litmus::results;
pub use mesh::object;

/// What became of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The run.
    pub experiment: ExperimentId,
    /// All that is known of it so far, in the order in which it happened.
    pub events: Vec<Event>,
    /// Targets that no rule has a component for.
    pub unmapped: Vec<String>,
}

/// The events of one run.
struct Story {
    source: &'static str,
    experiment: ExperimentId,
    root: EventId,
    events: Vec<Event>,
    unmapped: Vec<String>,
}

/// Longest part of a title in an id, in characters.
const MAX_SLUG: usize = 60;

impl Story {
    /// A run that `identity` tells from all others.
    fn new(source: &'static str, title: &str, identity: &[&str]) -> Self {
        let root = EventId(derived(&[&[source, "run"], identity].concat()));
        let digest = root.0.simple().to_string();
        let plain =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '-' };
        let slug: String = title.chars().take(MAX_SLUG).map(plain).collect();
        let experiment = ExperimentId::new(format!("{slug}-{}", &digest[..20]));
        let experiment = experiment.expect("a slug of 60 plain characters and 21 more fit");
        Self { source, experiment, root, events: Vec::new(), unmapped: Vec::new() }
    }

    fn tell(&mut self, role: &str, at: Timestamp, data: impl Into<EventData>) {
        let source = Line::clipped(&format!("/{}", self.source));
        let id = if role == "planned" { self.root } else { self.root.derived(role) };
        let mut event = Event::with_id(id, source, at, data);
        event.correlation_id = Some(Line::clipped(self.experiment.as_str()));
        event.causation_id = (id != self.root).then_some(self.root);
        self.events.push(event);
    }

    fn begin(&mut self, title: &str, description: &str, tags: &[&str], at: Timestamp) {
        let planned = ExperimentPlanned {
            experiment: self.experiment.clone(),
            title: Line::clipped(title),
            description: Some(Text::clipped(description)),
            hypothesis: None,
            tags: tags.iter().map(|tag| Line::clipped(tag)).collect(),
        };
        self.tell("planned", at, planned);
        let started = ExperimentStarted { experiment: self.experiment.clone() };
        self.tell("started", at, started);
    }

    fn fault(&self, component: &ComponentName, number: usize) -> FaultId {
        let digest = derived(&[component.as_str(), &number.to_string()]).simple().to_string();
        let id = format!("{}-{}", self.experiment, &digest[..12]);
        FaultId::new(id).expect("an experiment id of at most 81 characters and 13 more fit")
    }

    fn told(mut self) -> Told {
        // What ended the run stays last among events of the same moment.
        self.events.sort_by_key(|event| event.time);
        self.unmapped.sort();
        self.unmapped.dedup();
        Told { experiment: self.experiment, events: self.events, unmapped: self.unmapped }
    }
}

/// A kind by its name, or another tool's name as it is written here.
fn kind(name: &str) -> FaultKind {
    let plain = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '_' };
    let plain: String = name.chars().take(FaultKind::MAX_CHARS).map(plain).collect();
    FaultKind::new(plain)
        .unwrap_or_else(|_| FaultKind::new("unknown").expect("it is short and printable"))
}

/// Most parameters of a fault.
const MOST_PARAMETERS: usize = 50;

/// The scalars of an object, by the path to each.
fn parameters(value: &Value, without: &[&str]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let top = value.as_object().into_iter().flatten();
    let mut open: Vec<(String, &Value)> = top
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value))
        .collect();
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, value)| (format!("{path}.{name}"), value)));
            }
            Value::Array(list) if list.iter().all(|one| scalar(one).is_some()) => {
                found.insert(path, value.clone());
            }
            value if scalar(value).is_some() => {
                found.insert(path, value.clone());
            }
            _ => {}
        }
        if found.len() >= MOST_PARAMETERS {
            break;
        }
    }
    found
}

/// The workload that a pod is of: `cart` of `cart-7d9f8b6c5-x2x1z`, of `cart-0` and of
/// `cart-x2x1z`.
pub(crate) fn workload_of(pod: &str) -> &str {
    let generated = |part: &str, least: usize| {
        part.len() >= least
            && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
            && !part.bytes().any(|it| b"aeiou".contains(&it))
    };
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    let ordinal = last.bytes().all(|it| it.is_ascii_digit()) && !last.is_empty();
    if ordinal {
        return rest;
    }
    if last.len() != 5 || !generated(last, 5) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((workload, hash)) if generated(hash, 6) => workload,
        _ => rest,
    }
}

#[cfg(test)]
mod tests;
