//! Evidence, split at the moment the incident was noticed and summed by component and edge.
//!
//! Components are numbers here, in the order of their names. One pass over the evidence fills
//! everything; windows repeat the same components in the same order, which makes finding them
//! cheap.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::ComponentName;
use jiff::{SignedDuration, Timestamp};

use super::arrival::Report;
use super::link::{Link, Told};
use super::sides::Sides;
use super::signals::Signals;
use crate::contrast::Side;
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
    /// Length of time that calls were seen in before …
    pub before_s: f64,
    /// … and after.
    pub after_s: f64,
    /// Distinct windows before.
    pub before_windows: usize,
    /// Distinct windows after.
    pub after_windows: usize,
}

impl<'e> Scene<'e> {
    /// Splits and sums.
    pub fn of(evidence: &'e Evidence) -> Self {
        let sides = Sides::of(evidence);
        let names = names(evidence);
        let mut scene = Self {
            parts: names.iter().map(|_| Part::default()).collect(),
            names,
            links: Vec::new(),
            before_s: 0.0,
            after_s: 0.0,
            before_windows: 0,
            after_windows: 0,
        };
        for (report, name) in sides.awaited() {
            if let Some(place) = scene.place(name) {
                scene.parts[place].awaited.insert(*report);
            }
        }
        scene.cover(evidence, &sides);
        scene.measure(evidence, &sides);
        scene.link(evidence, &sides);
        scene.stand_in_for_unseen_links(evidence);
        scene.parts.iter_mut().for_each(|part| part.signals.close());
        for (place, link) in scene.links.iter().enumerate() {
            scene.parts[link.callee].inbound.push(place);
            if let Some(caller) = link.caller {
                scene.parts[caller].outbound.push(place);
            }
        }
        scene.change(evidence);
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
        if self.before_s > 0.0 { count / self.before_s } else { 0.0 }
    }

    /// A count after, a second.
    pub fn rate_after(&self, count: f64) -> f64 {
        if self.after_s > 0.0 { count / self.after_s } else { 0.0 }
    }

    // Rates are of calls, so only windows that count calls cover time; without any, all do.
    fn cover(&mut self, evidence: &Evidence, sides: &Sides<'_>) {
        let mut counting = BTreeSet::new();
        let mut all = BTreeSet::new();
        for edge in evidence.edges() {
            counting.insert((edge.window.start, edge.window.duration_ms));
        }
        let edges_count = !counting.is_empty();
        for snapshot in evidence.snapshots() {
            let key = (snapshot.window.start, snapshot.window.duration_ms);
            all.insert(key);
            if !edges_count && snapshot.requests.is_some() {
                counting.insert(key);
            }
        }
        all.extend(counting.iter().copied());
        let logs = evidence.logs().iter().map(|log| (log.window.start, log.window.duration_ms));
        all.extend(logs);
        let side = |(start, duration_ms): (Timestamp, u64)| {
            sides.side(&events::catalogue::telemetry::Window { start, duration_ms })
        };
        self.before_s = union_s(counting.iter().filter(|key| side(**key) == Side::Before));
        self.after_s = union_s(counting.iter().filter(|key| side(**key) == Side::After));
        self.before_windows = all.iter().filter(|key| side(**key) == Side::Before).count();
        self.after_windows = all.iter().filter(|key| side(**key) == Side::After).count();
    }

    fn measure(&mut self, evidence: &'e Evidence, sides: &Sides<'_>) {
        let mut finder = Finder::default();
        for snapshot in evidence.snapshots() {
            let Some(place) = finder.find(&self.names, &snapshot.component) else { continue };
            let side = sides.side(&snapshot.window);
            let part = &mut self.parts[place];
            part.signals.add(side, snapshot);
            if let Some(requests) = snapshot.requests {
                let answered = part.answered.get_or_insert_with(|| Link::new(None, place));
                answered.add(
                    side,
                    Told {
                        event: snapshot.event,
                        calls: requests as f64,
                        errors: snapshot.errors.unwrap_or(0) as f64,
                        latency: snapshot.latency.as_ref(),
                    },
                );
            }
        }
        for part in &mut self.parts {
            part.answered.iter_mut().for_each(Link::close);
        }
        let mut finder = Finder::default();
        for log in evidence.logs() {
            let Some(place) = finder.find(&self.names, &log.component) else { continue };
            self.parts[place].signals.add_log(sides.side(&log.window), log);
        }
    }

    fn link(&mut self, evidence: &'e Evidence, sides: &Sides<'_>) {
        let (mut callers, mut callees) = (Finder::default(), Finder::default());
        let mut places: HashMap<(usize, usize), usize> = HashMap::new();
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let mut next = 0;
        for edge in evidence.edges() {
            let side = sides.side(&edge.window);
            let again = ends.get(next).copied().filter(|(caller, callee)| {
                *self.names[*caller] == edge.caller && *self.names[*callee] == edge.stats.callee
            });
            let found = again.or_else(|| {
                let caller = callers.find(&self.names, &edge.caller)?;
                Some((caller, callees.find(&self.names, &edge.stats.callee)?))
            });
            let Some((caller, callee)) = found else { continue };
            let place = if again.is_some() {
                next
            } else {
                *places.entry((caller, callee)).or_insert_with(|| {
                    ends.push((caller, callee));
                    self.links.push(Link::new(Some(caller), callee));
                    ends.len() - 1
                })
            };
            next = if place + 1 < ends.len() { place + 1 } else { 0 };
            let (calls, errors) = (edge.stats.calls as f64, edge.stats.errors as f64);
            let latency = edge.stats.latency.as_ref();
            self.links[place].add(side, Told { event: edge.event, calls, errors, latency });
            self.parts[caller].signals.add_calls(side, edge, &edge.window);
            self.parts[callee].signals.add_called(side, edge, &edge.window);
        }
        self.links.iter_mut().for_each(Link::close);
        self.links.sort_by_key(|link| (link.callee, link.caller));
    }

