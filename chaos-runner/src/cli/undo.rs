//! `undo`: what runners that were killed left behind.

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::server::ServerArgs;
use crate::progress::{Form, Progress};
use crate::run::{FaultBook, Recovered, recover};
use crate::state::StateFolder;
use crate::submit::Spool;

/// Arguments of `undo`.
#[derive(Args, Debug)]
pub(super) struct UndoArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Writes one JSON object a fault.
    #[arg(long)]
    pub(super) json: bool,
}

/// Undoes the faults of dead runners and says what became of each.
pub(super) async fn run(args: UndoArgs, progress: Progress) -> anyhow::Result<Exit> {
    let state = args.server.folder.open()?;
    let recovered = recover_all(&state, &args.server).await?;
    // Afterwards: it sends what the recovery kept.
    let submitter = args.server.submitter()?;
    for one in &recovered {
        progress.say(&told(one, progress.form()))?;
    }
    if recovered.is_empty() && progress.form() == Form::Lines {
        progress.say("no fault of a dead runner is left")?;
    }
    let mut exit = Exit::Held;
    if recovered.iter().any(|one| one.may_act) {
        exit = Exit::Failed;
    }
    if let Some(submitter) = submitter
        && let Some(shortfall) = submitter.drain(super::host::DRAIN).await.shortfall()
    {
        tracing::warn!("{shortfall}");
        exit = exit.max(Exit::NotSubmitted);
    }
    Ok(exit)
}

/// Undoes the faults of dead runners. What is to be told is kept for the server of each one's
/// run, on disk: a fault is forgotten only when it cannot get lost. A submitter that is started
/// afterwards sends it.
pub(super) async fn recover_all(
    state: &StateFolder,
    args: &ServerArgs,
) -> anyhow::Result<Vec<Recovered>> {
    let own = args.destination()?.map(|it| it.url().to_owned());
    let book = FaultBook::open(state, own.as_deref())?;
    let recovered = recover(&book, |one| {
        // A run that told nobody is told to the server of this one, if any.
        let Some(server) = one.server.as_ref().or(own.as_ref()) else { return true };
        match keep_for(state, server, args.spool_bytes, one) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = crate::run::describe(&error), "not told");
                false
            }
        }
    });
    Ok(recovered.await?)
}

fn keep_for(
    state: &StateFolder,
    server: &str,
    bytes: u64,
    recovered: &Recovered,
) -> Result<(), crate::submit::SpoolError> {
    Spool::open(state, server, bytes)?.keep(&recovered.events)
}

/// What became of a fault, as a line.
pub(super) fn told(recovered: &Recovered, form: Form) -> String {
    let Recovered { fault, words, may_act, .. } = recovered;
    match form {
        Form::Json => {
            let fields = json!({
                "event": "recovered", "fault": fault, "action": words, "may_act": may_act,
            });
            fields.to_string()
        }
        Form::Lines => format!("left behind {fault}: {words}"),
    }
}
