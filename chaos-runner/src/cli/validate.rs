//! `validate`: what is wrong with experiment files.

use std::io::{self, Write};

use clap::Args;
use console::style;
use serde_json::json;

use super::exit::Exit;
use super::select;
use super::select::SelectError;
use crate::experiment::LoadError;

/// Arguments of `validate`.
#[derive(Args, Debug)]
pub(super) struct ValidateArgs {
    /// Experiment files (JSON or YAML), or names of shipped experiments.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Writes one JSON object a file.
    #[arg(long)]
    json: bool,
}

/// Checks every file.
pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    let mut exit = Exit::Held;
    for file in &args.files {
        let checked = select::experiment(file);
        if checked.is_err() {
            exit = Exit::Usage;
        }
        if args.json {
            let line = match &checked {
                Ok(experiment) => json!({"file": file, "valid": true, "title": experiment.title}),
                Err(error) => json!({"file": file, "valid": false, "problems": problems(error)}),
            };
            writeln!(out, "{line}")?;
            continue;
        }
        match checked {
            Ok(experiment) => {
                writeln!(out, "{} {file}  {}", style("✓").green(), style(&experiment.title).dim())?;
            }
            Err(error) => {
                writeln!(out, "{} {file}", style("✗").red())?;
                for problem in problems(&error) {
                    let pointer = problem["pointer"].as_str().unwrap_or_default();
                    let message = problem["message"].as_str().unwrap_or_default();
                    let place = if pointer.is_empty() {
                        String::new()
                    } else {
                        format!("{}  ", style(pointer).cyan())
                    };
                    writeln!(out, "    {place}{message}")?;
                }
            }
        }
    }
    Ok(exit)
}

fn problems(error: &SelectError) -> Vec<serde_json::Value> {
    match error {
        SelectError::Load(LoadError::Invalid { source, .. }) => source
            .problems
            .iter()
            .map(|problem| json!({"pointer": problem.pointer, "message": problem.message}))
            .collect(),
        other => {
            let message = format!("{:#}", anyhow::anyhow!("{}", crate::run::describe(other)));
            vec![json!({"pointer": "", "message": message})]
        }
    }
}
