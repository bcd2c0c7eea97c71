//! What was not taken, by reason: for the sender as a partial success, and in total.

use std::collections::BTreeMap;
use std::fmt;

use crate::otlp::Rejected;

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No `service.name`, and nothing of Kubernetes that would name a workload.
    NoServiceName,
    /// The name of a component, of more characters than a name has.
    NameTooLong,
    /// A trace, span or parent id of another length than it has, or of zeros only.
    InvalidId,
    /// No time, or an end before the beginning.
    InvalidTime,
    /// Its window was closed.
    Late,
    /// Further ahead than a clock may be.
    Future,
    /// A value that is no finite number, or an inconsistent point.
    InvalidValue,
    /// A sum or a histogram that says neither delta nor cumulative.
    NoTemporality,
    /// More attributes than accepted.
    TooManyAttributes,
    /// More buckets than accepted.
    TooManyBuckets,
    /// No room for another component.
    TooManyComponents,
    /// No room for another pair of caller and callee.
    TooManyEdges,
    /// No room for another series.
    TooManySeries,
    /// No room for another resource or address.
    TooManyResources,
    /// No room for another shape of log lines; the line is counted without its text.
    TooManyShapes,
    /// No room for another log template; the line is counted without its text.
    TooManyTemplates,
}

impl Reason {
    /// Its name in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoServiceName => "no_service_name",
            Self::NameTooLong => "name_too_long",
            Self::InvalidId => "invalid_id",
            Self::InvalidTime => "invalid_time",
            Self::Late => "late",
            Self::Future => "future",
            Self::InvalidValue => "invalid_value",
            Self::NoTemporality => "no_temporality",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TooManyBuckets => "too_many_buckets",
            Self::TooManyComponents => "too_many_components",
            Self::TooManyEdges => "too_many_edges",
            Self::TooManySeries => "too_many_series",
            Self::TooManyResources => "too_many_resources",
            Self::TooManyShapes => "too_many_shapes",
            Self::TooManyTemplates => "too_many_templates",
        }
    }

    /// What would be right.
    fn advice(self) -> &'static str {
        match self {
            Self::NoServiceName => "set service.name",
            Self::NameTooLong => "a component's name has at most 200 characters",
            Self::InvalidId => "trace ids have 16 bytes, span ids 8, not all zero",
            Self::InvalidTime => "expected a time, and an end not before the start",
            Self::Late => "its window is closed; check the sender's clock and export interval",
            Self::Future => "the time is ahead of the server's; check the sender's clock",
            Self::InvalidValue => "expected finite numbers, and buckets that fit their bounds",
            Self::NoTemporality => "expected delta or cumulative",
            Self::TooManyAttributes | Self::TooManyBuckets => "send fewer",
            _ => "a limit of the server",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Spans, data points or log records that were taken.
    pub accepted: u64,
    /// Those of a request or a span that was taken before; taken once.
    pub repeated: u64,
    /// What was not taken, by reason.
    pub dropped: BTreeMap<Reason, u64>,
}

impl Absorbed {
    pub(super) fn drop(&mut self, reason: Reason, count: u64) {
        *self.dropped.entry(reason).or_default() += count;
    }

    /// The partial success to answer with; `None` when all was taken.
    pub fn rejected(&self) -> Option<Rejected> {
        if self.dropped.is_empty() {
            return None;
        }
        let count = self.dropped.values().sum::<u64>();
        let reasons: Vec<String> = self
            .dropped
            .iter()
            .map(|(reason, count)| format!("{count} {reason} ({})", reason.advice()))
            .collect();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Some(Rejected { count, message: reasons.join("; ") })
    }
}

/// What was taken and what was not since the start, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Spans taken.
    pub spans: u64,
    /// Data points taken, those of metrics that no snapshot has a place for included.
    pub points: u64,
    /// Data points of metrics that no snapshot has a place for.
    pub points_unused: u64,
    /// Log records taken.
    pub lines: u64,
    /// What was sent again.
    pub repeated: u64,
    /// Points that were older than what their series had told, or told of no time of its own.
    pub points_superseded: u64,
    /// Calls to an address of which nobody knows who it is.
    pub calls_unresolved: u64,
    /// What was dropped when it arrived, or when its window was closed.
    pub dropped: BTreeMap<Reason, u64>,
    /// Events made.
    pub events: u64,
}

impl Totals {
    pub(super) fn add(&mut self, absorbed: &Absorbed) {
        self.repeated += absorbed.repeated;
        for (reason, count) in &absorbed.dropped {
            *self.dropped.entry(*reason).or_default() += count;
        }
    }

    pub(super) fn drop(&mut self, reason: Reason, count: u64) {
        *self.dropped.entry(reason).or_default() += count;
    }
}
