//! What the demo shows: prose for a person, one JSON line an incident for a script.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use console::style;
use events::Timestamp;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::plan::Phase;
use super::watch::{Diagnosis, Fault, Incident, Similar, Suspect};

/// How many suspects and similar incidents are shown.
const SHOWN: usize = 3;
/// How many terms of a suspect's score are shown.
const TERMS_SHOWN: usize = 3;

/// What became of a phase.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The phase.
    pub phase: &'a Phase,
    /// Its fault.
    pub fault: &'a Fault,
    /// The incident that the fault caused, when the server noticed any.
    pub incident: Option<&'a Incident>,
    /// When the incident was recorded.
    pub detected_at: Option<Timestamp>,
}

impl Outcome<'_> {
    fn diagnosis(&self) -> Option<&Diagnosis> {
        self.incident.and_then(Incident::diagnosis)
    }

    /// Rank of the true component among the suspects, from 1.
    fn rank_of_truth(&self) -> Option<usize> {
        let suspects = &self.diagnosis()?.suspects;
        let index = suspects.iter().position(|one| one.component() == self.phase.component)?;
        Some(index + 1)
    }

    fn to_json(&self) -> Value {
        let suspects: Vec<Value> = self.diagnosis().map_or_else(Vec::new, |diagnosis| {
            let suspects = diagnosis.suspects.iter();
            suspects
                .map(|one| json!({ "component": one.component(), "score": one.score }))
                .collect()
        });
        let similar: Vec<Value> = self.diagnosis().map_or_else(Vec::new, |diagnosis| {
            let similar = diagnosis.similar.iter();
            similar
                .map(|one| {
                    json!({
                        "incident": one.incident.as_ref().map(|incident| &incident.key),
                        "component": one.root_cause.as_ref().map(|component| &component.name),
                        "fault_kind": one.fault_kind,
                        "score": one.score,
                    })
                })
                .collect()
        });
        json!({
            "phase": self.phase.name,
            "incident": self.incident.map(|incident| &incident.key),
            "truth": {
                "component": self.phase.component,
                "fault_kind": self.phase.fault_kind,
            },
            "injected_at": self.fault.injected_at,
            "detected_at": self.detected_at,
            "suspects": suspects,
            "similar": similar,
        })
    }
}

/// Where the demo tells what it does.
#[derive(Debug)]
pub struct Report {
    json: bool,
    // Lines are written while no spinner is on the screen.
    bars: Option<MultiProgress>,
}

impl Report {
    /// Prose on standard output, or with `json` one line an incident there. Progress goes to
    /// standard error: a bar on a terminal, lines elsewhere.
    pub fn new(json: bool) -> Self {
        Self { json, bars: std::io::stderr().is_terminal().then(MultiProgress::new) }
    }

    /// A line of prose.
    pub fn say(&self, line: impl AsRef<str>) {
        let line = line.as_ref();
        self.write(|| {
            // A closed pipe ends nothing: the faults still have to be undone.
            let _ = if self.json {
                writeln!(std::io::stderr(), "{}", console::strip_ansi_codes(line))
            } else {
                writeln!(std::io::stdout(), "{line}")
            };
        });
    }

    fn write(&self, lines: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(lines),
            None => lines(),
        }
    }

    /// A fact with its name.
    pub fn fact(&self, name: &str, value: impl std::fmt::Display) {
        self.say(format!("  {} {value}", style(format!("{name:<10}")).dim()));
    }

    /// Shows that something takes a while. The spinner goes when it is dropped.
    pub fn waiting(&self, what: &str) -> Spinner {
        let Some(bars) = &self.bars else {
            self.say(format!("  … {what}"));
            return Spinner(None);
        };
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}")
            .expect("the template is a constant that indicatif accepts");
        let bar = bars.add(ProgressBar::new_spinner().with_style(style));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Spinner(Some(bar))
    }

    /// What became of a phase, in full.
    pub fn outcome(&self, outcome: &Outcome<'_>) {
        if self.json {
            self.write(|| {
                let mut out = std::io::stdout();
                let _ = writeln!(out, "{}", outcome.to_json()).and_then(|()| out.flush());
            });
            return;
        }
        match outcome.incident {
            None => self.fact("missed", "no incident was opened"),
            Some(incident) => self.incident(outcome, incident),
        }
        let undone = outcome.fault.action.as_deref().unwrap_or("still active");
        self.fact("undone by", undone);
        self.say("");
    }

    fn incident(&self, outcome: &Outcome<'_>, incident: &Incident) {
        let title = incident.title.as_deref().unwrap_or("(no title)");
        self.fact("incident", format!("{title}  {}", style(&incident.key).dim()));
        let Some(diagnosis) = incident.diagnosis() else {
            self.fact("suspects", "no diagnosis was recorded");
            return;
        };
        if let Some(why) = &diagnosis.abstained {
            self.fact("suspects", format!("none: {why}"));
        }
        for (index, suspect) in diagnosis.suspects.iter().take(SHOWN).enumerate() {
            self.suspect(index + 1, suspect, outcome.phase.component);
        }
        if diagnosis.similar.is_empty() {
            self.fact("similar", "nothing like it has happened before");
        }
        for (index, similar) in diagnosis.similar.iter().take(SHOWN).enumerate() {
            self.similar(index + 1, similar);
        }
        match outcome.rank_of_truth() {
            Some(rank) => self.fact("truth", format!("{} at rank {rank}", outcome.phase)),
            None => self.fact("truth", format!("{}, not among the suspects", outcome.phase)),
        }
    }

    fn suspect(&self, rank: usize, suspect: &Suspect, truth: &str) {
        let name = if rank == 1 { "suspects" } else { "" };
        let component = suspect.component();
        let shown =
            if component == truth { style(component).green().bold() } else { style(component) };
        let kind = suspect.fault_kind.as_deref().map_or_else(String::new, |kind| {
            format!("  {}", style(format!("looks like {kind}")).dim())
        });
        self.fact(name, format!("{rank}. {shown}  {:.2}{kind}", suspect.score));
        if rank > 1 {
            return;
        }
        if suspect.path.len() > 1 {
            self.fact("", format!("   {} {}", style("path").dim(), suspect.path.join(" → ")));
        }
        for term in suspect.terms.iter().take(TERMS_SHOWN) {
            let evidence = match term.evidence.as_slice() {
                [] => String::new(),
                [only] => format!("event {only}"),
                [first, rest @ ..] => format!("event {first} and {} more", rest.len()),
            };
            self.fact(
                "",
                format!("   {:+.2} {}  {}", term.contribution, term.name, style(evidence).dim()),
            );
        }
    }

    fn similar(&self, rank: usize, similar: &Similar) {
        let name = if rank == 1 { "similar" } else { "" };
        let kind = similar.fault_kind.as_deref().unwrap_or("unlabelled");
        let component = similar.root_cause.as_ref().map_or("?", |component| &component.name);
        let incident = similar.incident.as_ref().map_or("", |incident| &incident.key);
        self.fact(
            name,
            format!(
                "{rank}. {kind} on {component}  {:.2}  {}",
                similar.score,
                style(incident).dim()
            ),
        );
        for reason in similar.reasons.iter().take(TERMS_SHOWN) {
            self.fact("", format!("   {:+.2} {}", reason.contribution, reason.name));
        }
        for fix in similar.fixed_by.iter().take(TERMS_SHOWN) {
            self.fact("", format!("   {} {}", style("fixed by").dim(), fix.action));
        }
    }
}

/// A sign of life that ends when it is dropped.
#[derive(Debug)]
pub struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// Says what is waited for now.
    pub fn now(&self, what: String) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
