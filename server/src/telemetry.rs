//! Log lines and, when configured, spans by OTLP. Nothing leaves the machine by default.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogFormat, TelemetryConfig};

/// The exporter's own transport would otherwise trace itself.
const SILENT_IN_SPANS: &str = ",hyper=off,h2=off,tonic=off,tower=off,reqwest=off,opentelemetry=off";

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives cannot be read.
    #[error("telemetry.log_filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The span exporter could not be built.
    #[error("telemetry.otlp_endpoint")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// There is a subscriber already.
    #[error("telemetry was set up before")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporter; dropping it sends what is left.
#[must_use = "spans are exported only while this lives"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Installs the process's subscriber. With an OTLP endpoint it must run inside a tokio runtime.
pub fn install(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(console::colors_enabled_stderr()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let provider = config.otlp_endpoint.as_deref().map(exporter).transpose()?;
    let spans = provider
        .as_ref()
        .map(|provider| -> Result<_, TelemetryError> {
            let filter = EnvFilter::try_new(format!("{}{SILENT_IN_SPANS}", config.log_filter))?;
            let tracer = provider.tracer("faultline");
            Ok(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter))
        })
        .transpose()?;
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init()?;
    Ok(Telemetry(provider))
}

/// Warnings on standard error, for commands that come to an end by themselves. Events that cannot
/// be projected are not among them: a history may have thousands, and the graph lists them. Nor
/// is what a store says that was closed, and is then dropped by a thread of its own.
pub fn install_warnings() {
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).without_time();
    let lines = lines.with_ansi(console::colors_enabled_stderr());
    let filter = EnvFilter::new("warn,schema::executor=error,surrealkv::lsm=error");
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name("faultline").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
