//! What the operator decides, read once: defaults, then a TOML file, then the environment, then
//! flags. A field nobody knows is refused, because a misspelt limit would be lost silently.

mod auth;
mod limits;
mod listen;
mod otlp;
mod printed;
mod retention;
mod search;
mod source;
mod storage;
mod telemetry;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use auth::{AuthConfig, RateConfig, TlsConfig};
pub use limits::{GraphqlConfig, IngestConfig, ProjectionConfig, ReactorConfig};
pub use listen::Listen;
pub use otlp::{AlertsConfig, OtlpConfig};
pub use retention::RetentionConfig;
pub use search::{Embedding, SearchConfig};
pub use source::{Flags, load};
pub use storage::StorageConfig;
pub use telemetry::{LogFormat, TelemetryConfig};

/// The whole configuration, one section a concern. Every field has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[http]`: where the server listens.
    pub http: HttpConfig,
    /// `[tls]`: an encrypted line.
    pub tls: TlsConfig,
    /// `[auth]`: who may use the server.
    pub auth: AuthConfig,
    /// `[rate]`: how often one caller may ask.
    pub rate: RateConfig,
    /// `[storage]`: where the log and the graph are kept.
    pub storage: StorageConfig,
    /// `[retention]`: how long the measurements of telemetry are kept.
    pub retention: RetentionConfig,
    /// `[ingest]`: what one request may bring.
    pub ingest: IngestConfig,
    /// `[otlp]`: telemetry by OpenTelemetry's protocol.
    pub otlp: OtlpConfig,
    /// `[alerts]`: what alerts and chaos tools speak of.
    pub alerts: AlertsConfig,
    /// `[search]`: what full-text search knows beside words.
    pub search: SearchConfig,
    /// `[graphql]`: what one query may ask.
    pub graphql: GraphqlConfig,
    /// `[projection]`: how far the graph may lag behind the log.
    pub projection: ProjectionConfig,
    /// `[reactors]`: what the server decides by itself.
    pub reactors: ReactorConfig,
    /// `[telemetry]`: what the server says of itself.
    pub telemetry: TelemetryConfig,
}

/// `[http]`: where the server listens, and its patience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 lets the system choose. Default `127.0.0.1:7700`.
    pub listen: SocketAddr,
    /// A request that takes longer is answered 503 `timeout`. Default 30,000 ms.
    pub request_timeout_ms: u64,
    /// A connection that has not sent the whole head of a request by then is closed. Default
    /// 10,000 ms.
    pub header_timeout_ms: u64,
    /// Most connections at once; more wait until one ends. Default 10,000.
    pub max_connections: usize,
    /// How long open requests may still take once the server is told to stop. Default 10,000 ms.
    pub drain_timeout_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            request_timeout_ms: 30_000,
            header_timeout_ms: 10_000,
            max_connections: 10_000,
            drain_timeout_ms: 10_000,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source could not be read, or holds an unknown field or a value of another type.
    #[error("configuration: {0}")]
    Read(Box<figment::Error>),
    /// The named file is not there; figment would take it for an empty one.
    #[error("configuration file {path:?}: {reason}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A variable of the environment that looks like a setting and is none.
    #[error("{got} sets nothing: section and field are joined by two underscores, {expected}")]
    Variable {
        /// Its name.
        got: String,
        /// What was probably meant.
        expected: String,
    },
    /// A value outside of what the field accepts, or fields that contradict each other.
    #[error("{field}: expected {expected}, got {got}")]
    Invalid {
        /// Section and field, such as `http.listen`.
        field: &'static str,
        /// What would be right.
        expected: String,
        /// What was given.
        got: String,
    },
}

impl Config {
    /// Holds the fields against their ranges and against each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        at_least_one("http.request_timeout_ms", self.http.request_timeout_ms)?;
        at_least_one("http.header_timeout_ms", self.http.header_timeout_ms)?;
        at_least_one("http.max_connections", self.http.max_connections as u64)?;
        self.tls.check()?;
        for address in self.listens() {
            self.auth.check(address)?;
        }
        self.rate.check()?;
        self.storage.check()?;
        self.retention.check(&self.storage)?;
        self.ingest.check()?;
        self.otlp.check()?;
        self.search.check()?;
        self.graphql.check()?;
        self.projection.check()?;
        self.reactors.check()?;
        self.telemetry.check()
    }

    /// Every address to listen on, that of the API first.
    pub(crate) fn listens(&self) -> impl Iterator<Item = SocketAddr> {
        let otlp = [self.otlp.http_listen, self.otlp.grpc_listen];
        std::iter::once(self.http.listen).chain(otlp.into_iter().filter_map(Listen::address))
    }

    /// Whether requests need a token: where one address asks for it, all do.
    pub(crate) fn auth_required(&self) -> bool {
        self.listens().any(|address| self.auth.required_on(address))
    }

    /// The configuration as TOML, credentials in URLs replaced by `redacted`.
    pub fn to_printable(&self) -> Result<String, toml::ser::Error> {
        let mut shown = self.clone();
        shown.storage.graph = storage::redacted(&shown.storage.graph);
        shown.storage.log = shown.storage.shown_log();
        shown.storage.log_password = shown.storage.log_password.map(|_| "redacted".to_owned());
        shown.telemetry.otlp_endpoint =
            shown.telemetry.otlp_endpoint.as_deref().map(storage::redacted);
        printed::printed(&shown)
    }
}

fn invalid(field: &'static str, expected: impl Into<String>, got: impl ToString) -> ConfigError {
    ConfigError::Invalid { field, expected: expected.into(), got: got.to_string() }
}

fn at_least_one(field: &'static str, value: u64) -> Result<(), ConfigError> {
    if value == 0 { Err(invalid(field, "1 or more", 0)) } else { Ok(()) }
}
