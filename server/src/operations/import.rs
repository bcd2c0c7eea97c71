//! `faultline import`: an export becomes a log again.
//!
//! Into an empty log, or one that holds a beginning of the same export, every event comes to
//! stand where it stood, recorded when it was recorded: whatever is asked as of a position or a
//! time is answered as before. Into another log it is only added when that is asked for, and is
//! recorded anew. Either way the reactors decide nothing about it: what they decided stands in
//! the export.
//!
//! `faultline import petshop|nezha|tvdiag DIR` records the incidents of a public data set, for the
//! reactors to diagnose as any others.

mod data_set;

use std::path::{Path, PathBuf};
use std::time::Duration;

use events::envelope::{InvalidEvent, PRUNED_HASH};
use events::log::{AppendError, EmbeddedLog, EventLog, ExpectedRevision, Restore, RestoreError};
use events::{Event, RecordedEvent, Timestamp};
use futures::future::join_all;
use serde_json::Value;

use super::eval::Format;
use super::lines::{Line, LineError, Lines, Place};
use super::meter::Meter;
use super::{BaseArgs, open_log};
use crate::reactors::ReactorCheckpoint;

/// Events that are offered to the log at once when they are recorded anew: its queue takes more.
const OFFERED: usize = 500;
/// How long the log is left alone when its queue is full.
const RETRY: Duration = Duration::from_millis(20);

/// What to import.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// NDJSON files that `faultline export` wrote, in their order; or petshop, nezha or tvdiag
    /// and the folder of that data set
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Record the events anew behind what the log has; those that it has already are passed over
    #[arg(long)]
    append: bool,
}

/// How events come into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With the places and times that they had.
    Restore,
    /// At new places, recorded now.
    Append,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Lines that are events.
    pub(crate) read: u64,
    /// Events that the log did not have.
    pub(crate) new: u64,
}

/// Why a file was not imported to its end. What stands in whole batches before it is in the log,
/// and the command can be given again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error(transparent)]
    Lines(#[from] LineError),
    /// A line is no JSON.
    #[error("{place}: not_json: {source}")]
    Json {
        /// Where.
        place: Place,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is no event.
    #[error("{place}: {} at {:?}: {}", .error.code, .error.pointer, .error.message)]
    Invalid {
        /// Where.
        place: Place,
        /// Why.
        error: InvalidEvent,
    },
    /// The log does not take the history.
    #[error("{place}: not_restored: {source}{}", advice(.source))]
    Restore {
        /// The line, or the first of its batch.
        place: Place,
        /// Why.
        source: RestoreError,
    },
    /// What is recorded later would carry this time too.
    #[error(
        "{place}: from_the_future at \"/recordedtime\": expected a time before {now}, got {got}"
    )]
    Future {
        /// Where.
        place: Place,
        /// The clock of this machine.
        now: Timestamp,
        /// When the event says it was recorded.
        got: Timestamp,
    },
    /// The log does not take an event.
    #[error("{place}: not_appended: {source}")]
    Append {
        /// Where.
        place: Place,
        /// Why.
        source: AppendError,
    },
}

/// What to do about an export that the log does not take.
fn advice(error: &RestoreError) -> &'static str {
    match error {
        RestoreError::Diverges { .. } | RestoreError::KnownId { .. } => {
            "; --append records the events anew instead"
        }
        RestoreError::Append(_) | RestoreError::Read(_) => "",
        _ => "; the export is damaged, or lines of it are missing",
    }
}

/// Imports files into the base on this machine.
pub async fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let config = args.base.config()?;
    if let [name, folder] = &args.files[..]
        && let Some(format) = Format::named(name)
        && folder.is_dir()
    {
        let log = open_log(&config, false).await?;
        return data_set::import(&log, format, folder).await;
    }
    let log = open_log(&config, false).await?;
    let mode = if args.append { Mode::Append } else { Mode::Restore };
    let before = log.head();
    let imported = import(&log, &config.storage.data, &args.files, mode).await?;
    let told = match mode {
        Mode::Restore => "restored",
        Mode::Append => "recorded anew",
    };
    crate::operations::tell(&format!(
        "{} events read, {} {told}; the log went from position {before} to {}",
        imported.read,
        imported.new,
        log.head()
    ))
}

