//! `journal import`: runs of other tools, and runs that were not told as they happened.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::host::DRAIN;
use super::server::ServerArgs;
use crate::import::{self, Imported, InvalidJournal};
use crate::progress::{Form, Progress};

/// Longest accepted journal.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What to do with journals.
#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Sends the runs that journals of Chaos Toolkit tell of; twice is once.
    Import(ImportArgs),
}

/// Arguments of `journal`.
#[derive(Args, Debug)]
pub(super) struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

impl JournalArgs {
    pub(super) fn json(&self) -> bool {
        let JournalCommand::Import(args) = &self.command;
        args.json
    }
}

/// Arguments of `journal import`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// Journals (JSON), of Chaos Toolkit or of this program.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// Writes one JSON object a journal.
    #[arg(long)]
    json: bool,
}

/// A file that is no journal.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub(super) struct NoJournal {
    path: PathBuf,
    #[source]
    source: InvalidJournal,
}

/// Reads every journal before it sends the first.
pub(super) async fn run(args: JournalArgs, progress: Progress) -> anyhow::Result<Exit> {
    let JournalCommand::Import(args) = args.command;
    let mut journals = Vec::new();
    for path in args.files {
        let unread = || format!("could not read {}", path.display());
        let bytes = std::fs::metadata(&path).with_context(unread)?.len();
        anyhow::ensure!(
            bytes <= MAX_BYTES,
            "{} has {bytes} bytes, expected at most {MAX_BYTES}",
            path.display()
        );
        let text = std::fs::read_to_string(&path).with_context(unread)?;
        let read =
            import::journal(&text).map_err(|source| NoJournal { path: path.clone(), source })?;
        journals.push((path, read));
    }
    let submitter = args.server.submitter()?;
    for (path, imported) in &journals {
        let sent = imported.events.iter().all(|event| {
            submitter.as_ref().is_none_or(|submitter| submitter.offer(event.clone()).is_ok())
        });
        anyhow::ensure!(sent, "too many journals at once; import fewer");
        progress.say(&match progress.form() {
            Form::Json => as_json(path, imported).to_string(),
            Form::Lines => as_line(path, imported),
        })?;
    }
    let Some(submitter) = submitter else {
        if progress.form() == Form::Lines {
            progress.say("nothing was sent: --server URL says where to")?;
        }
        return Ok(Exit::Held);
    };
    match submitter.drain(DRAIN).await.shortfall() {
        Some(shortfall) => {
            tracing::error!("{shortfall}");
            Ok(Exit::NotSubmitted)
        }
        None => Ok(Exit::Held),
    }
}

fn as_json(path: &std::path::Path, imported: &Imported) -> serde_json::Value {
    let faults: Vec<_> = imported
        .faults
        .iter()
        .map(|fault| json!({"kind": fault.kind, "component": fault.component}))
        .collect();
    json!({
        "file": path,
        "experiment": imported.experiment,
        "title": imported.title,
        "outcome": imported.outcome,
        "resilience": imported.resilience,
        "faults": faults,
        "other_actions": imported.other_actions,
        "events": imported.events.len(),
    })
}

fn as_line(path: &std::path::Path, imported: &Imported) -> String {
    let outcome = serde_json::to_value(imported.outcome).unwrap_or_default();
    let faults: Vec<_> = imported
        .faults
        .iter()
        .map(|fault| format!("{} on {}", fault.kind, fault.component))
        .collect();
    let faults =
        if faults.is_empty() { "no fault recognised".to_owned() } else { faults.join(", ") };
    let others = match imported.other_actions.as_slice() {
        [] => String::new(),
        names => format!("; taken for no fault: {}", names.join(", ")),
    };
    format!(
        "{}: {}, {}; {faults}{others}",
        path.display(),
        imported.experiment,
        outcome.as_str().unwrap_or_default()
    )
}
