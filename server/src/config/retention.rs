//! How long the measurements of telemetry are kept.

use std::collections::BTreeMap;

use events::catalogue::telemetry::TelemetryKind;
use events::log::Policy;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{ConfigError, StorageConfig, invalid};

/// `[retention]`: what is kept of the measurements of old telemetry. Without a limit, all of them,
/// which is the default. Never pruned is what incidents need: `docs/operations.md` says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// How often the limits are applied while the server runs. Default 86,400,000 ms, a day.
    pub every_ms: u64,
    /// Snapshots of golden signals that were recorded longer ago are pruned. Default none.
    pub metrics_max_age_days: Option<u32>,
    /// While snapshots take more bytes of the log than this, the oldest are pruned. Default none.
    pub metrics_max_bytes: Option<u64>,
    /// As for metrics: windows of calls.
    pub traces_max_age_days: Option<u32>,
    /// As for metrics: windows of calls.
    pub traces_max_bytes: Option<u64>,
    /// As for metrics: windows of log patterns.
    pub logs_max_age_days: Option<u32>,
    /// As for metrics: windows of log patterns.
    pub logs_max_bytes: Option<u64>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            every_ms: 24 * 60 * 60 * 1_000,
            metrics_max_age_days: None,
            metrics_max_bytes: None,
            traces_max_age_days: None,
            traces_max_bytes: None,
            logs_max_age_days: None,
            logs_max_bytes: None,
        }
    }
}

impl RetentionConfig {
    /// The limits of the kinds that have one.
    pub(crate) fn policies(&self) -> BTreeMap<TelemetryKind, Policy> {
        let limits = TelemetryKind::ALL.map(|kind| (kind, self.policy(kind)));
        limits.into_iter().filter(|(_, policy)| *policy != Policy::default()).collect()
    }

    fn policy(&self, kind: TelemetryKind) -> Policy {
        let (days, max_bytes) = match kind {
            TelemetryKind::Metrics => (self.metrics_max_age_days, self.metrics_max_bytes),
            TelemetryKind::Traces => (self.traces_max_age_days, self.traces_max_bytes),
            TelemetryKind::Logs => (self.logs_max_age_days, self.logs_max_bytes),
        };
        let max_age = days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        Policy { max_age, max_bytes }
    }

    pub(super) fn check(&self, storage: &StorageConfig) -> Result<(), ConfigError> {
        if self.every_ms < 1_000 {
            return Err(invalid("retention.every_ms", "1000 or more", self.every_ms));
        }
        let ages = [
            ("retention.metrics_max_age_days", self.metrics_max_age_days),
            ("retention.traces_max_age_days", self.traces_max_age_days),
            ("retention.logs_max_age_days", self.logs_max_age_days),
        ];
        for (field, days) in ages {
            if days == Some(0) {
                return Err(invalid(field, "1 or more, or none", 0));
            }
        }
        if !storage.log_is_embedded() && !self.policies().is_empty() {
            let expected = "no limits, because KurrentDB keeps by $maxAge and $maxCount of its own";
            return Err(invalid("retention", expected, "limits"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limited_kinds_have_a_policy_and_only_in_the_embedded_log() {
        let config = RetentionConfig { logs_max_age_days: Some(7), ..RetentionConfig::default() };
        let week = Policy { max_age: Some(SignedDuration::from_hours(168)), max_bytes: None };
        assert_eq!(config.policies(), BTreeMap::from([(TelemetryKind::Logs, week)]));
        assert!(RetentionConfig::default().policies().is_empty());
        let kurrent = StorageConfig { log: "esdb://db:2113".to_owned(), ..Default::default() };
        assert!(config.check(&StorageConfig::default()).is_ok());
        let refusal = config.check(&kurrent).unwrap_err().to_string();
        assert!(refusal.starts_with("retention: expected no limits"), "{refusal}");
        assert!(RetentionConfig::default().check(&kurrent).is_ok());
    }

    #[test]
    fn an_age_of_no_days_is_refused() {
        let config = RetentionConfig { traces_max_age_days: Some(0), ..Default::default() };
        let refusal = config.check(&StorageConfig::default()).unwrap_err().to_string();
        assert!(refusal.starts_with("retention.traces_max_age_days: expected 1"), "{refusal}");
    }
}
