//! What an operator does with a base as a whole: rebuild its graph, verify it, take it out and
//! put it in.
//!
//! The commands work on a data folder that no server holds; `export` and `rebuild` also ask a
//! running server. Each exits with 0 when all is well, 1 when the base is not as it should be or
//! the work was refused, 2 when the command line was wrong.

mod client;
pub mod export;
pub mod import;
mod lines;
mod meter;
pub mod rebuild;
pub mod seed;
pub mod verify;

use anyhow::Context;
use events::log::{EmbeddedLog, OpenError, Options};

use crate::config::{self, Config, Flags};

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
    /// Graph store, as `serve` takes it with --graph
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl BaseArgs {
    fn config(&self) -> anyhow::Result<Config> {
        let Self { config, data, store: graph } = self.clone();
        let flags = Flags { config, data, graph, ..Flags::default() };
        Ok(config::load(&flags)?)
    }
}

/// Opens the log of a base. What only reads must not begin an empty log where there is none.
pub(crate) async fn open_log(config: &Config, must_exist: bool) -> anyhow::Result<EmbeddedLog> {
    let dir = config.storage.log_dir();
    if must_exist && !dir.join("segments").is_dir() {
        anyhow::bail!("{} holds no event log", config.storage.data.display());
    }
    let folder = dir.clone();
    let opened =
        tokio::task::spawn_blocking(move || EmbeddedLog::open(&folder, Options::default())).await;
    match opened.context("opening the event log")? {
        Err(OpenError::Locked { folder }) => anyhow::bail!(
            "the log in {folder} is held by a running server: stop it, or name it with --server \
             where the command takes that"
        ),
        opened => opened.with_context(|| format!("opening the event log in {}", dir.display())),
    }
}

/// A line for whoever gave the command.
fn tell(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        told => Ok(told?),
    }
}
