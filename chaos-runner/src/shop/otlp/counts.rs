//! What was made, and what of it reached the receiver.
//!
//! Made is counted in front of the SDK's queue and delivered behind the exporter, so that what a
//! full queue drops, what an export loses and what the end of the process leaves behind is the
//! difference, without asking the SDK for any of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use serde::{Deserialize, Serialize};

/// How much of a kind of telemetry was made, and how much of it a receiver took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Made by the process.
    pub made: u64,
    /// Taken by the receiver.
    pub delivered: u64,
}

impl Count {
    /// Made, and not taken.
    pub fn lost(self) -> u64 {
        self.made.saturating_sub(self.delivered)
    }

    fn merge(&mut self, other: Self) {
        self.made += other.made;
        self.delivered += other.delivered;
    }
}

/// What became of the telemetry of processes. Metrics are not counted: each export repeats what
/// an earlier one would have said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Spans.
    pub spans: Count,
    /// Lines of logs.
    pub lines: Count,
    /// Processes that were killed and could not say what they had not sent.
    pub untold: u64,
}

impl Delivery {
    /// What a killed process leaves.
    pub(crate) const UNTOLD: Self = Self {
        spans: Count { made: 0, delivered: 0 },
        lines: Count { made: 0, delivered: 0 },
        untold: 1,
    };

    pub(crate) fn merge(&mut self, other: Self) {
        self.spans.merge(other.spans);
        self.lines.merge(other.lines);
        self.untold += other.untold;
    }

    /// What did not arrive, in words; `None` when everything did.
    pub fn shortfall(&self) -> Option<String> {
        let (spans, lines) = (self.spans.lost(), self.lines.lost());
        let lost = (spans + lines > 0).then(|| {
            let (of_spans, of_lines) = (self.spans.made, self.lines.made);
            format!("{spans} of {of_spans} spans and {lines} of {of_lines} log lines were lost")
        });
        let killed = (self.untold > 0).then(|| {
            format!("{} killed processes could not say what they had not sent", self.untold)
        });
        let parts: Vec<_> = lost.into_iter().chain(killed).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Counts one kind of telemetry.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    begun: AtomicU64,
    made: AtomicU64,
    delivered: AtomicU64,
}

impl Counter {
    pub(super) fn get(&self) -> Count {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Count { made: load(&self.0.made), delivered: load(&self.0.delivered) }
    }

    /// Spans that began and have not ended.
    pub(super) fn open(&self) -> u64 {
        let ended = self.0.made.load(Ordering::Relaxed);
        self.0.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    fn made_one(&self) {
        self.0.made.fetch_add(1, Ordering::Relaxed);
    }

    fn exported(&self, count: usize, result: &OTelSdkResult) {
        if result.is_ok() {
            self.0.delivered.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

impl SpanProcessor for Counter {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn on_end(&self, _span: SpanData) {
        self.made_one();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Counter {
    fn emit(&self, _record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        self.made_one();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// An exporter whose deliveries are counted.
#[derive(Debug)]
pub(super) struct Counted<E> {
    pub(super) exporter: E,
    pub(super) counter: Counter,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.counter.exported(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let result = self.exporter.export(batch).await;
        self.counter.exported(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortfall_says_what_was_lost_and_nothing_where_nothing_was() {
        let mut all = Delivery::default();
        assert_eq!(all.shortfall(), None);
        let spans = Count { made: 10, delivered: 7 };
        let lines = Count { made: 4, delivered: 4 };
        all.merge(Delivery { spans, lines, untold: 0 });
        let lost = "3 of 10 spans and 0 of 4 log lines were lost";
        assert_eq!(all.shortfall().as_deref(), Some(lost));
        all.merge(Delivery::UNTOLD);
        let killed = "1 killed processes could not say what they had not sent";
        assert_eq!(all.shortfall(), Some(format!("{lost}; {killed}")));
    }
}
