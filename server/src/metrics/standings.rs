//! Components and objectives as they stand, for dashboards and for alerts of others.

use jiff::SignedDuration;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;

use super::Metrics;
use crate::http::Clock;
use crate::standings::{Signals, Standings};

/// A signal of a component.
type Signal = (&'static str, &'static str, fn(&Signals) -> Option<f64>);

const SIGNALS: [Signal; 5] = [
    (
        "faultline.component.requests_per_second",
        "Requests a second in the component's newest window",
        |it| it.requests_per_second,
    ),
    ("faultline.component.error_ratio", "Share of those requests that failed", |it| it.error_ratio),
    (
        "faultline.component.latency_p95_seconds",
        "Time to answer that 95 % of them stayed below",
        |it| it.latency_p95_seconds,
    ),
    ("faultline.component.saturation_ratio", "Share of the tightest resource in use", |it| {
        it.saturation_ratio
    }),
    (
        "faultline.component.available",
        "1 where the component reports and is up, 0 where not",
        |it| Some(f64::from(u8::from(it.available))),
    ),
];

/// A look back, such as `5m`, `6h` or `3d`.
fn look_back(back: SignedDuration) -> String {
    match (back.as_hours(), back.as_hours() % 24) {
        (hours, 0) if hours >= 48 => format!("{}d", hours / 24),
        _ => format!("{back:#}"),
    }
}

impl Metrics {
    /// Reads how things stand at every scrape from now on.
    pub(crate) fn watch_standings(&self, standings: &Standings, clock: Clock) {
        let meter = self.provider.meter("faultline");
        for (name, what, of) in SIGNALS {
            let from = standings.clone();
            let gauge = meter.f64_observable_gauge(name).with_description(what);
            gauge
                .with_callback(move |told| {
                    for (component, signals) in from.components(clock()) {
                        if let Some(value) = of(&signals) {
                            let component = KeyValue::new("component", component.to_string());
                            told.observe(value, &[component]);
                        }
                    }
                })
                .build();
        }
        self.watch_budgets(standings);
    }

    fn watch_budgets(&self, standings: &Standings) {
        let meter = self.provider.meter("faultline");
        let labels = |slo: &events::catalogue::model::SloDefined| {
            let slo_name = KeyValue::new("slo", slo.slo.to_string());
            vec![slo_name, KeyValue::new("component", slo.component.to_string())]
        };
        let from = standings.clone();
        meter
            .f64_observable_gauge("faultline.slo.objective_ratio")
            .with_description("Share of good requests that the objective asks for")
            .with_callback(move |told| {
                for (slo, _) in from.objectives() {
                    told.observe(slo.objective.get(), &labels(&slo));
                }
            })
            .build();
        let from = standings.clone();
        meter
            .f64_observable_gauge("faultline.slo.good_ratio")
            .with_description("Share of good requests over the objective's window")
            .with_callback(move |told| {
                for (slo, standing) in from.objectives() {
                    if let Some(good) = standing.good {
                        told.observe(good, &labels(&slo));
                    }
                }
            })
            .build();
        let from = standings.clone();
        meter
            .f64_observable_gauge("faultline.slo.budget_left_ratio")
            .with_description("Share of the error budget that is left; below 0 it is overspent")
            .with_callback(move |told| {
                for (slo, standing) in from.objectives() {
                    told.observe(standing.remaining, &labels(&slo));
                }
            })
            .build();
        let from = standings.clone();
        meter
            .f64_observable_gauge("faultline.slo.burn_rate")
            .with_description("Times the rate at which the budget would last its window")
            .with_callback(move |told| {
                for (slo, standing) in from.objectives() {
                    for burn in standing.burns {
                        let looks = [(burn.rule.long, burn.long), (burn.rule.short, burn.short)];
                        for (back, rate) in looks {
                            let mut of = labels(&slo);
                            of.push(KeyValue::new("window", look_back(back)));
                            told.observe(rate, &of);
                        }
                    }
                }
            })
            .build();
    }
}
