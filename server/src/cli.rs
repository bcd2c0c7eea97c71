//! The command line.

pub mod token;

use clap::{Parser, Subcommand};

use crate::config::Flags;
use crate::demo;
use crate::operations::{
    backup, eval, export, import, rebuild, replay, report, retain, seed, verify,
};

/// Faultline: an event-sourced incident knowledge base
#[derive(Debug, Parser)]
#[command(name = "faultline", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGINT or SIGTERM
    Serve(ServeArgs),
    /// Break a demo shop, watch it being diagnosed, learn from it
    Demo(demo::DemoArgs),
    /// Make, list and take back tokens
    Token(token::TokenArgs),
    /// Make the graph again from the log, beside the one in use
    Rebuild(rebuild::RebuildArgs),
    /// Take the measurements out of old telemetry, by the limits that are configured
    Retain(retain::RetainArgs),
    /// Check that the log is what was acknowledged, and the graph what the log says
    Verify(verify::VerifyArgs),
    /// Write the log as NDJSON, a CloudEvent a line
    Export(export::ExportArgs),
    /// Make a log of what `export` wrote, or record a public data set
    Import(import::ImportArgs),
    /// Copy a base, which may be in use, to a folder; later only what is new
    Backup(backup::BackupArgs),
    /// Make a base of a backup
    Restore(backup::RestoreArgs),
    /// Load recorded incidents into a base
    Seed(seed::SeedArgs),
    /// Ask past diagnoses again under another method, each as of its own moment
    Replay(replay::ReplayArgs),
    /// Tell how soon incidents were noticed, and how often their diagnoses were right
    Report(report::ReportArgs),
    /// Ask the incidents of a public data set as if they were live
    Eval(eval::EvalArgs),
    /// Print the JSON Schema of every event type
    Schemas,
    /// Print the GraphQL schema
    Sdl,
}

/// Settings come from flags, over the environment (`FAULTLINE_HTTP__LISTEN` is `http.listen`),
/// over the file, over the defaults.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Settings with a flag.
    #[command(flatten)]
    pub settings: Flags,
    /// Print the effective configuration as TOML, secrets redacted, and exit
    #[arg(long)]
    pub print_config: bool,
}
