//! The SDK's providers of one process: begun with it, flushed at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SdkTracerProvider};
use uuid::Uuid;

use super::counts::{Counted, Counter, Delivery};
use super::post::{PATIENCE, Post};
use super::{Instruments, Receiver, SCOPE};

/// Spans, and lines, that wait for an export at most; further ones are dropped.
const QUEUE: usize = 4_096;
/// How long they wait at most for others to be sent with.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// How often metrics are sent.
const METRICS_EVERY: Duration = Duration::from_secs(2);
/// How long the last export may take. A process that is asked to end is killed when it does not.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last spans may take to end. A request whose caller hung up is let go of by a task
/// that nobody waits for.
const LAST_SPANS_PATIENCE: Duration = Duration::from_millis(200);
/// How often they are looked for.
const LAST_SPANS_POLL: Duration = Duration::from_millis(5);
/// [`FLUSH_PATIENCE`] where the receiver was away until then: no reason to hold up whoever waits.
const AWAY_PATIENCE: Duration = Duration::from_millis(200);

/// What a process is, for its resource.
pub(crate) struct Identity<'a> {
    /// `service.name`: the component.
    pub(crate) component: &'a str,
    /// `service.version`: what is deployed.
    pub(crate) version: &'a str,
}

/// The telemetry of one process; nothing without a receiver.
pub(crate) struct Telemetry(Option<Providers>);

struct Providers {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
    metrics: SdkMeterProvider,
    spans: Counter,
    lines: Counter,
    away: Arc<AtomicBool>,
}

impl Telemetry {
    /// Begins to send to `receiver`. Call it inside a runtime.
    pub(crate) fn start(
        receiver: Option<&Receiver>,
        identity: &Identity<'_>,
    ) -> Result<Self, ExporterBuildError> {
        let Some(receiver) = receiver else { return Ok(Self(None)) };
        let resource = resource(receiver, identity);
        let away = Arc::new(AtomicBool::new(false));
        let post = |path| Post::new(&receiver.destination, path, &away);
        let (spans, lines) = (Counter::default(), Counter::default());
        Ok(Self(Some(Providers {
            traces: traces(post("/v1/traces"), spans.clone(), resource.clone())?,
            logs: logs(post("/v1/logs"), lines.clone(), resource.clone())?,
            metrics: metrics(post("/v1/metrics"), resource)?,
            spans,
            lines,
            away,
        })))
    }

    /// What spans and metrics are made with.
    pub(crate) fn instruments(&self) -> Instruments {
        let Some(providers) = &self.0 else { return Instruments::off() };
        let tracer = BoxedTracer::new(Box::new(providers.traces.tracer(SCOPE)));
        Instruments { tracer: Arc::new(tracer), meter: providers.metrics.meter(SCOPE) }
    }

    /// What turns the lines of this process into log records. They carry the trace and the span
    /// in which they were written.
    pub(crate) fn bridge(
        &self,
    ) -> Option<OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>> {
        self.0.as_ref().map(|providers| OpenTelemetryTracingBridge::new(&providers.logs))
    }

    /// Sends what waits, within a bounded time, and says what was lost.
    pub(crate) async fn end(self) -> Option<Delivery> {
        let Providers { traces, logs, metrics, spans, lines, away } = self.0?;
        let away = away.load(Ordering::Relaxed);
        let patience = if away { AWAY_PATIENCE } else { FLUSH_PATIENCE };
        let _ = tokio::time::timeout(LAST_SPANS_PATIENCE, async {
            while spans.open() > 0 {
                tokio::time::sleep(LAST_SPANS_POLL).await;
            }
        })
        .await;
        // Each waits on a thread of its own; what the receiver does not take in time is lost.
        let ends = [
            tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(patience)),
            tokio::task::spawn_blocking(move || logs.shutdown_with_timeout(patience)),
            tokio::task::spawn_blocking(move || metrics.shutdown_with_timeout(patience)),
        ];
        let _ = tokio::time::timeout(patience, futures::future::join_all(ends)).await;
        Some(Delivery { spans: spans.get(), lines: lines.get(), untold: 0 })
    }
}

fn resource(receiver: &Receiver, identity: &Identity<'_>) -> Resource {
    let attribute = |name: &'static str, value: &str| KeyValue::new(name, value.to_owned());
    let namespace = receiver.args.otlp_namespace.as_deref();
    Resource::builder()
        .with_attribute(attribute("service.name", identity.component))
        .with_attribute(attribute("service.version", identity.version))
        // A restarted process is another instance: its counters begin anew.
        .with_attribute(attribute("service.instance.id", &Uuid::now_v7().to_string()))
        .with_attributes(namespace.map(|name| attribute("service.namespace", name)))
        .build()
}

fn traces(
    post: Post,
    counter: Counter,
    resource: Resource,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(post.url())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_http_client(post)
        .build()?;
    let config = trace::BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let exporter = Counted { exporter, counter: counter.clone() };
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_resource(resource);
    Ok(provider.with_span_processor(counter).with_span_processor(batches).build())
}

fn logs(
    post: Post,
    counter: Counter,
    resource: Resource,
) -> Result<SdkLoggerProvider, ExporterBuildError> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_endpoint(post.url())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_http_client(post)
        .build()?;
    let config = logs::BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let exporter = Counted { exporter, counter: counter.clone() };
    let batches = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    let provider = SdkLoggerProvider::builder().with_resource(resource);
    Ok(provider.with_log_processor(counter).with_log_processor(batches).build())
}

fn metrics(post: Post, resource: Resource) -> Result<SdkMeterProvider, ExporterBuildError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_endpoint(post.url())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_http_client(post)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(METRICS_EVERY).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use opentelemetry::trace::{Span, Tracer};
    use tokio::net::TcpListener;

    use super::super::ReceiverArgs;
    use super::super::counts::Count;
    use super::*;

    /// Telemetry to a receiver that takes everything.
    async fn telemetry() -> Telemetry {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let otlp = Some(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(|| async {})).await });
        let receiver = ReceiverArgs { otlp, ..ReceiverArgs::default() }.receiver().unwrap();
        let identity = Identity { component: "cart", version: "1.0.0" };
        Telemetry::start(receiver.as_ref(), &identity).unwrap()
    }

    #[tokio::test]
    async fn a_span_that_ends_late_is_sent_and_one_that_never_ends_holds_up_nobody() {
        let telemetry = telemetry().await;
        let tracer = telemetry.instruments().tracer;
        let (mut late, endless) = (tracer.start("late"), tracer.start("endless"));
        tokio::spawn(async move {
            tokio::time::sleep(LAST_SPANS_PATIENCE / 4).await;
            late.end();
        });
        let delivery = telemetry.end().await.unwrap();
        assert_eq!(delivery.spans, Count { made: 1, delivered: 1 });
        drop(endless);
    }
}
