//! Who called whom in a window, decided when it is closed.

use std::collections::{BTreeMap, BTreeSet};

use super::Aggregator;
use super::components::ComponentNo;
use super::latency::Sketch;
use super::open::OpenWindow;
use super::peers::Callee;
use super::span_index::Seen;
use super::spans::{Call, From, Inbound};
use super::window::Number;

/// The calls from one component to another in a window.
#[derive(Debug, Default)]
pub struct Edge {
    pub calls: u64,
    pub errors: u64,
    pub latency: Sketch,
    pub exemplars: Exemplars,
    /// How the callee is called, by number.
    pub protocols: BTreeSet<u16>,
    /// Messages that were fetched, where none was told to be worked on.
    received: u64,
}

/// Traces worth looking at: failed calls first, then the slowest. The choice does not depend on
/// the order in which they come.
#[derive(Debug, Default)]
pub struct Exemplars {
    best: Vec<(bool, u64, u128)>,
}

/// Traces that an edge or a log pattern refers to.
pub const MOST_EXEMPLARS: usize = 3;

impl Exemplars {
    pub fn offer(&mut self, failed: bool, weight: u64, trace: u128) {
        let offered = (failed, weight, trace);
        let full = self.best.len() == MOST_EXEMPLARS;
        if full && self.best.last().is_some_and(|least| *least >= offered) {
            return;
        }
        if let Some(known) = self.best.iter_mut().find(|(.., known)| *known == trace) {
            *known = offered.max(*known);
        } else {
            if full {
                self.best.pop();
            }
            self.best.push(offered);
        }
        self.best.sort_by(|one, other| other.cmp(one));
    }

    pub fn merge(&mut self, other: Self) {
        for (failed, weight, trace) in other.best {
            self.offer(failed, weight, trace);
        }
    }

    /// The ids, in hexadecimal digits.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.best.iter().map(|(.., trace)| format!("{trace:032x}"))
    }
}

impl Edge {
    fn add(&mut self, took_ns: u64, failed: bool, trace: u128, protocol: u16) {
        self.calls += 1;
        self.errors += u64::from(failed);
        self.latency.add(took_ns);
        self.exemplars.offer(failed, took_ns, trace);
        self.protocols.insert(protocol);
    }
}

/// The edges of a window, by caller and callee.
pub type Edges = BTreeMap<(ComponentNo, ComponentNo), Edge>;

impl Aggregator {
    /// Decides whom every call of a window went to.
    pub(super) fn edges(&mut self, number: Number, window: &OpenWindow) -> Edges {
        let mut edges = Edges::new();
        let around: Vec<Option<Seen>> =
            window.calls.iter().map(|call| self.spans.get(&call.parent?)).collect();
        let calls = || window.calls.iter().zip(&around);
        for (call, around) in calls() {
            self.passed_on(call, *around);
        }
        // First what the callees themselves told: other calls are known by it.
        let mut untold = Vec::new();
        for (call, around) in calls() {
            if !self.answered(number, call, *around, &mut edges) {
                untold.push((call, *around));
            }
        }
        // A client may make its call through another client: that is one call, told by the inner
        // one, which is nearest to the wire and shorter than what is around it.
        untold.sort_by_key(|(call, around)| (call.took_ns, !is_within(call, *around), call.key));
        for (call, around) in untold {
            if self.spans.wraps(&call.key, call.caller) {
                continue;
            }
            match self.peers.resolve(&mut self.components, call.caller, call.peer, number) {
                Callee::Known(callee) => self.count(call, around, callee, &mut edges),
                Callee::Unknown => self.totals.calls_unresolved += 1,
                Callee::NoRoom(reason) => self.totals.drop(reason, 1),
            }
        }
        for inbound in &window.inbound {
            self.inbound(number, inbound, &mut edges);
        }
        for edge in edges.values_mut().filter(|edge| edge.calls == 0) {
            edge.calls = edge.received;
        }
        edges
    }

    /// A component that tells only of its own calls answers by them the call that caused them.
    fn passed_on(&mut self, call: &Call, around: Option<Seen>) {
        if let (Some(parent), Some(around)) = (call.parent, around)
            && around.outgoing
            && around.component != call.caller
        {
            self.spans.answer(parent, call.caller);
        }
    }

    /// Counts a call that its callee told of; `false` if none did.
    fn answered(
        &mut self,
        number: Number,
        call: &Call,
        around: Option<Seen>,
        edges: &mut Edges,
    ) -> bool {
        if self.peers.queue(call.peer) {
            return false;
        }
        let mut callees: Vec<ComponentNo> = self.spans.answered(&call.key).collect();
        if callees.len() > 1 {
            callees.sort_unstable();
            callees.dedup();
        }
        for callee in &callees {
            self.peers.learn(call.caller, call.peer, *callee, number);
            self.count(call, around, *callee, edges);
        }
        !callees.is_empty()
    }

    fn count(&mut self, call: &Call, around: Option<Seen>, callee: ComponentNo, edges: &mut Edges) {
        if let Some(parent) = call.parent
            && around.is_none_or(|around| around.outgoing)
        {
            self.spans.wrap(parent, call.caller);
        }
        if callee != call.caller {
            let edge = edges.entry((call.caller, callee)).or_default();
            edge.add(call.took_ns, call.failed, call.key.trace(), call.protocol);
        }
    }

    /// Counts a request whose other half is no call: its parent is a span around code in another
    /// component, or a queue gave it out.
    fn inbound(&mut self, number: Number, inbound: &Inbound, edges: &mut Edges) {
        let caller = match &inbound.from {
            From::Span(parent) => match self.spans.get(parent) {
                Some(parent) if !parent.outgoing => parent.component,
                // A call tells of itself; without the span nobody knows who called.
                _ => return,
            },
            From::Queue(peer) => {
                let own = inbound.component;
                match self.peers.resolve(&mut self.components, own, *peer, number) {
                    Callee::Known(queue) => queue,
                    Callee::Unknown => return,
                    Callee::NoRoom(reason) => return self.totals.drop(reason, 1),
                }
            }
        };
        if caller == inbound.component {
            return;
        }
        let edge = edges.entry((caller, inbound.component)).or_default();
        if inbound.receives {
            edge.received += 1;
            edge.protocols.insert(inbound.protocol);
        } else {
            let trace = inbound.key.trace();
            edge.add(inbound.took_ns, inbound.failed, trace, inbound.protocol);
        }
    }
}

/// Whether a call was made by another call of the same component.
fn is_within(call: &Call, around: Option<Seen>) -> bool {
    around.is_some_and(|around| around.outgoing && around.component == call.caller)
}
