//! What other systems send: telemetry by OTLP, alerts, experiments.

use std::net::SocketAddr;

use receivers::BodyLimits;
use receivers::aggregate::Settings;
use receivers::alerts::LabelRules;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Listen, at_least_one, invalid};

/// `[otlp]`: telemetry by OpenTelemetry's protocol, summarised into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where OTLP over HTTP is taken, or `"off"`. The port of the API takes it too. Default
    /// `127.0.0.1:4318`.
    pub http_listen: Listen,
    /// Where OTLP over gRPC is taken, or `"off"`. Default `127.0.0.1:4317`.
    pub grpc_listen: Listen,
    /// Largest request, after decompression. Default 16,777,216 bytes.
    pub max_body_bytes: u64,
    /// Most memory that one decoded request may take. Default 134,217,728 bytes.
    pub max_decoded_bytes: u64,
    /// Most memory that the bodies of all requests may take that are being read. A body of unknown
    /// or compressed length counts as the largest; further requests wait, and are then answered
    /// 503 with `Retry-After`. Default 268,435,456 bytes.
    pub max_pending_bytes: u64,
    /// Events of closed windows that may wait for the log; past it telemetry is answered 503 with
    /// `Retry-After`. Default 100,000.
    pub max_waiting_events: usize,
    /// `[otlp.windows]`: how telemetry is summarised.
    pub windows: Settings,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        let loopback = |port| Listen::At(SocketAddr::from(([127, 0, 0, 1], port)));
        let limits = BodyLimits::default();
        Self {
            http_listen: loopback(4318),
            grpc_listen: loopback(4317),
            max_body_bytes: limits.max_bytes as u64,
            max_decoded_bytes: limits.max_decoded_bytes as u64,
            max_pending_bytes: 256 << 20,
            max_waiting_events: 100_000,
            windows: Settings::default(),
        }
    }
}

impl OtlpConfig {
    /// The limits of one request.
    pub(crate) fn limits(&self) -> BodyLimits {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        BodyLimits {
            max_bytes: size(self.max_body_bytes),
            max_decoded_bytes: size(self.max_decoded_bytes),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let between = |field, value: u64, range: std::ops::RangeInclusive<u64>| {
            let expected = format!("{} to {}", range.start(), range.end());
            if range.contains(&value) { Ok(()) } else { Err(invalid(field, expected, value)) }
        };
        between("otlp.max_body_bytes", self.max_body_bytes, 1_024..=256 << 20)?;
        between("otlp.max_decoded_bytes", self.max_decoded_bytes, 1 << 20..=4 << 30)?;
        between("otlp.max_pending_bytes", self.max_pending_bytes, self.max_body_bytes..=64 << 30)?;
        at_least_one("otlp.max_waiting_events", self.max_waiting_events as u64)?;
        let windows = &self.windows;
        between("otlp.windows.window_ms", windows.window_ms, 1_000..=3_600_000)?;
        between("otlp.windows.lateness_ms", windows.lateness_ms, 0..=3_600_000)?;
        between("otlp.windows.ahead_ms", windows.ahead_ms, 0..=3_600_000)?;
        between("otlp.windows.span_memory_ms", windows.span_memory_ms, 1_000..=3_600_000)?;
        let limits = &windows.limits;
        for (field, value) in [
            ("otlp.windows.limits.components", limits.components),
            ("otlp.windows.limits.edges", limits.edges),
            ("otlp.windows.limits.spans", limits.spans),
            ("otlp.windows.limits.series", limits.series),
            ("otlp.windows.limits.resources", limits.resources),
            ("otlp.windows.limits.shapes", limits.shapes),
            ("otlp.windows.limits.templates", limits.templates),
            ("otlp.windows.limits.attributes", limits.attributes),
            ("otlp.windows.limits.buckets", limits.buckets),
            ("otlp.windows.limits.requests", limits.requests),
        ] {
            at_least_one(field, value as u64)?;
        }
        Ok(())
    }
}

/// `[alerts]`: which component an alert, a change or the target of an experiment speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Rules over labels, of which the first that fits counts. Default: the labels that usually
    /// name a component, such as `service`.
    pub rules: LabelRules,
}
