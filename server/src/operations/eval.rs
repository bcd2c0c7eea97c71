//! `faultline eval`: the incidents of public data sets, asked as if they were live.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use datasets::case::DataSet;
use datasets::remembered::{self, Known};
use datasets::{nezha, petshop, recording, tvdiag};
use diagnosis::evidence::Evidence;
use diagnosis::rank::{self, Ranker};
use serde_json::Value;

use super::meter::Meter;
use super::tell;
use crate::evaluation::{self, Teaching, classes, detection, report, similar};

/// What to evaluate.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// How often the component at fault comes first
    Rca {
        #[command(flatten)]
        cases: CaseArgs,
        /// A method that does not learn [default: the newest, which does]
        #[arg(long, value_name = "NAME@VERSION", conflicts_with_all = ["history", "cross_validate"])]
        method: Option<String>,
    },
    /// What is noticed, how soon, and what is raised without a reason
    Detect {
        /// In whose format the recording is
        #[arg(long, value_enum)]
        dataset: Watched,
        /// Folder or file of the recording
        #[arg(long, value_name = "PATH")]
        path: PathBuf,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// How well similar past incidents are found, each case asking those before it
    Similarity {
        /// In whose format the cases are
        #[arg(long, value_enum)]
        dataset: Format,
        /// Folder of the cases, or file of the recording
        #[arg(long, value_name = "PATH")]
        path: PathBuf,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// How often the kind of fault is told
    Classify {
        #[command(flatten)]
        cases: CaseArgs,
    },
}

/// The cases and what to learn from.
#[derive(Clone, Debug, clap::Args)]
struct CaseArgs {
    /// In whose format the cases are
    #[arg(long, value_enum)]
    dataset: Format,
    /// Folder of the cases, or file of the recording
    #[arg(long, value_name = "PATH")]
    path: PathBuf,
    /// Folder of labelled cases of the same form to learn from; may be given several times
    #[arg(long, value_name = "DIR")]
    history: Vec<PathBuf>,
    /// Deal the cases into K parts and ask each of what the others teach
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(2..=100))]
    cross_validate: Option<u8>,
    /// Print a JSON line a case and one for all
    #[arg(long)]
    json: bool,
}

/// A data set with stretches of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Watched {
    /// A recording of Faultline, such as seed-data/shop.ndjson
    Recording,
    /// Two systems of pods, a day each
    Nezha,
    /// Normal operation, for false alarms alone
    Petshop,
}

/// A data set that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A recording of Faultline, such as seed-data/shop.ndjson
    Recording,
    /// AWS components, metrics every five minutes
    Petshop,
    /// Two systems of pods: traces, logs, metrics
    Nezha,
    /// Alerts and call graphs
    Tvdiag,
}

impl Format {
    /// The public data set of this name.
    pub(super) fn named(name: &Path) -> Option<Self> {
        Self::from_str(name.to_str()?, false).ok().filter(|format| *format != Self::Recording)
    }

    /// Reads what is below `path`; what could not be used is told on standard error.
    pub(super) fn read(self, path: &Path) -> anyhow::Result<Arc<DataSet>> {
        let read = match self {
            Self::Recording => recording::read(path),
            Self::Petshop => petshop::read(path),
            Self::Nezha => nezha::read(path),
            Self::Tvdiag => tvdiag::read(path),
        };
        let data_set = read.with_context(|| format!("reading {}", path.display()))?;
        for skipped in &data_set.skipped {
            tracing::warn!("{} is not used: {}", skipped.path.display(), skipped.reason);
        }
        if data_set.cases.is_empty() {
            bail!("{} holds no incident in the form of {}", path.display(), data_set.name);
        }
        Ok(Arc::new(data_set))
    }
}

/// Prints a table, or JSON lines.
pub async fn run(args: &EvalArgs) -> anyhow::Result<()> {
    match &args.task {
        Task::Rca { cases, method } => {
            let fixed = method.as_deref().map(self::method).transpose()?;
            let (data_set, evidence, teaching) = asked(cases).await?;
            let answers = match fixed {
                Some(ranker) => evaluation::ranked(&data_set, &evidence, ranker),
                None => teaching.ranked(&data_set, &evidence),
            };
            match cases.json {
                true => lines(report::json_lines(&answers, data_set.name)),
                false => tell(&report::table(&answers)),
            }
        }
        Task::Similarity { dataset, path, json } => {
            let data_set = dataset.read(path)?;
            let evidence = evidence(&data_set, "reading cases").await?;
            let known = Known::by(&data_set, &evidence);
            let found = remembered::found(&data_set, &known);
            match json {
                true => tell(&similar::json(&found, data_set.name).to_string()),
                false => tell(&similar::table(&found)),
            }
        }
        Task::Detect { dataset, path, json } => detect(*dataset, path, *json),
        Task::Classify { cases } => {
            let (data_set, evidence, teaching) = asked(cases).await?;
            let answers = teaching.classified(&data_set, &evidence);
            match cases.json {
                true => lines(classes::json_lines(&answers, data_set.name)),
                false => tell(&classes::table(&answers)),
            }
        }
    }
}

fn detect(dataset: Watched, path: &Path, json: bool) -> anyhow::Result<()> {
    let name = dataset.to_possible_value().context("every data set has a name")?;
    let read = datasets::watched::read(name.get_name(), path);
    let read = read.with_context(|| format!("reading {}", path.display()))?;
    for skipped in &read.skipped {
        tracing::warn!("{} is not used: {}", skipped.path.display(), skipped.reason);
    }
    if read.stretches.is_empty() {
        bail!("{} holds no telemetry in the form of {}", path.display(), name.get_name());
    }
    let mut meter = Meter::new("watching");
    let total = read.stretches.len() as u64;
    let report = detection::report(&read, &mut |done| meter.at(done as u64, total));
    meter.end();
    match json {
        true => tell(&detection::json(&report, name.get_name()).to_string()),
        false => tell(&detection::table(&report)),
    }
}

/// The cases, what a diagnosis may see of each, and what may be learned for them.
async fn asked(args: &CaseArgs) -> anyhow::Result<(Arc<DataSet>, Vec<Evidence>, Teaching)> {
    let data_set = args.dataset.read(&args.path)?;
    let evidence = evidence(&data_set, "reading cases").await?;
    let mut history = Vec::new();
    for path in &args.history {
        let past = args.dataset.read(path)?;
        let evidence = self::evidence(&past, "reading history").await?;
        history.extend(evaluation::lessons(&past, &evidence));
    }
    let parts = args.cross_validate.map(usize::from);
    Ok((data_set, evidence, Teaching { history, parts }))
}

async fn evidence(data_set: &Arc<DataSet>, what: &'static str) -> anyhow::Result<Vec<Evidence>> {
    let mut meter = Meter::new(what);
    let total = data_set.cases.len() as u64;
    let evidence = evaluation::evidence(data_set, &mut |done| meter.at(done as u64, total)).await;
    meter.end();
    evidence
}

fn lines(lines: Vec<Value>) -> anyhow::Result<()> {
    lines.iter().try_for_each(|line| tell(&line.to_string()))
}

/// The method of this name, or which there are.
fn method(name: &str) -> anyhow::Result<&'static dyn Ranker> {
    let known = rank::methods();
    rank::method(name).with_context(|| {
        let names: Vec<_> = known.iter().map(|ranker| ranker.name()).collect();
        format!("there is no method {name:?}: expected one of {}", names.join(", "))
    })
}
