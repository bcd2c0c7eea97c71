//! What the shop tells of itself by OpenTelemetry, when it is given a receiver.
//!
//! Every process, and the users as one more, has the SDK's providers of traces, metrics and logs,
//! which send by OTLP over HTTP in protocol buffers. Spans follow the semantic conventions for
//! HTTP and for databases; the context goes from hop to hop as a W3C `traceparent`. A version that
//! is deployed is the `service.version` of the process that runs it.
//!
//! Nothing of it may slow the shop down or break it: queues are bounded, what does not fit is
//! dropped, and an export ends after a bounded time. [`Delivery`] counts what was lost.

mod calls;
mod counts;
mod post;
mod process;
mod providers;
mod served;
mod statements;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Meter;

use crate::submit::{Destination, InvalidServer, Token};
pub(crate) use calls::Calls;
pub use counts::{Count, Delivery};
pub(crate) use process::watch_process;
pub(crate) use providers::{Identity, Telemetry};
pub(crate) use served::{Served, observe};
pub(crate) use statements::{PoolCounts, Statement, Statements, error_type};

/// The environment variable that tells a process of the shop its token: a list of processes
/// shows arguments, not this.
pub(crate) const TOKEN_VARIABLE: &str = "FAULTLINE_OTLP_TOKEN";

/// A receiver of OTLP, as a command line names it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ReceiverArgs {
    /// Receiver of OpenTelemetry (OTLP over HTTP, protobuf) that every process of the shop sends
    /// traces, metrics and logs to, such as http://127.0.0.1:4318
    /// [default: OTEL_EXPORTER_OTLP_ENDPOINT, else nothing is sent].
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Token for the receiver. In FAULTLINE_OTLP_TOKEN no list of processes shows it.
    #[arg(long, value_name = "TOKEN", env = TOKEN_VARIABLE, hide_env_values = true)]
    pub otlp_token: Option<String>,
    /// Certificates (PEM) to trust an https receiver by, instead of those of the system.
    #[arg(long, value_name = "FILE")]
    pub otlp_ca_file: Option<PathBuf>,
    /// The `service.namespace` of the shop's telemetry; none by default, so that its components
    /// have the same names as in experiments.
    #[arg(long, value_name = "NAME")]
    pub otlp_namespace: Option<String>,
}

impl ReceiverArgs {
    /// The receiver, checked; `None` where none is named.
    pub fn receiver(&self) -> Result<Option<Receiver>, InvalidServer> {
        let Some(url) = &self.otlp else { return Ok(None) };
        let token = self.otlp_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(Token::new).transpose()?;
        let destination = Destination::new(url, token, self.otlp_ca_file.as_deref())?;
        Ok(Some(Receiver { destination, args: self.clone() }))
    }
}

/// A receiver of OTLP that the shop sends to.
#[derive(Clone)]
pub struct Receiver {
    destination: Destination,
    args: ReceiverArgs,
}

impl Receiver {
    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        self.destination.url()
    }

    /// The command line that names it to a process, without the token.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--otlp={}", self.url())];
        let file = self.args.otlp_ca_file.as_ref();
        arguments.extend(file.map(|file| format!("--otlp-ca-file={}", file.display())));
        let namespace = self.args.otlp_namespace.as_ref();
        arguments.extend(namespace.map(|name| format!("--otlp-namespace={name}")));
        arguments
    }

    /// The token, for the environment of a process.
    pub(crate) fn token(&self) -> Option<&str> {
        self.args.otlp_token.as_deref()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.url()).finish()
    }
}

/// What spans and metrics of a process are made with.
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) tracer: Arc<BoxedTracer>,
    pub(crate) meter: Meter,
}

/// The name of the instrumentation.
const SCOPE: &str = "chaos-runner/shop";

impl Instruments {
    /// Makes nothing. This program never sets a global provider, and until one is set the API
    /// hands out instruments without effect.
    pub(crate) fn off() -> Self {
        Self { tracer: Arc::new(global::tracer(SCOPE)), meter: global::meter(SCOPE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_everything_but_the_token_by_its_arguments() {
        let args = ReceiverArgs {
            otlp: Some("http://127.0.0.1:4318/".to_owned()),
            otlp_token: Some("s3cret".to_owned()),
            otlp_ca_file: None,
            otlp_namespace: Some("demo".to_owned()),
        };
        let receiver = args.receiver().unwrap().unwrap();
        let expected = ["--otlp=http://127.0.0.1:4318", "--otlp-namespace=demo"];
        assert_eq!(receiver.to_arguments(), expected);
        assert_eq!(receiver.token(), Some("s3cret"));
        assert!(!format!("{receiver:?}").contains("s3cret"));
        assert!(ReceiverArgs::default().receiver().unwrap().is_none());
    }
}
