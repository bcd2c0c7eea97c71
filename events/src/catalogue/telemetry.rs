//! Telemetry, summarised into windows. Points are not stored; exemplar trace ids lead to them.

mod kept;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, StreamId};
use crate::value::{Finite, Line, NonNegative, Ratio};
pub use kept::{TelemetryKind, UnknownKind};

/// A half-open span of time: `start` belongs to it, `start + duration_ms` does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First moment.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub start: Timestamp,
    /// Length, 1 ms to one day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub duration_ms: u64,
}

impl Window {
    /// Longest accepted window.
    pub const MAX_DURATION_MS: u64 = 86_400_000;

    /// The first moment that no longer belongs to the window.
    pub fn end(&self) -> Timestamp {
        let length = i64::try_from(self.duration_ms).unwrap_or(i64::MAX);
        self.start.saturating_add(SignedDuration::from_millis(length)).unwrap_or(Timestamp::MAX)
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if (1..=Self::MAX_DURATION_MS).contains(&self.duration_ms) {
            return Ok(());
        }
        Err(InvalidFact::new(
            "/window/duration_ms",
            format!("expected 1 to {} ms, got {}", Self::MAX_DURATION_MS, self.duration_ms),
        ))
    }
}

/// Quantiles of latency over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Median.
    pub p50_ms: NonNegative,
    /// 95th percentile.
    pub p95_ms: NonNegative,
    /// 99th percentile.
    pub p99_ms: NonNegative,
    /// Arithmetic mean; with the call count it gives the time spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_ms: Option<NonNegative>,
}

impl Latency {
    fn check(&self, pointer: &str) -> Result<(), InvalidFact> {
        if self.p50_ms <= self.p95_ms && self.p95_ms <= self.p99_ms {
            return Ok(());
        }
        Err(InvalidFact::new(pointer, "expected p50_ms <= p95_ms <= p99_ms"))
    }
}

/// The golden signals of a component over a window, as seen by those who call it, and what the
/// component itself uses. An absent signal was not measured; zero is a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricSnapshotRecorded {
    /// The component.
    pub component: ComponentName,
    /// When.
    pub window: Window,
    /// Requests that ended in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Those of them that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// How long they took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Share of the tightest resource in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<Ratio>,
    /// Processor time used per wall time; 1 is one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<NonNegative>,
    /// Resident memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<NonNegative>,
    /// Further measurements, the unit last in the name. At most 100.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extras: BTreeMap<String, Finite>,
}

/// How bad a log line says it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogSeverity {
    /// For developers.
    Debug,
    /// For the record.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// The process cannot go on.
    Fatal,
}

/// One log template and how often it occurred.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogPattern {
    /// The constant part, with `<*>` for what varies.
    pub template: Line,
    /// How bad.
    pub severity: LogSeverity,
    /// Lines in the window.
    pub count: u64,
    /// Traces of some of the lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemplar_trace_ids: Vec<Line>,
}

/// The log lines of a component over a window, by template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogPatternsRecorded {
    /// The component.
    pub component: ComponentName,
    /// When.
    pub window: Window,
    /// At most 1,000, each template once.
    pub patterns: Vec<LogPattern>,
}

/// The calls from one component to another over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallStatistics {
    /// Who is called.
    pub callee: ComponentName,
    /// Calls that ended in the window, failed ones included.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// How long they took, as the caller saw it; absent without calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Traces of some of the calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemplar_trace_ids: Vec<Line>,
}

/// The outgoing calls of a component over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceEdgesRecorded {
    /// Who calls.
    pub caller: ComponentName,
    /// When.
    pub window: Window,
    /// At most 1,000, each callee once.
    pub edges: Vec<CallStatistics>,
}

/// Most patterns or edges in one event.
pub const MAX_ENTRIES: usize = 1_000;
/// Most extras in one snapshot.
pub const MAX_EXTRAS: usize = 100;

fn at_most(pointer: &str, max: usize, got: usize) -> Result<(), InvalidFact> {
    if got <= max {
        return Ok(());
    }
    Err(InvalidFact::new(pointer, format!("expected at most {max} entries, got {got}")))
}

impl Fact for MetricSnapshotRecorded {
    fn stream(&self) -> StreamId {
        stream("telemetry", self.component.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        self.window.check()?;
        at_most("/extras", MAX_EXTRAS, self.extras.len())?;
        if let Some(latency) = &self.latency {
            latency.check("/latency")?;
        }
        match (self.requests, self.errors) {
            (Some(requests), Some(errors)) if errors > requests => Err(InvalidFact::new(
                "/errors",
                format!("expected at most the {requests} requests, got {errors}"),
            )),
            _ => Ok(()),
        }
    }
}

impl Fact for LogPatternsRecorded {
    fn stream(&self) -> StreamId {
        stream("telemetry", self.component.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        self.window.check()?;
        at_most("/patterns", MAX_ENTRIES, self.patterns.len())
    }
}

impl Fact for TraceEdgesRecorded {
    fn stream(&self) -> StreamId {
        stream("telemetry", self.caller.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        self.window.check()?;
        at_most("/edges", MAX_ENTRIES, self.edges.len())?;
        for (index, edge) in self.edges.iter().enumerate() {
            if edge.callee == self.caller {
                return Err(InvalidFact::new(
                    format!("/edges/{index}/callee"),
                    "expected another component than the caller",
                ));
            }
            if edge.errors > edge.calls {
                return Err(InvalidFact::new(
                    format!("/edges/{index}/errors"),
                    format!("expected at most the {} calls, got {}", edge.calls, edge.errors),
                ));
            }
            if let Some(latency) = &edge.latency {
                latency.check(&format!("/edges/{index}/latency"))?;
            }
        }
        Ok(())
    }
}
