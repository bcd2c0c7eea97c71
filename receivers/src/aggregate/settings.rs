//! What an operator may choose.

use events::ComponentName;
use serde::{Deserialize, Serialize};

/// How telemetry is summarised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Length of a window.
    pub window_ms: u64,
    /// How long after its end a window waits for what is still under way. An SDK sends its spans
    /// every five seconds by default.
    pub lateness_ms: u64,
    /// How far a sender's clock may be ahead of ours.
    pub ahead_ms: u64,
    /// How long one half of a call waits for the other.
    pub span_memory_ms: u64,
    /// Whether `service.namespace` is part of a component's name, as `namespace/name`.
    pub qualify_names: bool,
    /// Names for callees that send no telemetry of their own.
    pub peers: Vec<PeerRule>,
    /// Whether a host by name that never answers with a span of its own becomes a component.
    /// Hosts that are numbers never do.
    pub external_hosts: bool,
    /// Windows for which a host has to stay unknown before it counts as external.
    pub external_after_windows: u32,
    /// Windows for which a component that had requests and has none is told to have none.
    pub quiet_windows: u32,
    /// Metrics beside the golden signals that a snapshot carries.
    pub extras: Vec<NamedExtra>,
    /// How much is kept at most.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_ms: 10_000,
            lateness_ms: 6_000,
            ahead_ms: 30_000,
            span_memory_ms: 60_000,
            qualify_names: true,
            peers: Vec::new(),
            external_hosts: true,
            external_after_windows: 6,
            quiet_windows: 6,
            extras: NamedExtra::usual(),
            limits: Limits::default(),
        }
    }
}

/// A callee by the address or the name that its callers know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRule {
    /// `host:port`, `host`, or the name that would be made up: `postgresql/orders`.
    pub peer: String,
    /// The component.
    pub component: ComponentName,
}

/// A metric that snapshots carry under a name of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedExtra {
    /// The metric's name.
    pub metric: String,
    /// The name in the snapshot, its unit last.
    pub extra: String,
    /// What becomes of its series.
    pub aggregate: Aggregate,
}

/// How the series of a metric become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The sum of the last values of a gauge.
    Sum,
    /// The largest of the last values of a gauge.
    Max,
    /// What a counter grew by, a second.
    Rate,
    /// What a counter grew by.
    Count,
    /// The mean of a histogram.
    Mean,
    /// The 95th percentile of a histogram.
    P95,
}

impl NamedExtra {
    /// What is worth having where it is sent.
    fn usual() -> Vec<Self> {
        let named = [
            ("jvm.memory.used", "jvm_memory_bytes", Aggregate::Sum),
            ("jvm.gc.duration", "jvm_gc_mean_s", Aggregate::Mean),
            ("jvm.thread.count", "jvm_threads", Aggregate::Sum),
            ("nodejs.eventloop.delay.p99", "eventloop_delay_p99_s", Aggregate::Max),
            ("db.client.connection.count", "db_connections", Aggregate::Sum),
            ("db.client.connection.pending_requests", "db_connections_awaited", Aggregate::Sum),
            ("db.client.connection.timeouts", "db_connection_timeouts", Aggregate::Count),
            ("messaging.client.sent.messages", "messages_sent", Aggregate::Count),
            ("messaging.client.consumed.messages", "messages_consumed", Aggregate::Count),
            ("k8s.container.restarts", "container_restarts", Aggregate::Sum),
            ("http.server.active_requests", "requests_active", Aggregate::Sum),
        ];
        let extra = |(metric, extra, aggregate): (&str, &str, _)| Self {
            metric: metric.to_owned(),
            extra: extra.to_owned(),
            aggregate,
        };
        named.map(extra).into()
    }
}

/// How much is kept at most. What does not fit is dropped and counted by its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Components.
    pub components: usize,
    /// Pairs of caller and callee.
    pub edges: usize,
    /// Spans that are remembered, to know their other half and to know them again. With more of
    /// them in the time that they are waited for, that time is shorter.
    pub spans: usize,
    /// Series whose state is kept.
    pub series: usize,
    /// Different resources and addresses that are remembered, each.
    pub resources: usize,
    /// Different shapes of log lines, a component and window.
    pub shapes: usize,
    /// Log templates, a component.
    pub templates: usize,
    /// Attributes of a span, a point, a line or a resource.
    pub attributes: usize,
    /// Buckets of a histogram.
    pub buckets: usize,
    /// Requests that are remembered, to know them again.
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            components: 2_000,
            edges: 20_000,
            spans: 2_000_000,
            series: 2_500_000,
            resources: 20_000,
            shapes: 1_000,
            templates: 1_000,
            attributes: 1_000,
            buckets: 400,
            requests: 50_000,
        }
    }
}
