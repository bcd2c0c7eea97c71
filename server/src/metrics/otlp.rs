//! What of OpenTelemetry was taken, dropped and is held.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use receivers::aggregate::Totals;

use super::Metrics;
use crate::otlp::Otlp;

/// A count of [`Totals`].
type Count = (&'static str, &'static str, fn(&Totals) -> u64);

const COUNTS: [Count; 8] = [
    ("faultline.otlp.spans", "Spans taken", |it| it.spans),
    ("faultline.otlp.data.points", "Data points taken", |it| it.points),
    (
        "faultline.otlp.data.points.unused",
        "Data points taken that no snapshot has a place for",
        |it| it.points_unused,
    ),
    ("faultline.otlp.log.records", "Log records taken", |it| it.lines),
    ("faultline.otlp.repeated", "Spans, points and records that were sent before", |it| {
        it.repeated
    }),
    (
        "faultline.otlp.data.points.superseded",
        "Data points older than what their series had told",
        |it| it.points_superseded,
    ),
    (
        "faultline.otlp.calls.unresolved",
        "Calls to an address of which nobody knows who it is",
        |it| it.calls_unresolved,
    ),
    ("faultline.otlp.events", "Events made of telemetry", |it| it.events),
];

impl Metrics {
    /// Reads the numbers of `otlp` at every scrape from now on.
    pub(crate) fn watch(&self, otlp: &Arc<Otlp>) {
        let meter = self.provider.meter("faultline");
        for (name, what, of) in COUNTS {
            let otlp = otlp.clone();
            let counter = meter.u64_observable_counter(name).with_description(what);
            counter.with_callback(move |told| told.observe(of(&otlp.totals()), &[])).build();
        }
        let from = otlp.clone();
        meter
            .u64_observable_counter("faultline.otlp.dropped")
            .with_description("Spans, points and records that were not taken, by reason")
            .with_callback(move |told| {
                for (reason, count) in from.totals().dropped {
                    told.observe(count, &[KeyValue::new("reason", reason.as_str())]);
                }
            })
            .build();
        let from = otlp.clone();
        meter
            .u64_observable_gauge("faultline.otlp.held")
            .with_description("Spans, series and windows that are kept in memory")
            .with_callback(move |told| {
                let held = from.held();
                let of =
                    [("spans", held.spans), ("series", held.series), ("windows", held.windows)];
                for (what, count) in of {
                    told.observe(count as u64, &[KeyValue::new("what", what)]);
                }
            })
            .build();
        let from = otlp.clone();
        meter
            .u64_observable_gauge("faultline.otlp.waiting.events")
            .with_description("Events of closed windows that the log does not have yet")
            .with_callback(move |told| told.observe(from.waiting() as u64, &[]))
            .build();
    }
}
