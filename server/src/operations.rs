//! What an operator does with a base as a whole: rebuild its graph, verify it, take it out and
//! put it in, back it up and restore it.
//!
//! The commands work on a data folder that no server holds; `export`, `rebuild`, `report` and `retain`
//! also ask a running server. Each exits with 0 when all is well, 1 when the base is not as it should
//! be or the work was refused, 2 when the command line was wrong.

pub mod backup;
mod client;
pub mod eval;
pub mod export;
pub mod import;
mod lines;
mod meter;
pub mod rebuild;
pub mod replay;
pub mod report;
pub mod retain;
pub mod seed;
pub mod verify;

use std::sync::Arc;

use events::log::{EmbeddedLog, EventLog, OpenError};

use crate::config::{self, Config, Flags};
use crate::log::{self, LogError};

pub use client::ServerArgs;

/// The base on this machine that a command works on.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BaseArgs {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "FAULTLINE_CONFIG")]
    config: Option<std::path::PathBuf>,
    /// Folder of the event log and the graph [default: faultline-data]
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
    /// Event log, as `serve` takes it
    #[arg(long, value_name = "URL")]
    log: Option<String>,
    /// Graph store, as `serve` takes it with --graph
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl BaseArgs {
    fn config(&self) -> anyhow::Result<Config> {
        let Self { config, data, log, store: graph } = self.clone();
        let flags = Flags { config, data, log, graph, ..Flags::default() };
        Ok(config::load(&flags)?)
    }
}

/// Opens the log in the data folder. What only reads must not begin an empty log where there is
/// none.
pub(crate) async fn open_log(config: &Config, must_exist: bool) -> anyhow::Result<EmbeddedLog> {
    embedded_only(config)?;
    if must_exist && !config.storage.log_dir().join("segments").is_dir() {
        anyhow::bail!("{} holds no event log", config.storage.data.display());
    }
    match log::open_embedded(&config.storage).await {
        Err(LogError::Embedded { source: OpenError::Locked { folder }, .. }) => anyhow::bail!(
            "the log in {folder} is held by a running server: stop it, or name it with --server \
             where the command takes that"
        ),
        opened => Ok(opened?),
    }
}

/// Refuses a log whose history is not in files of the data folder.
fn embedded_only(config: &Config) -> anyhow::Result<()> {
    if !config.storage.log_is_embedded() {
        anyhow::bail!(
            "this works on the embedded log only: the log is {}, which cannot take over positions \
             and times, and whose files its own server keeps",
            config.storage.shown_log()
        );
    }
    Ok(())
}

/// Opens the log that is configured, for what any log can do.
pub(crate) async fn open_any_log(
    config: &Config,
    must_exist: bool,
) -> anyhow::Result<Arc<dyn EventLog>> {
    if config.storage.log_is_embedded() {
        return Ok(Arc::new(open_log(config, must_exist).await?));
    }
    Ok(log::open(&config.storage).await?)
}

/// A line for whoever gave the command.
fn tell(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        told => Ok(told?),
    }
}
