//! The server's own numbers, for Prometheus: base units, bounded labels, never an id.

mod otlp;
mod standings;

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::telemetry;

/// Bounds for what takes from a millisecond to the request limit, in seconds.
const SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What is read at the moment of a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Levels {
    /// Position of the log's last event.
    pub(crate) head: u64,
    /// Position up to which the graph holds the log.
    pub(crate) projected: u64,
    /// Events the graph is behind the log.
    pub(crate) lag: u64,
    /// Position up to which the reactors have decided.
    pub(crate) reacted: u64,
    /// Events set aside, when the graph could be asked.
    pub(crate) set_aside: Option<u64>,
    /// Incidents that are open, as the reactors see it.
    pub(crate) incidents_open: u64,
    /// Whether this server projects: it is the only one, or it holds the lease.
    pub(crate) holds_lease: bool,
}

/// The instruments. One provider feeds `/metrics`, and an exporter when one is configured.
pub(crate) struct Metrics {
    registry: Registry,
    // Dropping the provider would end its instruments.
    provider: SdkMeterProvider,
    requests: Counter<u64>,
    request_duration: Histogram<f64>,
    appended: Counter<u64>,
    append_duration: Histogram<f64>,
    decisions: Counter<u64>,
    pruned_events: Counter<u64>,
    pruned_bytes: Counter<u64>,
    head: Gauge<u64>,
    projected: Gauge<u64>,
    lag: Gauge<u64>,
    reacted: Gauge<u64>,
    set_aside: Gauge<u64>,
    incidents_open: Gauge<u64>,
    holds_lease: Gauge<u64>,
}

/// Why the numbers could not be set up or written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The exporter refused its registry.
    #[error("the metrics exporter could not be set up")]
    Exporter(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// The text could not be written.
    #[error("the metrics could not be written")]
    Encode(#[from] prometheus::Error),
    /// The numbers cannot be sent where they shall be.
    #[error("telemetry.otlp_endpoint")]
    Push(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Metrics {
    /// Instruments whose numbers are also sent to `endpoint` by OTLP, once a minute.
    pub(crate) fn new(endpoint: Option<&str>) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let mut provider = SdkMeterProvider::builder().with_reader(exporter);
        if let Some(endpoint) = endpoint {
            provider = provider
                .with_periodic_exporter(telemetry::metric_exporter(endpoint)?)
                .with_resource(telemetry::resource());
        }
        let provider = provider.build();
        let meter = provider.meter("faultline");
        let gauge = |name, what| meter.u64_gauge(name).with_description(what).build();
        Ok(Self {
            requests: counter(&meter, "faultline.http.requests", "HTTP requests answered"),
            request_duration: seconds(
                &meter,
                "faultline.http.request.duration",
                "Time from the first byte of a request to its answer",
            ),
            appended: counter(
                &meter,
                "faultline.events.appended",
                "Events appended, repeats not counted",
            ),
            append_duration: seconds(
                &meter,
                "faultline.log.append.duration",
                "Time to make a batch durable",
            ),
            decisions: counter(
                &meter,
                "faultline.reactor.decisions",
                "Events that the reactors appended",
            ),
            pruned_events: counter(
                &meter,
                "faultline.retention.pruned.events",
                "Events whose measurements retention took out of the log",
            ),
            pruned_bytes: counter(
                &meter,
                "faultline.retention.freed.bytes",
                "Bytes by which retention made the log smaller, uncompressed",
            ),
            head: gauge("faultline.log.head.position", "Position of the log's last event"),
            projected: gauge(
                "faultline.projection.position",
                "Position up to which the graph holds the log",
            ),
            lag: gauge("faultline.projection.lag.events", "Events the graph is behind the log"),
            reacted: gauge(
                "faultline.reactor.position",
                "Position up to which the reactors have decided",
            ),
            set_aside: gauge(
                "faultline.projection.set.aside.events",
                "Events that could not be projected",
            ),
            incidents_open: gauge("faultline.incidents.open", "Incidents that are open"),
            holds_lease: gauge(
                "faultline.lease.held",
                "1 where projection and reactors run, 0 where another server's are followed",
            ),
            provider,
            registry,
        })
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let route = KeyValue::new("route", route.to_owned());
        let method = KeyValue::new("method", known(method));
        let status = KeyValue::new("status", i64::from(status.as_u16()));
        self.request_duration.record(took.as_secs_f64(), &[method.clone(), route.clone()]);
        self.requests.add(1, &[method, route, status]);
    }

    /// A batch is durable; `types` are those of the events that were not there before.
    pub(crate) fn appended(&self, types: &[&'static str], took: Duration) {
        let mut counts: HashMap<&'static str, u64> = HashMap::new();
        for event_type in types {
            *counts.entry(event_type).or_default() += 1;
        }
        for (event_type, count) in counts {
            self.appended.add(count, &[KeyValue::new("type", event_type)]);
        }
        self.append_duration.record(took.as_secs_f64(), &[]);
    }

    /// Counts further events of one type as appended.
    pub(crate) fn appended_of(&self, event_type: &'static str, count: u64) {
        self.appended.add(count, &[KeyValue::new("type", event_type)]);
    }

    pub(crate) fn decided(&self, event_type: &'static str) {
        self.decisions.add(1, &[KeyValue::new("type", event_type)]);
    }

    /// The log was pruned.
    pub(crate) fn pruned(&self, events: u64, freed_bytes: u64) {
        self.pruned_events.add(events, &[]);
        self.pruned_bytes.add(freed_bytes, &[]);
    }

    /// Takes the levels of this moment.
    pub(crate) fn record(&self, levels: Levels) {
        self.head.record(levels.head, &[]);
        self.projected.record(levels.projected, &[]);
        self.lag.record(levels.lag, &[]);
        self.reacted.record(levels.reacted, &[]);
        self.incidents_open.record(levels.incidents_open, &[]);
        self.holds_lease.record(u64::from(levels.holds_lease), &[]);
        if let Some(set_aside) = levels.set_aside {
            self.set_aside.record(set_aside, &[]);
        }
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn text(&self) -> Result<Vec<u8>, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn counter(meter: &Meter, name: &'static str, what: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_description(what).build()
}

fn seconds(meter: &Meter, name: &'static str, what: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_description(what)
        .with_unit("s")
        .with_boundaries(SECONDS.to_vec())
        .build()
}

/// A client may invent methods; a label must not follow it.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