    // Metrics without traces: what a component answered is split among those known to call it.
    // Who suffers more probably called more of what went wrong, so trouble follows trouble.
    fn stand_in_for_unseen_links(&mut self, evidence: &Evidence) {
        let seen: BTreeSet<usize> = self.links.iter().map(|link| link.callee).collect();
        let mut callers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for call in evidence.calls() {
            if let (Some(caller), Some(callee)) =
                (self.place(&call.caller), self.place(&call.callee))
            {
                callers.entry(callee).or_default().push(caller);
            }
        }
        let mut made = Vec::new();
        for (place, part) in self.parts.iter().enumerate() {
            let Some(answered) = part.answered.as_ref().filter(|_| !seen.contains(&place)) else {
                continue;
            };
            let Some(callers) = callers.get(&place) else {
                made.push(answered.clone());
                continue;
            };
            let weights: Vec<f64> = callers.iter().map(|&caller| self.suffering(caller)).collect();
            let total: f64 = weights.iter().sum();
            for (&caller, weight) in callers.iter().zip(weights) {
                made.push(answered.part(Some(caller), weight / total));
            }
        }
        self.links.extend(made);
        self.links.sort_by_key(|link| (link.callee, link.caller));
    }

    // Calls answered late or not at all, in calls; a hundredth of all calls beside.
    fn suffering(&self, component: usize) -> f64 {
        let Some(answered) = &self.parts[component].answered else { return 1.0 };
        let usual_ms = answered.usual_ms().unwrap_or(0.0);
        let slower = answered.slower_ms() / (usual_ms + 1.0);
        let share = answered.failing_more() + slower.min(1.0) + 0.01;
        1.0 + share * answered.after.calls
    }

    // What was changed after the incident was noticed was changed because of it, except within
    // the first window. The deployment that a component began with changed nothing.
    fn change(&mut self, evidence: &'e Evidence) {
        let mut begins: BTreeMap<&ComponentName, Timestamp> = BTreeMap::new();
        let mut guard_ms = 0;
        for snapshot in evidence.snapshots() {
            begins.entry(&snapshot.component).or_insert_with(|| snapshot.window.end());
            guard_ms = guard_ms.max(snapshot.window.duration_ms);
        }
        let guard = SignedDuration::from_millis(i64::try_from(guard_ms).unwrap_or(i64::MAX));
        for change in evidence.changes() {
            let lead = evidence.noticed_at().duration_since(change.at);
            let is_first = begins.get(&change.component).is_some_and(|end| change.at <= *end);
            let Some(place) = self.place(&change.component) else { continue };
            if lead <= CHANGE_REACH && lead >= -guard && !is_first {
                let lead = lead.max(SignedDuration::ZERO).as_secs_f64();
                let weight = 0.5_f64.powf(lead / CHANGE_HALF_LIFE.as_secs_f64());
                self.parts[place].change = Some((change, weight));
            }
        }
    }
}

fn names(evidence: &Evidence) -> Vec<&ComponentName> {
    let mut names: BTreeSet<&ComponentName> = BTreeSet::new();
    names.insert(evidence.noticed());
    for call in evidence.calls() {
        names.insert(&call.caller);
        names.insert(&call.callee);
    }
    // Windows repeat the same names in the same order: only what differs is looked up.
    let mut round: Vec<&ComponentName> = Vec::new();
    let mut next = 0;
    let snapshots = evidence.snapshots().iter().map(|s| &s.component);
    for name in snapshots.chain(evidence.logs().iter().map(|l| &l.component)) {
        if round.get(next) != Some(&name) {
            next = round.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.insert(name);
                round.push(name);
                round.len() - 1
            });
        }
        next = if next + 1 < round.len() { next + 1 } else { 0 };
    }
    names.into_iter().collect()
}

fn union_s<'k>(windows: impl Iterator<Item = &'k (Timestamp, u64)>) -> f64 {
    let mut seconds = 0.0;
    let mut reached = Timestamp::MIN;
    for &(start, duration_ms) in windows {
        let window = events::catalogue::telemetry::Window { start, duration_ms };
        let from = start.max(reached);
        if window.end() > from {
            seconds += window.end().duration_since(from).as_secs_f64();
            reached = window.end();
        }
    }
    seconds
}

/// Finds names where they usually come next.
#[derive(Default)]
struct Finder {
    last: usize,
}

impl Finder {
    fn find(&mut self, names: &[&ComponentName], name: &ComponentName) -> Option<usize> {
        for guess in [self.last, self.last + 1] {
            if names.get(guess).is_some_and(|known| *known == name) {
                self.last = guess;
                return Some(guess);
            }
        }
        let found = names.binary_search(&name).ok()?;
        self.last = found;
        Some(found)
    }
}
