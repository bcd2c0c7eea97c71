//! Log lines and, when configured, the server's own traces, metrics and log records by OTLP.
//! Nothing leaves the machine by default.

use std::fmt;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, TelemetryConfig};

/// The exporters and their transport would otherwise tell of themselves without an end.
const SILENT: &str = ",hyper=off,h2=off,tonic=off,tower=off,reqwest=off,opentelemetry=off,\
     opentelemetry_sdk=off,opentelemetry_otlp=off";

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives cannot be read.
    #[error("telemetry.log_filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// An exporter could not be built.
    #[error("telemetry.otlp_endpoint")]
    Exporter(#[from] ExporterBuildError),
    /// There is a subscriber already.
    #[error("telemetry was set up before")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Passes over what a store says at every stop that was closed, and is then dropped by a thread of
/// its own.
struct Closed;

const NOT_CLOSED: &str = "No runtime available for closing the store correctly";

impl<S: Subscriber> Layer<S> for Closed {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let mut enabled = true;
        if *event.metadata().level() == Level::WARN {
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                enabled &= field.name() != "message" || format!("{value:?}") != NOT_CLOSED;
            });
        }
        enabled
    }
}

/// Keeps the exporters of traces and log records; dropping it sends what is left.
#[must_use = "nothing is exported once it is dropped"]
pub struct Telemetry(Option<(SdkTracerProvider, SdkLoggerProvider)>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        let Some((traces, logs)) = self.0.take() else { return };
        for ended in [traces.shutdown(), logs.shutdown()] {
            if let Err(error) = ended {
                tracing::warn!(%error, "the last telemetry was not exported");
            }
        }
    }
}

/// Installs the process's subscriber. With an OTLP endpoint it must run inside a tokio runtime.
pub fn install(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let lines = layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(console::colors_enabled_stderr()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let exported = config.otlp_endpoint.as_deref().map(exported).transpose()?;
    let layers = exported
        .as_ref()
        .map(|(traces, logs)| -> Result<_, TelemetryError> {
            let filter = || EnvFilter::try_new(format!("{}{SILENT}", config.log_filter));
            let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("faultline"));
            let records = OpenTelemetryTracingBridge::new(logs);
            Ok(spans.with_filter(filter()?).and_then(records.with_filter(filter()?)))
        })
        .transpose()?;
    let lines = lines.with_filter(filter);
    tracing_subscriber::registry().with(lines).with(layers).with(Closed).try_init()?;
    Ok(Telemetry(exported))
}

/// Warnings on standard error, for commands that come to an end by themselves. Events that cannot
/// be projected are not among them: a history may have thousands, and the graph lists them.
pub fn install_warnings() {
    let lines = layer().with_writer(std::io::stderr).with_target(false).without_time();
    let lines = lines.with_ansi(console::colors_enabled_stderr());
    let filter = EnvFilter::new("warn,schema::executor=error");
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(Closed).init();
}

fn exported(endpoint: &str) -> Result<(SdkTracerProvider, SdkLoggerProvider), TelemetryError> {
    let spans = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let records = LogExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let traces = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource());
    let logs = SdkLoggerProvider::builder().with_batch_exporter(records).with_resource(resource());
    Ok((traces.build(), logs.build()))
}

/// Sends the server's numbers too.
pub(crate) fn metric_exporter(endpoint: &str) -> Result<MetricExporter, ExporterBuildError> {
    MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()
}

/// What all of it is told to be of.
pub(crate) fn resource() -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_service_name("faultline").with_attribute(version).build()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn of_the_warnings_of_stores_one_is_passed_over() {
        let lines = Lines::default();
        let written = lines.clone();
        let shown = layer().with_writer(move || written.clone());
        let layers = tracing_subscriber::registry().with(shown).with(Closed);
        tracing::subscriber::with_default(layers, || {
            tracing::warn!("{NOT_CLOSED}");
            tracing::warn!("a segment was repaired");
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!lines.contains(NOT_CLOSED) && lines.contains("was repaired"), "{lines}");
    }
}
