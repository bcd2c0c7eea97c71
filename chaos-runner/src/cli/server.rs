//! The server and the state folder, as the command line names them.

use std::path::PathBuf;

use clap::Args;

use crate::state::{StateError, StateFolder};
use crate::submit::{Destination, InvalidServer, MAX_SPOOL_BYTES, Spool, Submitter, Token};

/// Where events go, and what outlives the program.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Faultline server that gets every event; without it nothing is sent.
    ///
    /// What it does not take now is kept on disk and sent with the next contact.
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    #[command(flatten)]
    pub(super) folder: StateArgs,
    /// Bytes that undelivered events of a server may take on disk.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_SPOOL_BYTES, hide_short_help = true)]
    pub(super) spool_bytes: u64,
}

/// How the server and this program know each other.
#[derive(Args, Clone, Debug)]
pub(super) struct TrustArgs {
    /// Token for the server. In FAULTLINE_TOKEN no list of processes shows it.
    #[arg(long, value_name = "TOKEN", env = "FAULTLINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Certificates (PEM) to trust an https server by, instead of those of the system.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Where state is kept.
#[derive(Args, Clone, Debug)]
pub(super) struct StateArgs {
    /// Folder for events on their way, faults that act, and schedules
    /// [default: chaos-runner in XDG_STATE_HOME, else in ~/.local/state].
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

impl StateArgs {
    pub(super) fn open(&self) -> Result<StateFolder, StateError> {
        StateFolder::open(self.state.as_deref(), &super::environment)
    }
}

impl TrustArgs {
    pub(super) fn destination(&self, server: &str) -> Result<Destination, InvalidServer> {
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(Token::new).transpose()?;
        Destination::new(server, token, self.ca_file.as_deref())
    }
}

impl ServerArgs {
    /// The way to the server, checked; `None` without one.
    pub(super) fn destination(&self) -> Result<Option<Destination>, InvalidServer> {
        self.server.as_deref().map(|server| self.trust.destination(server)).transpose()
    }

    /// Begins to send. `None` without a server.
    pub(super) fn submitter(&self) -> anyhow::Result<Option<Submitter>> {
        let Some(destination) = self.destination()? else { return Ok(None) };
        let spool = Spool::open(&self.folder.open()?, destination.url(), self.spool_bytes)?;
        Ok(Some(Submitter::start(&destination, spool)?))
    }
}
