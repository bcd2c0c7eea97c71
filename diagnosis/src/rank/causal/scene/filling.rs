//! One pass over the evidence, which fills the parts and links of a scene.
//!
//! Components are numbered as they come here, and by name once everything is in.

use std::collections::HashMap;

use events::ComponentName;

use super::super::counters::Counted;
use super::super::link::{Link, Told};
use super::super::sides::Sides;
use super::Part;
use super::numbers::{Numbers, Round};
use crate::contrast::Side;
use crate::evidence::Evidence;

/// What is filled.
#[derive(Default)]
pub struct Filling<'e> {
    numbers: Numbers<'e>,
    parts: Vec<Part<'e>>,
    links: Vec<Link>,
    longest_ms: u64,
}

/// What was filled. Components are places in the order of their names.
pub struct Filled<'e> {
    /// The components, by name.
    pub names: Vec<&'e ComponentName>,
    /// What each showed, in the same order.
    pub parts: Vec<Part<'e>>,
    /// Who calls whom and how that changed.
    pub links: Vec<Link>,
    /// Length of the longest window that something was measured in.
    pub longest_ms: u64,
}

impl<'e> Filling<'e> {
    /// Reads the evidence.
    pub fn of(evidence: &'e Evidence, sides: &Sides<'_>) -> Filled<'e> {
        let mut filling = Self::default();
        filling.measure(evidence, sides);
        filling.link(evidence, sides);
        let mut round = Round::default();
        filling.part(evidence.noticed(), &mut round);
        for call in evidence.calls() {
            filling.part(&call.caller, &mut round);
            filling.part(&call.callee, &mut round);
        }
        filling.close();
        filling.in_order()
    }

    fn part(&mut self, name: &'e ComponentName, round: &mut Round) -> usize {
        let number = self.numbers.of(name, round);
        if number == self.parts.len() {
            self.parts.push(Part::default());
        }
        number
    }

    fn measure(&mut self, evidence: &'e Evidence, sides: &Sides<'_>) {
        let mut round = Round::default();
        for snapshot in evidence.snapshots() {
            let number = self.part(&snapshot.component, &mut round);
            let side = sides.side(&snapshot.window);
            self.longest_ms = self.longest_ms.max(snapshot.window.duration_ms);
            let part = &mut self.parts[number];
            part.begins.get_or_insert_with(|| snapshot.window.end());
            part.signals.add(side, snapshot);
            if side == Side::Before {
                part.usually.snapshots.push(snapshot);
            }
            let Some(requests) = snapshot.requests else { continue };
            let answered = part.answered.get_or_insert_with(|| Link::new(None, number));
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
        let mut round = Round::default();
        for log in evidence.logs() {
            let number = self.part(&log.component, &mut round);
            let side = sides.side(&log.window);
            let part = &mut self.parts[number];
            part.signals.add_log(side, log);
            if side == Side::Before {
                part.usually.logs.push(log);
            }
        }
    }

    fn link(&mut self, evidence: &'e Evidence, sides: &Sides<'_>) {
        let (mut callers, mut callees) = (Round::default(), Round::default());
        let mut places: HashMap<(usize, usize), usize> = HashMap::new();
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let mut round = Round::default();
        for edge in evidence.edges() {
            let side = sides.side(&edge.window);
            let (from, to) = (&edge.caller, &edge.stats.callee);
            let next = ends.get(round.next()).copied().filter(|(caller, callee)| {
                self.numbers.is(*caller, from) && self.numbers.is(*callee, to)
            });
            let (place, (caller, callee)) = next.map_or_else(
                || {
                    let ends_of = (self.part(from, &mut callers), self.part(to, &mut callees));
                    let place = *places.entry(ends_of).or_insert_with(|| {
                        ends.push(ends_of);
                        self.links.push(Link::new(Some(ends_of.0), ends_of.1));
                        ends.len() - 1
                    });
                    (place, ends_of)
                },
                |ends_of| (round.next(), ends_of),
            );
            round.go_to(place);
            let (calls, errors) = (edge.stats.calls as f64, edge.stats.errors as f64);
            let latency = edge.stats.latency.as_ref();
            self.links[place].add(side, Told { event: edge.event, calls, errors, latency });
            self.parts[callee].called.add(side, edge.event, calls);
            if side == Side::Before {
                self.parts[caller].usually.calls.push(edge);
                self.parts[callee].usually.called.push(edge);
            }
        }
    }

    // Requests and calls are counted where their latency is.
    fn close(&mut self) {
        for link in &mut self.links {
            link.close();
            let Some(caller) = link.caller else { continue };
            let callee = self.numbers.names()[link.callee].as_str();
            let counters = &mut self.parts[caller].signals.counters;
            counters.push(Counted::Calls(callee), link.counter());
        }
        for part in &mut self.parts {
            let counters = &mut part.signals.counters;
            if let Some(answered) = &mut part.answered {
                answered.close();
                counters.push(Counted::Requests, answered.counter());
            }
            counters.push(Counted::Called, part.called);
            part.signals.close();
        }
    }

    fn in_order(mut self) -> Filled<'e> {
        let numbers = self.numbers.by_name();
        let mut places = vec![0; numbers.len()];
        for (place, number) in numbers.iter().enumerate() {
            places[*number] = place;
        }
        let answered = self.parts.iter_mut().filter_map(|part| part.answered.as_mut());
        for link in self.links.iter_mut().chain(answered) {
            link.caller = link.caller.map(|number| places[number]);
            link.callee = places[link.callee];
        }
        let parts = &mut self.parts;
        Filled {
            names: numbers.iter().map(|number| self.numbers.names()[*number]).collect(),
            parts: numbers.iter().map(|number| std::mem::take(&mut parts[*number])).collect(),
            links: self.links,
            longest_ms: self.longest_ms,
        }
    }
}
