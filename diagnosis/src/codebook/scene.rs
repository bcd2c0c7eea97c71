//! An incident as signs: which component showed what.
//!
//! Signs come from alerts and from telemetry alike, and are told by what they say of the component,
//! never by its name, so that what one component teaches serves another.

mod calls;
mod measured;

use std::collections::{BTreeMap, BTreeSet};

use events::value::Line;
use events::{ComponentName, EventId};
use jiff::Timestamp;

use crate::contrast::Contrast;
use crate::evidence::{Evidence, Signal};

/// Most events that stand for one sign.
const MOST_CITED: usize = 3;

/// What is known of an incident, told by signs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The components, by name.
    pub parts: Vec<Part>,
    /// The calls between them that alarmed.
    pub calls: Vec<Alarmed>,
}

/// A call that alarmed, as one of its ends told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarmed {
    /// The place of who called.
    pub caller: usize,
    /// The place of who answered; the caller itself for a span of its own.
    pub callee: usize,
    /// What was asked for.
    pub operation: Line,
    /// What was wrong: `slow`, `error`, a status.
    pub direction: String,
    /// The alert.
    pub event: EventId,
}

/// One component.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: ComponentName,
    /// The name without the number of the replica.
    pub group: String,
    /// Whether the call graph knows it.
    pub drawn: bool,
    /// What it showed.
    pub signs: BTreeMap<String, Sign>,
    /// The places of those seen to call it while something was wrong with the calls.
    pub callers: BTreeSet<usize>,
    /// The places of those it was seen to call.
    pub callees: BTreeSet<usize>,
}

/// Something unusual about a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sign {
    /// From 0 to 1.
    pub strength: f64,
    /// When it was first seen: 1 with the first sign of the incident, 0 with the last. `None`
    /// where that is not known.
    pub early: Option<f64>,
    /// Whether no other component showed it before or at the same time.
    pub first: bool,
    /// What shows it.
    pub events: Vec<EventId>,
    /// When it was first seen.
    pub(super) at: Option<Timestamp>,
}

impl Sign {
    fn seen(&mut self, strength: f64, at: Option<Timestamp>, events: &[EventId]) {
        self.strength = self.strength.max(strength);
        self.at = match (self.at, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        for event in events {
            if self.events.len() < MOST_CITED && !self.events.contains(event) {
                self.events.push(*event);
            }
        }
    }
}

impl Scene {
    /// The signs in the evidence.
    pub fn of(evidence: &Evidence) -> Self {
        let mut scene = Self::drawn(evidence);
        for alert in evidence.alerts() {
            let direction = alert.direction.as_ref().map_or("", |direction| direction.as_str());
            let kind = match alert.signal {
                Signal::Call => continue,
                Signal::Metric => "metric",
                Signal::Log => "log",
                Signal::Other => "alert",
            };
            let sign = format!("{kind} {} {direction}", alert.name.as_str());
            let timed = (alert.signal != Signal::Log).then_some(alert.at);
            let part = scene.place(&alert.component);
            scene.show(part, sign.trim_end(), 1.0, timed, &[alert.event]);
        }
        calls::show(&mut scene, evidence);
        if !evidence.snapshots().is_empty() || !evidence.edges().is_empty() {
            measured::show(&mut scene, &Contrast::of(evidence));
        }
        scene.tell_the_time();
        scene
    }

    fn drawn(evidence: &Evidence) -> Self {
        let callers = evidence.calls().iter().map(|call| (&call.caller, true));
        let callees = evidence.calls().iter().map(|call| (&call.callee, true));
        let alarmed = evidence.alerts().iter().map(|alert| (&alert.component, false));
        let calling = evidence.alerts().iter().filter_map(|a| Some((a.caller.as_ref()?, false)));
        let measured = evidence.snapshots().iter().map(|snapshot| (&snapshot.component, false));
        let mut names: BTreeMap<&ComponentName, bool> = BTreeMap::new();
        for (name, drawn) in callers.chain(callees).chain(alarmed).chain(calling).chain(measured) {
            *names.entry(name).or_default() |= drawn;
        }
        let parts = names.into_iter().map(|(name, drawn)| Part {
            name: name.clone(),
            group: group(name),
            drawn,
            signs: BTreeMap::new(),
            callers: BTreeSet::new(),
            callees: BTreeSet::new(),
        });
        Self { parts: parts.collect(), calls: Vec::new() }
    }

    /// The place of a component.
    pub fn find(&self, name: &ComponentName) -> Option<usize> {
        self.parts.binary_search_by(|part| part.name.cmp(name)).ok()
    }

    fn place(&self, name: &ComponentName) -> usize {
        self.find(name).expect("every component that the evidence names is a part")
    }

    pub(super) fn show(
        &mut self,
        part: usize,
        sign: &str,
        strength: f64,
        at: Option<Timestamp>,
        events: &[EventId],
    ) {
        let signs = &mut self.parts[part].signs;
        if !signs.contains_key(sign) {
            signs.insert(sign.to_owned(), Sign::default());
        }
        if let Some(sign) = signs.get_mut(sign) {
            sign.seen(strength, at, events);
        }
    }

    // Only the order in time is used: an hour of an incident is no more than a minute of another.
    fn tell_the_time(&mut self) {
        let mut times = BTreeSet::new();
        let mut firsts: BTreeMap<String, (Timestamp, usize)> = BTreeMap::new();
        for part in &self.parts {
            for (name, sign) in &part.signs {
                let Some(at) = sign.at else { continue };
                times.insert(at);
                let first = firsts.entry(name.clone()).or_insert((at, 0));
                if at < first.0 {
                    *first = (at, 0);
                }
                first.1 += usize::from(at == first.0);
            }
        }
        let order: BTreeMap<Timestamp, usize> = times.into_iter().zip(0..).collect();
        let last = order.len().saturating_sub(1);
        for (name, sign) in self.parts.iter_mut().flat_map(|part| &mut part.signs) {
            let Some(at) = sign.at.filter(|_| last > 0) else { continue };
            sign.early = order.get(&at).map(|place| 1.0 - *place as f64 / last as f64);
            sign.first = firsts.get(name) == Some(&(at, 1));
        }
    }
}

/// The name without what tells replicas apart: `carts-1` and `carts-0` are `carts`.
fn group(name: &ComponentName) -> String {
    let name = name.as_str();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem.strip_suffix(['-', '_', '.']) {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => name.to_owned(),
    }
}