/// Imports `files`, in their order, into the log of the base in `data`.
pub(crate) async fn import(
    log: &EmbeddedLog,
    data: &Path,
    files: &[PathBuf],
    mode: Mode,
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut checkpoint = ReactorCheckpoint::read(data, log.head());
    let mut meter = Meter::new("importing");
    let total: u64 = files.iter().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum();
    let mut bytes = 0;
    for file in files {
        let mut lines = Lines::open(file)?;
        loop {
            let batch = lines.batch()?;
            if batch.is_empty() {
                break;
            }
            bytes += batch.iter().map(|line| line.text.len() as u64).sum::<u64>();
            let head = log.head();
            // Told before it is written: a server that starts on half an import must not decide
            // about it either.
            checkpoint.pass_over(head + 1, head + batch.len() as u64);
            imported.read += batch.len() as u64;
            let new = match mode {
                Mode::Restore => restore(log, batch).await,
                Mode::Append => append(log, batch).await,
            };
            checkpoint.pass_over_only_to(log.head());
            imported.new += new?;
            meter.at(bytes, total.max(bytes));
        }
    }
    meter.end();
    Ok(imported)
}

/// Every line of a batch is read before the first event of it is written.
fn read<T>(
    batch: &[Line],
    event: impl Fn(Value) -> Result<T, InvalidEvent>,
) -> Result<Vec<T>, ImportError> {
    let read = |line: &Line| {
        let place = || line.place.clone();
        let document = serde_json::from_str(&line.text)
            .map_err(|source| ImportError::Json { place: place(), source })?;
        event(document).map_err(|error| ImportError::Invalid { place: place(), error })
    };
    batch.iter().map(read).collect()
}

async fn restore(log: &EmbeddedLog, batch: Vec<Line>) -> Result<u64, ImportError> {
    let events = read(&batch, RecordedEvent::from_cloud_event)?;
    let now = Timestamp::now();
    if let Some(index) = events.iter().position(|event| event.recorded_at > now) {
        let (place, got) = (batch[index].place.clone(), events[index].recorded_at);
        return Err(ImportError::Future { place, now, got });
    }
    loop {
        match log.restore(events.clone()).await {
            Ok(new) => return Ok(new as u64),
            Err(RestoreError::Append(AppendError::Overloaded)) => tokio::time::sleep(RETRY).await,
            Err(source) => {
                let refused = source.position();
                let line = events.iter().position(|event| Some(event.position) == refused);
                let place = batch[line.unwrap_or(0)].place.clone();
                return Err(ImportError::Restore { place, source });
            }
        }
    }
}

/// Each event on its own, in order: one that is known answers where it is. What was pruned is
/// passed over: recorded anew it would say that nothing was measured.
async fn append(log: &EmbeddedLog, batch: Vec<Line>) -> Result<u64, ImportError> {
    let now = Timestamp::now();
    let events = read(&batch, |document| match document.get(PRUNED_HASH) {
        Some(_) => Ok(None),
        None => Event::from_cloud_event(document, now).map(Some),
    })?;
    let events =
        batch.into_iter().zip(events).filter_map(|(line, event)| Some((line.place, event?)));
    let appended = append_all(log, events.collect()).await;
    appended.map_err(|(place, source)| ImportError::Append { place, source })
}

/// Appends each event on its own, in order, as fast as the log takes them; answers how many were
/// new. An error comes with the mark of the event that was refused.
pub(crate) async fn append_all<M>(
    log: &EmbeddedLog,
    mut rest: Vec<(M, Event)>,
) -> Result<u64, (M, AppendError)> {
    let (before, mut new) = (log.head(), 0);
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(OFFERED));
        let answers = join_all(rest.iter().map(|(_, event)| {
            let stream = event.data.stream();
            log.append(stream, ExpectedRevision::Any, vec![event.clone()])
        }))
        .await;
        let mut again = Vec::new();
        for ((mark, event), answer) in rest.into_iter().zip(answers) {
            match answer {
                Ok(appended) => {
                    new += appended.iter().filter(|at| at.position > before).count() as u64
                }
                Err(AppendError::Overloaded | AppendError::Unavailable(_)) => {
                    again.push((mark, event));
                }
                Err(source) => return Err((mark, source)),
            }
        }
        if !again.is_empty() {
            tokio::time::sleep(RETRY).await;
        }
        again.extend(later);
        rest = again;
    }
    Ok(new)
}
