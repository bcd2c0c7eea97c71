//! Evidence, split at the moment the incident was noticed and summed by component and edge.
//!
//! Components are numbers here, in the order of their names.

mod filling;
mod numbers;
mod unseen;

use std::collections::BTreeSet;

use events::ComponentName;
use jiff::{SignedDuration, Timestamp};

use self::filling::{Filled, Filling};
use super::arrival::Report;
use super::counters::{Counter, Usually};
use super::cover::Cover;
use super::link::Link;
use super::sides::Sides;
use super::signals::Signals;
use crate::evidence::{ChangeEvidence, Evidence};

/// Changes this long before the incident was noticed may have caused it.
const CHANGE_REACH: SignedDuration = SignedDuration::from_mins(10);
/// A change loses half of its weight with each such time that nothing happened after it.
const CHANGE_HALF_LIFE: SignedDuration = SignedDuration::from_mins(1);

/// What one component showed.
#[derive(Debug, Default)]
pub struct Part<'e> {
    /// Edges into it, as places in [`Scene::links`].
    pub inbound: Vec<usize>,
    /// Edges out of it.
    pub outbound: Vec<usize>,
    /// What was measured of it.
    pub signals: Signals<'e>,
    /// Everything it answered, whoever asked.
    pub answered: Option<Link>,
    /// Calls of it that its callers saw.
    pub called: Counter,
    /// What was told of it before the incident.
    pub usually: Usually<'e>,
    /// End of the first window that it was measured in.
    pub begins: Option<Timestamp>,
    /// The latest change of it that may have caused the incident, with its weight from 0 to 1.
    pub change: Option<(&'e ChangeEvidence, f64)>,
    /// Reports of it that are still to come.
    pub awaited: BTreeSet<Report>,
}

/// Evidence, split and summed.
#[derive(Debug)]
pub struct Scene<'e> {
    /// The components, by name.
    pub names: Vec<&'e ComponentName>,
    /// What each showed, in the same order.
    pub parts: Vec<Part<'e>>,
    /// Who calls whom and how that changed.
    pub links: Vec<Link>,
    /// How long both sides were watched.
    pub cover: Cover,
}

impl<'e> Scene<'e> {
    /// Splits and sums.
    pub fn of(evidence: &'e Evidence) -> Self {
        let sides = Sides::of(evidence);
        let Filled { names, parts, links, longest_ms } = Filling::of(evidence, &sides);
        let mut scene = Self { names, parts, links, cover: sides.cover() };
        for (report, name) in sides.awaited() {
            if let Some(place) = scene.place(name) {
                scene.parts[place].awaited.insert(*report);
            }
        }
        let calls = evidence.calls().iter();
        let calls =
            calls.filter_map(|it| Some((scene.place(&it.caller)?, scene.place(&it.callee)?)));
        let unseen = unseen::links(&scene.parts, &scene.links, calls);
        scene.links.extend(unseen);
        scene.links.sort_by_key(|link| (link.callee, link.caller));
        for (place, link) in scene.links.iter().enumerate() {
            scene.parts[link.callee].inbound.push(place);
            if let Some(caller) = link.caller {
                scene.parts[caller].outbound.push(place);
            }
        }
        scene.change(evidence, longest_ms);
        scene
    }

    /// The number of a component.
    pub fn place(&self, name: &ComponentName) -> Option<usize> {
        self.names.binary_search(&name).ok()
    }

    /// The edges into a component.
    pub fn inbound(&self, component: usize) -> impl Iterator<Item = &Link> {
        self.parts[component].inbound.iter().map(|&link| &self.links[link])
    }

    /// The edges out of a component.
    pub fn outbound(&self, component: usize) -> impl Iterator<Item = &Link> {
        self.parts[component].outbound.iter().map(|&link| &self.links[link])
    }

    /// Whether a component only calls: nobody calls it and nothing is measured of what it
    /// answers. Users are such; what happens to them is the symptom, never the cause.
    pub fn is_client(&self, component: usize) -> bool {
        self.parts[component].inbound.is_empty() && !self.parts[component].outbound.is_empty()
    }

    /// Whether calls into a component are still to be reported.
    pub fn awaits_inbound(&self, component: usize) -> bool {
        self.inbound(component).any(|link| self.is_awaited(link))
    }

    /// Whether calls that it makes are still to be reported.
    pub fn awaits_outbound(&self, component: usize) -> bool {
        self.outbound(component).any(|link| self.is_awaited(link))
    }

    // By its caller or, where nobody traces, by who answers.
    fn is_awaited(&self, link: &Link) -> bool {
        let awaits = |component: usize, report| self.parts[component].awaited.contains(&report);
        link.caller.is_some_and(|caller| awaits(caller, Report::Calls))
            || (link.after.calls <= 0.0 && awaits(link.callee, Report::Snapshot))
    }

    /// Calls a second into a component, before and after.
    pub fn inbound_rates(&self, component: usize) -> (f64, f64) {
        let calls = self
            .inbound(component)
            .fold((0.0, 0.0), |(b, a), link| (b + link.before.calls, a + link.after.calls));
        (self.rate_before(calls.0), self.rate_after(calls.1))
    }

    /// A count before, a second.
    pub fn rate_before(&self, count: f64) -> f64 {
        if self.cover.before_s > 0.0 { count / self.cover.before_s } else { 0.0 }
    }

    /// A count after, a second.
    pub fn rate_after(&self, count: f64) -> f64 {
        if self.cover.after_s > 0.0 { count / self.cover.after_s } else { 0.0 }
    }

    // What was changed after the incident was noticed was changed because of it, except within
    // the first window. The deployment that a component began with changed nothing.
    fn change(&mut self, evidence: &'e Evidence, guard_ms: u64) {
        let guard = SignedDuration::from_millis(i64::try_from(guard_ms).unwrap_or(i64::MAX));
        for change in evidence.changes() {
            let lead = evidence.noticed_at().duration_since(change.at);
            let Some(place) = self.place(&change.component) else { continue };
            let is_first = self.parts[place].begins.is_some_and(|end| change.at <= end);
            if lead <= CHANGE_REACH && lead >= -guard && !is_first {
                let lead = lead.max(SignedDuration::ZERO).as_secs_f64();
                let weight = 0.5_f64.powf(lead / CHANGE_HALF_LIFE.as_secs_f64());
                self.parts[place].change = Some((change, weight));
            }
        }
    }
}
