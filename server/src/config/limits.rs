//! What one request may bring or ask, and the pace of what the server does by itself.

use serde::{Deserialize, Serialize};

use super::{ConfigError, at_least_one, invalid};

/// `[ingest]`: what one request may bring. Past a limit the request is refused whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Largest request body. Default 4,194,304 bytes.
    pub max_body_bytes: u64,
    /// Most events in a batch. Default 1,000.
    pub max_batch_events: usize,
    /// How far ahead of the server's clock an event may lie: a window from the future would end
    /// the incidents of the present. Default 10,000 ms.
    pub max_future_ms: u64,
    /// Most events in an answer of `GET /v1/events`. Default 1,000.
    pub max_page_events: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 4 * 1024 * 1024,
            max_batch_events: 1_000,
            max_future_ms: 10_000,
            max_page_events: 1_000,
        }
    }
}

impl IngestConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1_024..=64 * 1024 * 1024).contains(&self.max_body_bytes) {
            return Err(invalid(
                "ingest.max_body_bytes",
                "1024 to 67108864 bytes",
                self.max_body_bytes,
            ));
        }
        if !(1..=100_000).contains(&self.max_batch_events) {
            return Err(invalid("ingest.max_batch_events", "1 to 100000", self.max_batch_events));
        }
        if !(1..=100_000).contains(&self.max_page_events) {
            return Err(invalid("ingest.max_page_events", "1 to 100000", self.max_page_events));
        }
        Ok(())
    }
}

/// `[graphql]`: what one query may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphqlConfig {
    /// Deepest nesting; the introspection of explorers needs about 15. Default 20.
    pub max_depth: usize,
    /// Most fields, those of a list counted as often as the list may be long. Default 50,000.
    pub max_complexity: usize,
    /// Longest query text. Default 65,536 bytes.
    pub max_query_bytes: usize,
    /// A query that takes longer is given up. Default 10,000 ms.
    pub timeout_ms: u64,
    /// How long `waitFor` waits for the projection. Default 5,000 ms.
    pub wait_ms: u64,
    /// Most WebSocket connections at once. Default 200.
    pub max_sockets: usize,
    /// Most operations at once on one WebSocket connection. Default 20.
    pub max_subscriptions: usize,
    /// A WebSocket connection is pinged this often, and closed when nothing came back three
    /// times. Default 20,000 ms.
    pub ping_ms: u64,
}

impl Default for GraphqlConfig {
    fn default() -> Self {
        Self {
            max_depth: 20,
            max_complexity: 50_000,
            max_query_bytes: 64 * 1024,
            timeout_ms: 10_000,
            wait_ms: 5_000,
            max_sockets: 200,
            max_subscriptions: 20,
            ping_ms: 20_000,
        }
    }
}

impl GraphqlConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        at_least_one("graphql.max_depth", self.max_depth as u64)?;
        at_least_one("graphql.max_complexity", self.max_complexity as u64)?;
        at_least_one("graphql.max_query_bytes", self.max_query_bytes as u64)?;
        at_least_one("graphql.timeout_ms", self.timeout_ms)?;
        at_least_one("graphql.max_sockets", self.max_sockets as u64)?;
        at_least_one("graphql.max_subscriptions", self.max_subscriptions as u64)?;
        at_least_one("graphql.ping_ms", self.ping_ms)
    }
}

/// `[projection]`: how far the graph may lag behind the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// `/readyz` answers 503 when the graph is more events behind than this. It is
    /// several of the largest batches, so that a single one does not end readiness. Default
    /// 10,000.
    pub ready_max_lag_events: u64,
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        Self { ready_max_lag_events: 10_000 }
    }
}

impl ProjectionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        at_least_one("projection.ready_max_lag_events", self.ready_max_lag_events)
    }
}

/// `[reactors]`: what the server decides by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReactorConfig {
    /// Whether the server detects, diagnoses and labels at all. Default `true`.
    pub enabled: bool,
    /// Whether new models are learned from labels. Those that were trained go on ranking. Default
    /// `true`.
    pub learn: bool,
    /// Most diagnoses of one incident. Default 8.
    pub max_diagnoses: u32,
    /// Most similar past incidents in a diagnosis. Default 5.
    pub max_similar: usize,
}

impl Default for ReactorConfig {
    fn default() -> Self {
        Self { enabled: true, learn: true, max_diagnoses: 8, max_similar: 5 }
    }
}

impl ReactorConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        at_least_one("reactors.max_diagnoses", u64::from(self.max_diagnoses))?;
        at_least_one("reactors.max_similar", self.max_similar as u64)
    }
}
