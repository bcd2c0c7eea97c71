//! `suite`: every shipped experiment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table, TableStyle};
use events::catalogue::experiment::ExperimentOutcome;
use serde_json::json;

use super::exit::Exit;
use super::journals::Journals;
use super::run::ran_to_its_end;
use super::session::{Finished, run_all};
use super::{TargetArgs, select};
use crate::experiment::shipped;
use crate::experiment::{Experiment, Provider};
use crate::progress::{Form, Progress};
use crate::run::Resilience;

/// Arguments of `suite`.
#[derive(Args, Debug)]
pub(super) struct SuiteArgs {
    /// Only the shipped experiments whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Folder for the journals, one a run.
    #[arg(long, value_name = "FOLDER", default_value_os_t = Journals::default_folder())]
    journals: PathBuf,
}

/// Runs the shipped experiments. Deviating is what most of them are for, so it counts as well as
/// holding.
pub(super) async fn run(args: SuiteArgs, progress: Progress) -> anyhow::Result<Exit> {
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| name.contains(only));
    let names = shipped::ALL.iter().map(|shipped| shipped.name).filter(|name| wanted(name));
    let experiments: Vec<_> = names.map(select::experiment).collect::<Result<_, _>>()?;
    if experiments.is_empty() {
        return Err(select::Unknown::Part { part: args.only.unwrap_or_default() }.into());
    }
    let journals = Journals::Folder(args.journals);
    let (mut finished, progress) = run_all(&experiments, &args.target, &journals, progress).await?;
    match progress.form() {
        Form::Lines => progress.say(&format!("\n{}", table(&finished, experiments.len())))?,
        Form::Json => progress.say(&summary(&finished, experiments.len()).to_string())?,
    }
    finished.retain_outcomes(|conclusion| {
        if ran_to_its_end(conclusion) { Exit::Held } else { Exit::of(conclusion.outcome) }
    });
    Ok(finished.exit)
}

fn table(finished: &Finished, planned: usize) -> String {
    let mut table = plain_table(&["experiment", "fault", "outcome", "held"]);
    for (experiment, _, conclusion) in &finished.runs {
        table.add_row([
            Cell::new(&experiment.title),
            Cell::new(faults(experiment).join("\n")),
            outcome_cell(conclusion.outcome),
            Cell::new(conclusion.resilience),
        ]);
    }
    let (through, not): (Vec<_>, Vec<_>) =
        finished.runs.iter().partition(|(_, _, conclusion)| ran_to_its_end(conclusion));
    let mut text = format!(
        "{table}\n{} of {planned} experiments ran to their end; steady state held: {}",
        through.len(),
        resilience(finished)
    );
    for (experiment, _, conclusion) in not {
        let reason = conclusion.reason.as_deref().unwrap_or("no reason was given");
        text.push_str(&format!("\n  {}: {reason}", experiment.title));
    }
    text
}

/// A table with a line below its header and no other.
pub(super) fn plain_table(header: &[&str]) -> Table {
    let below = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(below))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    table
}

/// Over all runs.
fn resilience(finished: &Finished) -> Resilience {
    let runs = finished.runs.iter().map(|(_, _, conclusion)| conclusion.resilience);
    runs.fold(Resilience::default(), Resilience::and)
}

fn outcome_cell(outcome: ExperimentOutcome) -> Cell {
    let (word, color) = match outcome {
        ExperimentOutcome::Held => ("held", Color::Green),
        ExperimentOutcome::Deviated => ("deviated", Color::Yellow),
        ExperimentOutcome::Aborted => ("aborted", Color::Red),
        ExperimentOutcome::Failed => ("failed", Color::Red),
    };
    Cell::new(word).fg(color)
}

fn summary(finished: &Finished, planned: usize) -> serde_json::Value {
    let runs: Vec<_> = finished
        .runs
        .iter()
        .map(|(experiment, identity, conclusion)| {
            json!({
                "experiment": identity.experiment,
                "title": experiment.title,
                "faults": faults(experiment),
                "outcome": conclusion.outcome,
                "deviated": conclusion.deviated,
                "reason": conclusion.reason,
                "resilience": conclusion.resilience,
            })
        })
        .collect();
    json!({
        "event": "suite_finished",
        "planned": planned,
        "runs": runs,
        "resilience": resilience(finished),
    })
}

/// The faults of an experiment: `latency on payments`, `partition on checkout → payments`.
pub(super) fn faults(experiment: &Arc<Experiment>) -> Vec<String> {
    experiment
        .method
        .iter()
        .filter_map(|activity| match &activity.provider {
            Provider::Fault(action) => {
                let caller = action.peer.as_ref().map(|peer| format!("{peer} → "));
                let place = format!("{}{}", caller.unwrap_or_default(), action.component);
                Some(format!("{} on {place}", action.kind))
            }
            _ => None,
        })
        .collect()
}
