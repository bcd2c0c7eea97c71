//! Spans by their ids, for as long as their other half may be under way.
//!
//! Two generations: what is older than a generation's time is dropped with the whole older one,
//! which costs nothing for each span. A generation that is full ends before its time, so that
//! every span is taken and only the memory of its parents is shorter.

use ahash::AHashMap;

use super::components::ComponentNo;

/// A span's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanKey {
    trace: (u64, u64),
    span: u64,
}

impl SpanKey {
    /// Of the ids on the wire: 16 and 8 bytes, neither all zero.
    pub fn read(trace: &[u8], span: &[u8]) -> Option<Self> {
        let (high, low) = trace.split_at_checked(8)?;
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        let (trace, span) = ((number(high)?, number(low)?), number(span)?);
        (trace != (0, 0) && span != 0).then_some(Self { trace, span })
    }

    /// Another span of the same trace.
    pub fn sibling(self, span: &[u8]) -> Option<Self> {
        let span = u64::from_be_bytes(span.try_into().ok()?);
        (span != 0).then_some(Self { span, ..self })
    }

    /// The trace, as a number that orders as its text does.
    pub fn trace(&self) -> u128 {
        u128::from(self.trace.0) << 64 | u128::from(self.trace.1)
    }
}

/// What a span is, as far as its children need to know.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub component: ComponentNo,
    /// It is a call that leaves its component.
    pub outgoing: bool,
}

#[derive(Debug, Default)]
struct Generation {
    spans: AHashMap<SpanKey, Seen>,
    /// Who answered a call, and who else did, which is rare.
    answered: AHashMap<SpanKey, ComponentNo>,
    answered_too: AHashMap<SpanKey, Vec<ComponentNo>>,
    /// Calls of which a call within them is told instead.
    wrapping: AHashMap<SpanKey, ComponentNo>,
}

/// The spans of the last while.
#[derive(Debug)]
pub struct SpanIndex {
    most: usize,
    generation_ns: i64,
    young: Generation,
    old: Generation,
    since_ns: i64,
    now_ns: i64,
}

impl SpanIndex {
    /// An index that remembers for at least `memory_ms`, unless that were more than `most` spans.
    pub fn new(memory_ms: u64, most: usize, now_ns: i64) -> Self {
        let generation_ns = i64::try_from(memory_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let (young, old) = Default::default();
        Self { most, generation_ns, young, old, since_ns: now_ns, now_ns }
    }

    /// Forgets what is too old.
    pub fn advance(&mut self, now_ns: i64) {
        self.now_ns = now_ns;
        if now_ns.saturating_sub(self.since_ns) >= self.generation_ns {
            self.begin_generation();
        }
    }

    fn begin_generation(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.since_ns = self.now_ns;
    }

    /// How many spans are remembered.
    pub fn len(&self) -> usize {
        self.young.spans.len() + self.old.spans.len()
    }

    /// Remembers a span; `false` if it is known already.
    pub fn insert(&mut self, key: SpanKey, seen: Seen) -> bool {
        if self.young.spans.len() >= (self.most / 2).max(1) {
            self.begin_generation();
        }
        if self.old.spans.contains_key(&key) {
            return false;
        }
        match self.young.spans.entry(key) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(seen);
                true
            }
        }
    }

    /// A span, if it is remembered.
    pub fn get(&self, key: &SpanKey) -> Option<Seen> {
        self.young.spans.get(key).or_else(|| self.old.spans.get(key)).copied()
    }

    /// A component answered a call with a span of its own.
    pub fn answer(&mut self, call: SpanKey, component: ComponentNo) {
        let first = *self.young.answered.entry(call).or_insert(component);
        if first != component {
            let others = self.young.answered_too.entry(call).or_default();
            if !others.contains(&component) {
                others.push(component);
            }
        }
    }

    /// Who answered a call, in no order, and perhaps twice.
    pub fn answered(&self, call: &SpanKey) -> impl Iterator<Item = ComponentNo> {
        let generations = [&self.young, &self.old].into_iter();
        generations.flat_map(move |generation| {
            let first = generation.answered.get(call).copied();
            // Most calls are answered once, and most windows have no other.
            let others = match generation.answered_too.is_empty() {
                true => None,
                false => generation.answered_too.get(call),
            };
            first.into_iter().chain(others.into_iter().flatten().copied())
        })
    }

    /// A call of `component` was told by a call within it.
    pub fn wrap(&mut self, call: SpanKey, component: ComponentNo) {
        self.young.wrapping.insert(call, component);
    }

    /// Whether a call within this one was told.
    pub fn wraps(&self, call: &SpanKey, component: ComponentNo) -> bool {
        let by = self.young.wrapping.get(call).or_else(|| self.old.wrapping.get(call));
        by == Some(&component)
    }
}
