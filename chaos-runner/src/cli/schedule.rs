//! `schedule`: experiments at times.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use events::Timestamp;
use serde_json::json;

use super::exit::Exit;
use super::journals::Journals;
use super::session::Session;
use super::signals::Interrupts;
use super::{TargetArgs, select};
use crate::experiment::Experiment;
use crate::progress::{Form, Progress};
use crate::schedule::memory::Memory;
use crate::schedule::{self, Due, Schedule, Schedules};

/// Longest sleep at a time: the clock of the wall may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Arguments of `schedule`.
#[derive(Args, Debug)]
pub(super) struct ScheduleArgs {
    /// Schedule file (YAML or JSON).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Only shows what is due next.
    #[arg(long)]
    dry_run: bool,
    /// How much of it.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    next: usize,
    /// Folder for the journals, one a run.
    #[arg(long, value_name = "FOLDER", default_value_os_t = Journals::default_folder())]
    journals: PathBuf,
}

/// A schedule and its experiments, read.
struct Entry {
    schedule: Schedule,
    experiments: Vec<Arc<Experiment>>,
}

/// Runs what is due, when it is, until a signal comes.
pub(super) async fn run(args: ScheduleArgs, progress: Progress) -> anyhow::Result<Exit> {
    let name = args.file.display().to_string();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("could not read {name}"))?;
    let Schedules { schedules } = schedule::read(&name, &text)?;
    let mut entries = Vec::new();
    for schedule in schedules {
        // Paths are relative to the schedule: it is run by services that start anywhere.
        let beside = args.file.parent().unwrap_or(std::path::Path::new("."));
        let experiments = schedule.experiments.iter().map(|experiment| {
            let path = beside.join(experiment);
            let found = path.exists().then(|| path.display().to_string());
            select::experiment(found.as_deref().unwrap_or(experiment))
        });
        let experiments = experiments.collect::<Result<_, _>>()?;
        entries.push(Entry { schedule, experiments });
    }
    let state = args.target.server.folder.open()?;
    let whole = std::fs::canonicalize(&args.file).unwrap_or_else(|_| args.file.clone());
    let mut memory = Memory::open(&state, &whole.display().to_string())?;
    if args.dry_run {
        return show_next(&entries, &memory, args.next, &progress);
    }
    args.target.server.destination()?;
    let interrupts = Interrupts::listen(|name| {
        tracing::warn!("{name} again: still undoing, which is not skipped");
    })?;
    let journals = Journals::Folder(args.journals);
    let mut progress = progress;
    let mut after = Timestamp::now();
    loop {
        let Some((index, due)) = first(&entries, &memory, after) else {
            progress.say("nothing is due any more")?;
            return Ok(Exit::Held);
        };
        let entry = &entries[index];
        told(&progress, "due", &entry.schedule, due)?;
        if !sleep_until(due.begin, &interrupts).await {
            break;
        }
        memory.begin(&entry.schedule, due)?;
        progress = run_entry(entry, &args.target, &journals, progress, &interrupts).await?;
        if interrupts.received().is_some() {
            break;
        }
        // What came due meanwhile is skipped: experiments never overlap, nor do they pile up.
        for entry in &entries {
            let mut missed = memory.next(&entry.schedule, due.begin);
            while let Some(due) = missed.filter(|due| due.begin <= Timestamp::now()) {
                told(&progress, "skipped", &entry.schedule, due)?;
                missed = entry.schedule.next(due.begin);
            }
        }
        after = Timestamp::now();
    }
    Ok(interrupts.received().map_or(Exit::Held, |received| Exit::Interrupted(received.number)))
}

/// The schedule that begins first; of several, the first of the file.
fn first(entries: &[Entry], memory: &Memory, after: Timestamp) -> Option<(usize, Due)> {
    let dues = entries.iter().enumerate();
    let dues = dues.filter_map(|(index, it)| Some((index, memory.next(&it.schedule, after)?)));
    dues.min_by_key(|(index, due)| (due.begin, *index))
}

/// One round of a schedule. That it went wrong ends neither this schedule nor the others.
async fn run_entry(
    entry: &Entry,
    target: &TargetArgs,
    journals: &Journals,
    progress: Progress,
    interrupts: &Interrupts,
) -> anyhow::Result<Progress> {
    let form = progress.form();
    let round = async {
        let mut session = match Session::open(target, progress, interrupts.clone()).await? {
            Ok(session) => session,
            Err((_, progress)) => return Ok::<_, anyhow::Error>(progress),
        };
        let mut finished = Vec::new();
        let parallel = target.parallel.get();
        let ran = session.run(&entry.experiments, parallel, journals, &mut finished).await;
        let (_, progress) = session.close().await?;
        ran?;
        Ok(progress)
    };
    match round.await {
        Ok(progress) => Ok(progress),
        Err(error) => {
            tracing::error!(schedule = entry.schedule.name.as_str(), error = format!("{error:#}"));
            Ok(Progress::new(form))
        }
    }
}

/// Whether the time came before a signal.
async fn sleep_until(begin: Timestamp, interrupts: &Interrupts) -> bool {
    loop {
        let left = begin.duration_since(Timestamp::now());
        let Ok(left) = Duration::try_from(left) else { return interrupts.received().is_none() };
        if left.is_zero() {
            return interrupts.received().is_none();
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
            _ = interrupts.wait() => return false,
        }
    }
}

fn show_next(
    entries: &[Entry],
    memory: &Memory,
    count: usize,
    progress: &Progress,
) -> anyhow::Result<Exit> {
    let now = Timestamp::now();
    let mut dues = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut due = memory.next(&entry.schedule, now);
        for _ in 0..count {
            let Some(one) = due else { break };
            dues.push((one.begin, index, one));
            due = entry.schedule.next(one.begin);
        }
    }
    dues.sort_by_key(|(begin, index, _)| (*begin, *index));
    for (_, index, due) in dues.into_iter().take(count) {
        told(progress, "due", &entries[index].schedule, due)?;
    }
    Ok(Exit::Held)
}

fn told(progress: &Progress, what: &str, schedule: &Schedule, due: Due) -> std::io::Result<()> {
    let experiments = &schedule.experiments;
    progress.say(&match progress.form() {
        Form::Json => json!({
            "event": what, "schedule": schedule.name, "at": due.at, "begin": due.begin,
            "experiments": experiments,
        })
        .to_string(),
        Form::Lines => {
            let begin = due.begin.to_zoned(schedule.zone.clone());
            let begin = begin.strftime("%a %F %T %Z");
            format!("{what:<8} {begin}  {}: {}", schedule.name, experiments.join(", "))
        }
    })
}
