//! What is gathered of a window until it is closed.

use ahash::AHashMap;

use super::components::{ComponentNo, ResourceNo};
use super::latency::Sketch;
use super::logs::Lines;
use super::metrics::Point;
use super::spans::{Call, Inbound};

/// Requests, those that failed, and how long they took.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    pub count: u64,
    pub errors: u64,
    pub latency: Option<Box<Sketch>>,
}

impl Requests {
    /// Adds one request.
    pub fn add(&mut self, took_ns: u64, failed: bool) {
        self.count += 1;
        self.errors += u64::from(failed);
        self.latency.get_or_insert_default().add(took_ns);
    }

    /// Adds what someone else counted.
    pub fn merge(&mut self, count: u64, errors: u64, latency: &Sketch) {
        self.count += count;
        self.errors += errors;
        self.latency.get_or_insert_default().merge(latency);
    }
}

/// What is gathered of one component.
#[derive(Debug, Default)]
pub struct ComponentWindow {
    /// Where its telemetry came from, with the earliest moment of each place.
    pub places: Vec<(ResourceNo, i64)>,
    /// Requests by the spans of the component itself.
    pub served: Requests,
    /// What it logged.
    pub lines: Option<Box<Lines>>,
}

/// A window that is not closed.
#[derive(Debug, Default)]
pub struct OpenWindow {
    pub components: AHashMap<ComponentNo, ComponentWindow>,
    pub calls: Vec<Call>,
    pub inbound: Vec<Inbound>,
    pub points: Vec<Point>,
}

impl OpenWindow {
    pub fn component(&mut self, number: ComponentNo) -> &mut ComponentWindow {
        self.components.entry(number).or_default()
    }
}

impl ComponentWindow {
    /// Something came from a place.
    pub fn note(&mut self, place: ResourceNo, at_ns: i64) {
        match self.places.iter_mut().rev().find(|(known, _)| *known == place) {
            Some((_, earliest)) => *earliest = at_ns.min(*earliest),
            None => self.places.push((place, at_ns)),
        }
    }
}
