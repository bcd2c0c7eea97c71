//! What a run shows while it goes on.
//!
//! The same lines go to a terminal and to a file; a terminal has colours and, below the lines, a
//! bar for what is going on. With `--json` every event is one line of JSON instead.

mod json;
mod lines;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use console::Term;
use events::ExperimentId;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::experiment::Experiment;
use crate::run::{RunEvent, RunEventKind, RunIdentity};

/// How often a bar moves.
const TICK: Duration = Duration::from_millis(120);

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines for people; a bar below them on a terminal.
    Lines,
    /// A JSON object a line.
    Json,
}

/// Shows runs on standard output.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    bar: ProgressBar,
    runs: BTreeMap<ExperimentId, lines::Lines>,
    /// Whether lines say which run they are of.
    prefixed: bool,
}

impl Progress {
    /// Progress on standard output. The bar is drawn on standard error, and only on a terminal.
    pub fn new(form: Form) -> Self {
        let live = form == Form::Lines && Term::stderr().is_term() && Term::stdout().is_term();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { form, bar, runs: BTreeMap::new(), prefixed: false }
    }

    /// Lines say from now on of which run they are: several go on at once.
    pub fn prefix_lines(&mut self, prefixed: bool) {
        self.prefixed = prefixed;
    }

    /// The bar, for others who write to the terminal: they must suspend it.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// How it shows.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Shows an event of a run.
    pub fn show(
        &mut self,
        identity: &RunIdentity,
        experiment: &Experiment,
        event: &RunEvent,
    ) -> io::Result<()> {
        match self.form {
            Form::Json => self.write(&[json::line(identity, experiment, event)]),
            Form::Lines => {
                self.show_activity(&event.kind);
                let first = self.runs.is_empty();
                let run = self.runs.entry(identity.experiment.clone()).or_default();
                let mut lines = run.of(identity, experiment, event);
                if self.prefixed {
                    let name = lines::prefix(experiment);
                    lines.iter_mut().for_each(|line| *line = format!("{name}{line}"));
                } else if matches!(event.kind, RunEventKind::Planned) && !first {
                    lines.insert(0, String::new());
                }
                self.write(&lines)
            }
        }
    }

    /// Shows where the journal of a run is.
    pub fn journal_written(&self, identity: &RunIdentity, path: &Path) -> io::Result<()> {
        match self.form {
            Form::Json => {
                let experiment = &identity.experiment;
                let line =
                    json!({"experiment": experiment, "event": "journal_written", "path": path});
                self.say(&line.to_string())
            }
            Form::Lines => self.say(&lines::labelled("journal", path.display())),
        }
    }

    /// Shows what goes on outside of a run, such as the start of the shop.
    pub fn doing(&self, what: &str) {
        self.spin(what);
    }

    /// Writes a line of its own.
    pub fn say(&self, line: &str) -> io::Result<()> {
        self.write(&[line.to_owned()])
    }

    /// Removes the bar.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }

    fn write(&self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.bar.suspend(|| {
            let mut out = io::stdout().lock();
            for line in lines {
                writeln!(out, "{line}")?;
            }
            out.flush()
        })
    }

    fn show_activity(&self, kind: &RunEventKind) {
        match kind {
            RunEventKind::ActivityStarted { name, expected: Some(time), .. } => {
                let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.bar.reset();
                self.bar.set_length(milliseconds);
                self.bar.set_style(timed_style());
                self.bar.set_message(name.to_string());
                self.bar.enable_steady_tick(TICK);
            }
            RunEventKind::ActivityStarted { name, .. } => self.spin(name.as_str()),
            RunEventKind::MeasuringSteadyState { phase } => {
                self.spin(&format!("measuring the steady state {}", lines::phase_words(*phase)));
            }
            RunEventKind::Stopping { .. } => self.spin("undoing"),
            RunEventKind::Finished { .. } => self.bar.set_message(""),
            _ => {}
        }
    }

    fn spin(&self, message: &str) {
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_style(
            ProgressStyle::with_template("  {spinner:.cyan} {msg} {elapsed:.dim}")
                .expect("a constant template"),
        );
        self.bar.set_message(message.to_owned());
        // Not before there is something to show: a ticking bar draws itself.
        self.bar.enable_steady_tick(TICK);
    }
}

/// A bar that fills with time: its length is in milliseconds and it reads its own clock.
fn timed_style() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner:.cyan} {msg} {filling:.cyan} {clock:.dim}")
        .expect("a constant template")
        .with_key("filling", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            const WIDTH: usize = 24;
            let whole = state.len().unwrap_or(1).max(1) as f64;
            let share = (state.elapsed().as_millis() as f64 / whole).min(1.0);
            let full = (share * WIDTH as f64) as usize;
            let _ = write!(out, "{}{}", "━".repeat(full), "╌".repeat(WIDTH - full));
        })
        .with_key("clock", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let whole = state.len().unwrap_or_default() as f64 / 1_000.0;
            let _ = write!(out, "{:.0}/{whole:.0} s", state.elapsed().as_secs_f64().min(whole));
        })
}

/// How long something took, in words.
pub(crate) fn seconds(time: jiff::SignedDuration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        let progress = Progress::new(Form::Lines);
        progress.doing("x");
        timed_style();
    }
}
