//! Taking the measurements out of old telemetry, by the limits that the operator set.
//!
//! The log is surveyed, what will be pruned is recorded as an event, the log is pruned, and the
//! graph is made anew: it is a fold of the log as it is now (PR-1). A file in the data folder says
//! that this was begun, so that a start after a crash brings it to its end.

mod running;
mod unfinished;

use std::collections::BTreeMap;

use events::catalogue::retention::{PrunedTelemetry, RetentionApplied};
use events::catalogue::telemetry::TelemetryKind;
use events::log::{Around, EmbeddedLog, Plan, Pruning, ReadError};
use events::value::Line;
use events::{Event, EventId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::RetentionConfig;
use crate::observed::SOURCE;

pub(crate) use running::{Refused, Retention, State};
pub(crate) use unfinished::Unfinished;

/// What the limit of one kind comes to, as it is answered and printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Which kind.
    pub(crate) kind: TelemetryKind,
    /// Events that have their measurements.
    pub(crate) whole_events: u64,
    /// Bytes of their records, uncompressed.
    pub(crate) whole_bytes: u64,
    /// Those of them that lose their measurements.
    pub(crate) pruned_events: u64,
    /// Bytes of their records.
    pub(crate) pruned_bytes: u64,
    /// Those that are old enough and stay whole.
    pub(crate) pinned_events: u64,
    /// When the last that loses its measurements was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded_until: Option<Timestamp>,
}

/// What the limits come to, as of a moment.
pub(crate) struct Survey {
    plans: BTreeMap<TelemetryKind, Plan>,
    pub(crate) pruning: Pruning,
}

impl Survey {
    /// Reads the log four times; blocks meanwhile.
    pub(crate) fn of(
        log: &EmbeddedLog,
        config: &RetentionConfig,
        now: Timestamp,
    ) -> Result<Self, ReadError> {
        let pinned = log.pinned(Around::default())?;
        let plans = log.plan(&config.policies(), &pinned, now)?;
        let pruning = Pruning::of(&plans, pinned);
        Ok(Self { plans, pruning })
    }

    /// By kind.
    pub(crate) fn reaches(&self) -> Vec<Reach> {
        let reach = |(kind, plan): (&TelemetryKind, &Plan)| Reach {
            kind: *kind,
            whole_events: plan.whole.events,
            whole_bytes: plan.whole.bytes,
            pruned_events: plan.pruned.events,
            pruned_bytes: plan.pruned.bytes,
            pinned_events: plan.pinned.events,
            recorded_until: plan.recorded_until,
        };
        self.plans.iter().map(reach).collect()
    }

    /// What is recorded before anything is pruned; nothing when nothing will be. The same reach
    /// is recorded once.
    pub(crate) fn event(&self, now: Timestamp) -> Option<Event> {
        let pruned: Vec<PrunedTelemetry> = self
            .plans
            .iter()
            .filter_map(|(kind, plan)| {
                Some(PrunedTelemetry {
                    kind: *kind,
                    until_position: plan.until,
                    recorded_until: plan.recorded_until?,
                    events: plan.pruned.events,
                    bytes: plan.pruned.bytes,
                    pinned_events: plan.pinned.events,
                })
            })
            .collect();
        if pruned.is_empty() {
            return None;
        }
        let reach = pruned.iter().map(|it| format!("{} {}", it.kind, it.until_position));
        let reach = format!("retention {}", reach.collect::<Vec<_>>().join(", "));
        let id = EventId(uuid::Uuid::NAMESPACE_URL).derived(&reach);
        Some(Event::with_id(id, Line::clipped(SOURCE), now, RetentionApplied { pruned }))
    }
}
