//! How far policies reach: a position for each kind, and what that takes.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::super::EmbeddedLog;
use super::super::record::PREFIX_BYTES;
use super::Pruning;
use crate::catalogue::telemetry::TelemetryKind;
use crate::id::EventId;
use crate::log::ReadError;

/// What is kept of a kind of telemetry. Without a limit, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What was recorded longer ago is pruned.
    pub max_age: Option<SignedDuration>,
    /// While the whole records take more bytes than this, the oldest are pruned.
    pub max_bytes: Option<u64>,
}

/// Events and their stored bytes, before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Events.
    pub events: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
    }
}

/// What a policy comes to, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The last position that it reaches; 0 when it reaches none.
    pub until: u64,
    /// When the last that loses its measurements was recorded.
    pub recorded_until: Option<Timestamp>,
    /// All that is whole.
    pub whole: Amount,
    /// What of that loses its measurements.
    pub pruned: Amount,
    /// What is old enough and stays whole because it is pinned.
    pub pinned: Amount,
}

impl EmbeddedLog {
    /// What `policies` take as of `now`, by kind. What is in the segment that is being written is
    /// counted and never reached.
    ///
    /// Blocks for as long as it takes to read the log twice.
    pub fn plan(
        &self,
        policies: &BTreeMap<TelemetryKind, Policy>,
        pinned: &HashSet<EventId>,
        now: Timestamp,
    ) -> Result<BTreeMap<TelemetryKind, Plan>, ReadError> {
        let all = self.segments.all();
        let reachable = all.last().map_or(0, |active| active.header.base - 1);
        let mut plans: BTreeMap<_, Plan> =
            policies.keys().map(|kind| (*kind, Plan::default())).collect();
        self.each_whole(&mut |kind, it| {
            if let Some(plan) = plans.get_mut(&kind) {
                plan.whole.add(it.bytes);
            }
        })?;
        let mut left: BTreeMap<_, u64> =
            plans.iter().map(|(kind, plan)| (*kind, plan.whole.bytes)).collect();
        self.each_whole(&mut |kind, it| {
            let (Some(plan), Some(policy)) = (plans.get_mut(&kind), policies.get(&kind)) else {
                return;
            };
            let left = left.entry(kind).or_default();
            let old = policy.max_age.is_some_and(|age| now.duration_since(it.recorded_at) > age);
            let much = policy.max_bytes.is_some_and(|most| *left > most);
            if it.position > reachable || !(old || much) {
                return;
            }
            plan.until = it.position;
            if pinned.contains(&it.id) {
                plan.pinned.add(it.bytes);
            } else {
                plan.pruned.add(it.bytes);
                plan.recorded_until = plan.recorded_until.max(Some(it.recorded_at));
                *left = left.saturating_sub(it.bytes);
            }
        })?;
        Ok(plans)
    }

    /// Shows every whole record of telemetry, in order.
    fn each_whole(&self, show: &mut dyn FnMut(TelemetryKind, Whole)) -> Result<(), ReadError> {
        let head = *self.head.borrow();
        super::super::reader::scan(&self.segments, 1, head, &mut |position, record| {
            if record.pruned.is_none()
                && let Some(kind) = TelemetryKind::of_type(record.event_type)
            {
                let bytes = (PREFIX_BYTES + record.body.len()) as u64;
                let (id, recorded_at) = (record.id, record.recorded_at());
                show(kind, Whole { position, id, recorded_at, bytes });
            }
            Ok(())
        })
    }
}

/// A record that has its measurements.
struct Whole {
    position: u64,
    id: EventId,
    recorded_at: Timestamp,
    bytes: u64,
}

impl Pruning {
    /// What carries out `plans`.
    pub fn of(plans: &BTreeMap<TelemetryKind, Plan>, pinned: HashSet<EventId>) -> Self {
        let reached = plans.iter().filter(|(_, plan)| plan.pruned.events > 0);
        Self { until: reached.map(|(kind, plan)| (*kind, plan.until)).collect(), pinned }
    }
}
