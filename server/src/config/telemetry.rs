//! What the server says of itself.

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

const QUIET_STORES: &str = "info,fjall=warn,lsm_tree=warn,opentelemetry_sdk=warn,surrealdb=warn,surrealkv=warn,\
     surrealdb_core::kvs::tasks=off";

/// `[telemetry]`: what the server says of itself. Nothing leaves the machine by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `text` or `json`, on standard error. Default `text`.
    pub log_format: LogFormat,
    /// Which lines, as `tracing` directives. Default: `info`, and of the stores below only
    /// warnings or errors.
    pub log_filter: String,
    /// Where the server's own traces, metrics and log lines are sent to by OTLP over gRPC, such
    /// as `http://127.0.0.1:4317`; absent: nowhere.
    pub otlp_endpoint: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: QUIET_STORES.to_owned(),
            otlp_endpoint: None,
        }
    }
}

impl TelemetryConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log_filter) {
            return Err(invalid(
                "telemetry.log_filter",
                "directives such as \"info,schema=debug\"",
                format!("{:?} ({error})", self.log_filter),
            ));
        }
        match &self.otlp_endpoint {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err(invalid(
                    "telemetry.otlp_endpoint",
                    "a URL that begins with http:// or https://",
                    format!("{url:?}"),
                ))
            }
            _ => Ok(()),
        }
    }
}
