//! `faultline eval`: the incidents of public data sets, asked as if they were live.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use datasets::case::DataSet;
use datasets::{nezha, petshop};
use diagnosis::rank::{self, Ranker};

use super::meter::Meter;
use super::tell;
use crate::evaluation;

/// What to evaluate.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// How often the component at fault comes first
    Rca(RcaArgs),
}

/// The cases and how to answer them.
#[derive(Clone, Debug, clap::Args)]
pub struct RcaArgs {
    /// In whose format the cases are
    #[arg(long, value_enum)]
    dataset: Format,
    /// Folder of the cases
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    /// The method that ranks [default: the newest]
    #[arg(long, value_name = "NAME@VERSION")]
    method: Option<String>,
    /// Print a JSON line a case and one for all
    #[arg(long)]
    json: bool,
}

/// A public data set that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// AWS components, metrics every five minutes
    Petshop,
    /// Two systems of pods: traces, logs, metrics
    Nezha,
}

impl Format {
    /// The format of this name.
    pub(super) fn named(name: &Path) -> Option<Self> {
        Self::from_str(name.to_str()?, false).ok()
    }

    /// Reads what is below `path`; what could not be used is told on standard error.
    pub(super) fn read(self, path: &Path) -> anyhow::Result<DataSet> {
        let read = match self {
            Self::Petshop => petshop::read(path),
            Self::Nezha => nezha::read(path),
        };
        let data_set = read.with_context(|| format!("reading {}", path.display()))?;
        for skipped in &data_set.skipped {
            tracing::warn!("{} is not used: {}", skipped.path.display(), skipped.reason);
        }
        if data_set.cases.is_empty() {
            bail!("{} holds no incident in the form of {}", path.display(), data_set.name);
        }
        Ok(data_set)
    }
}

/// Prints a table, or JSON lines.
pub async fn run(args: &EvalArgs) -> anyhow::Result<()> {
    match &args.task {
        Task::Rca(args) => rca(args).await,
    }
}

async fn rca(args: &RcaArgs) -> anyhow::Result<()> {
    let ranker = method(args.method.as_deref())?;
    let data_set = args.dataset.read(&args.path)?;
    let mut meter = Meter::new("reading cases");
    let total = data_set.cases.len() as u64;
    let evidence = evaluation::evidence(&data_set, &mut |done| meter.at(done as u64, total)).await;
    meter.end();
    let answers = evaluation::ranked(&data_set, &evidence?, ranker);
    if !args.json {
        return tell(evaluation::table(&answers, ranker.name()).trim_end());
    }
    for line in evaluation::json_lines(&answers, data_set.name, ranker.name()) {
        tell(&line.to_string())?;
    }
    Ok(())
}

fn method(name: Option<&str>) -> anyhow::Result<&'static dyn Ranker> {
    let known = rank::methods();
    let Some(name) = name else { return Ok(known[0]) };
    let Some(ranker) = rank::method(name) else {
        let names: Vec<_> = known.iter().map(|ranker| ranker.name()).collect();
        bail!("there is no method {name:?}: expected one of {}", names.join(", "));
    };
    Ok(ranker)
}
