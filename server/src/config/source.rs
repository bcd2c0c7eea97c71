//! The sources of the configuration and their order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};

use super::telemetry::LogFormat;
use super::{Config, ConfigError};

/// Variables that begin so configure the server: `FAULTLINE_HTTP__LISTEN` is `http.listen`.
const ENV_PREFIX: &str = "FAULTLINE_";

/// The settings that have a flag; the others are set in the file or the environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "FAULTLINE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of the event log and the graph [default: faultline-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Event log: embedded:// or the URL of a KurrentDB, such as kurrentdb://USER@HOST:2113; its
    /// password is better given as FAULTLINE_STORAGE__LOG_PASSWORD [default: embedded://]
    #[arg(long, value_name = "URL")]
    pub log: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Graph store: surrealkv://, surrealkv://PATH, mem://, ws://… [default: surrealkv://]
    #[arg(long, value_name = "URL")]
    pub graph: Option<String>,
    /// Ask nobody for a token, even on an address that other machines reach
    #[arg(long)]
    pub allow_anonymous: bool,
    /// Form of the log lines [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which log lines, such as "info,schema=debug" [default: info, of the stores below warn]
    #[arg(long, value_name = "DIRECTIVES")]
    pub log_filter: Option<String>,
}

/// Reads defaults, file, environment and flags, the later over the earlier, and checks the whole.
pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
    refuse_misspelt_variables()?;
    // Only names with a section are settings: an orchestrator puts its own FAULTLINE_PORT and
    // the like into the environment of a service called faultline.
    let env = Env::prefixed(ENV_PREFIX).filter(|key| key.as_str().contains("__")).split("__");
    let mut sources = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = &flags.config {
        sources = sources.merge(Toml::string(&read(path)?));
    }
    let sources = over(sources.merge(env), flags);
    let config: Config = sources.extract().map_err(|error| ConfigError::Read(Box::new(error)))?;
    config.check()?;
    Ok(config)
}

/// `FAULTLINE_HTTP_LISTEN` would be passed over as a variable of someone else, and the setting
/// that was meant be lost silently.
fn refuse_misspelt_variables() -> Result<(), ConfigError> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let sections = defaults.as_object().into_iter().flatten();
    let settings: Vec<(String, String)> = sections
        .flat_map(|(section, fields)| {
            let fields = fields.as_object().into_iter().flatten();
            fields.map(move |(field, _)| {
                let upper = |joint: &str| format!("{section}{joint}{field}").to_uppercase();
                (upper("_"), upper("__"))
            })
        })
        .collect();
    let names = Env::prefixed(ENV_PREFIX).lowercase(false);
    for (name, _) in names.iter() {
        let name = name.as_str().to_uppercase();
        if let Some((_, meant)) = settings.iter().find(|(flat, _)| *flat == name) {
            return Err(ConfigError::Variable {
                got: format!("{ENV_PREFIX}{name}"),
                expected: format!("{ENV_PREFIX}{meant}"),
            });
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|reason| ConfigError::File { path: path.to_owned(), reason })
}

fn over(mut sources: Figment, flags: &Flags) -> Figment {
    fn set<T: serde::Serialize>(sources: Figment, key: &str, value: Option<&T>) -> Figment {
        match value {
            Some(value) => sources.merge(Serialized::default(key, value)),
            None => sources,
        }
    }
    sources = set(sources, "storage.data", flags.data.as_ref());
    sources = set(sources, "storage.log", flags.log.as_ref());
    sources = set(sources, "http.listen", flags.listen.as_ref());
    sources = set(sources, "storage.graph", flags.graph.as_ref());
    sources = set(sources, "auth.allow_anonymous", flags.allow_anonymous.then_some(&true));
    sources = set(sources, "telemetry.log_format", flags.log_format.as_ref());
    set(sources, "telemetry.log_filter", flags.log_filter.as_ref())
}
