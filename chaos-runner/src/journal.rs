//! The journal of a run, in Chaos Toolkit's form.
//!
//! Tools that read such journals trust `deviated` and show `status`. The field `faultline` is
//! ours; readers pass over what they do not know.

use std::io::Write;
use std::path::{Path, PathBuf};

use events::catalogue::experiment::{ExperimentOutcome, SteadyStatePhase};
use events::{EventId, ExperimentId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::experiment::Experiment;
use crate::run::{
    ActivityRecord, Conclusion, Place, Resilience, RunEvent, RunEventKind, RunIdentity, Section,
    SteadyStateRecord,
};

/// A journal that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write the journal {}", path.display())]
pub struct WriteError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// How far a run came, in the words of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalStatus {
    /// To its end.
    Completed,
    /// It could not be carried out.
    Failed,
    /// Its deadline ended it.
    Aborted,
    /// A person or the system ended it.
    Interrupted,
}

/// The machine that a run took place on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// System, release and architecture.
    pub platform: String,
    /// Its name in the network.
    pub node: String,
}

impl Host {
    /// This machine.
    pub fn this() -> Self {
        let kernel = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
            text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
        };
        Self {
            platform: format!(
                "{}-{}-{}",
                kernel("ostype"),
                kernel("osrelease"),
                std::env::consts::ARCH
            ),
            node: kernel("hostname"),
        }
    }
}

/// The journal of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Journal {
    #[serde(rename = "chaoslib-version")]
    chaoslib_version: String,
    #[serde(flatten)]
    host: Host,
    experiment: Value,
    start: Timestamp,
    status: JournalStatus,
    deviated: bool,
    steady_states: SteadyStates,
    run: Vec<ActivityRecord>,
    rollbacks: Vec<ActivityRecord>,
    end: Timestamp,
    duration: f64,
    faultline: Addition,
}

#[derive(Clone, Debug, Default, Serialize)]
struct SteadyStates {
    before: Option<SteadyStateRecord>,
    after: Option<SteadyStateRecord>,
    during: Vec<SteadyStateRecord>,
}

/// What the format has no place for.
#[derive(Clone, Debug, Serialize)]
struct Addition {
    experiment: ExperimentId,
    outcome: ExperimentOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    resilience: Resilience,
    /// The run's first event: an import gives the events the ids that they had when it was told
    /// as it happened.
    root: EventId,
}

/// Collects a journal while a run goes on.
#[derive(Debug)]
pub struct JournalWriter {
    document: Value,
    identity: RunIdentity,
    host: Host,
    start: Option<Timestamp>,
    steady_states: SteadyStates,
    activities: Vec<(Place, ActivityRecord)>,
}

impl JournalWriter {
    /// The journal of the run `identity` of `experiment` on `host`.
    pub fn new(experiment: &Experiment, identity: RunIdentity, host: Host) -> Self {
        Self {
            document: experiment.document.clone(),
            identity,
            host,
            start: None,
            steady_states: SteadyStates::default(),
            activities: Vec::new(),
        }
    }

    /// Takes down what happened; the last event gives the journal.
    pub fn record(&mut self, event: &RunEvent) -> Option<Journal> {
        match &event.kind {
            RunEventKind::Planned => self.start = Some(event.at),
            RunEventKind::SteadyStateMeasured { phase, record } => match phase {
                SteadyStatePhase::Before => self.steady_states.before = Some(record.clone()),
                SteadyStatePhase::During => self.steady_states.during.push(record.clone()),
                SteadyStatePhase::After => self.steady_states.after = Some(record.clone()),
            },
            RunEventKind::ActivityFinished { place, record, .. } => {
                self.activities.push((*place, record.clone()));
            }
            RunEventKind::Finished { conclusion } => {
                return Some(self.conclude(event.at, conclusion));
            }
            RunEventKind::Started
            | RunEventKind::MeasuringSteadyState { .. }
            | RunEventKind::ActivityStarted { .. }
            | RunEventKind::FaultInjected { .. }
            | RunEventKind::FaultCleared { .. }
            | RunEventKind::FaultNotCleared { .. }
            | RunEventKind::Stopping { .. }
            | RunEventKind::RollbacksSkipped { .. } => {}
        }
        None
    }

    fn conclude(&self, end: Timestamp, conclusion: &Conclusion) -> Journal {
        let start = self.start.unwrap_or(end);
        let status = match conclusion.outcome {
            ExperimentOutcome::Held | ExperimentOutcome::Deviated => JournalStatus::Completed,
            ExperimentOutcome::Aborted if conclusion.interrupted => JournalStatus::Interrupted,
            ExperimentOutcome::Aborted => JournalStatus::Aborted,
            ExperimentOutcome::Failed => JournalStatus::Failed,
        };
        Journal {
            chaoslib_version: format!("chaos-runner {}", env!("CARGO_PKG_VERSION")),
            host: self.host.clone(),
            experiment: self.document.clone(),
            start,
            status,
            deviated: conclusion.deviated,
            steady_states: self.steady_states.clone(),
            run: self.section(Section::Method),
            rollbacks: self.section(Section::Rollbacks),
            end,
            duration: end.duration_since(start).as_secs_f64(),
            faultline: Addition {
                experiment: self.identity.experiment.clone(),
                outcome: conclusion.outcome,
                reason: conclusion.reason.clone(),
                resilience: conclusion.resilience,
                root: self.identity.root,
            },
        }
    }

    /// The activities of a section in the order in which they began, as the format has them.
    fn section(&self, section: Section) -> Vec<ActivityRecord> {
        let of_section = self.activities.iter().filter(|(place, _)| place.section == section);
        let mut records: Vec<_> = of_section.cloned().collect();
        records.sort_by_key(|(place, record)| (record.start, *place));
        records.into_iter().map(|(_, record)| record).collect()
    }
}

impl Journal {
    /// Writes it to `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let error = |source| WriteError { path: path.to_owned(), source };
        let mut text = serde_json::to_vec_pretty(self)
            .expect("a journal has texts for keys and no number that JSON lacks");
        text.push(b'\n');
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(error)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = folder.join(name);
        let mut file = std::fs::File::create(&temporary).map_err(error)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(error)?;
        std::fs::rename(&temporary, path).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::experiment;
    use crate::run::{ActivityStatus, ProbeRecord};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn activity(name: &str, start: i64, end: i64) -> ActivityRecord {
        ActivityRecord {
            activity: json!({"name": name, "type": "action"}),
            output: json!({"status": 0}),
            status: ActivityStatus::Succeeded,
            start: at(start),
            end: at(end),
            duration: (end - start) as f64,
            exception: Vec::new(),
        }
    }

    fn steady(held: bool, second: i64) -> SteadyStateRecord {
        let probe = ProbeRecord {
            record: activity("p95", second, second),
            tolerance_met: held,
            name: events::value::Line::new("p95").unwrap(),
            value: Some(0.0),
            unit: "ms",
            tolerance: "0 to 5 ms".to_owned(),
        };
        SteadyStateRecord { held, probes: vec![probe] }
    }

    fn finished(section: Section, index: usize, record: ActivityRecord) -> RunEventKind {
        let name = events::value::Line::new("x").unwrap();
        RunEventKind::ActivityFinished { place: Place { section, index }, name, record }
    }

    #[test]
    fn a_journal_has_the_fields_of_the_format() {
        let text = r#"{"title": "T", "description": "D", "method": []}"#;
        let experiment = experiment::parse("t.json", text, &|_| None).unwrap();
        let root = "019aa3e4-b1c2-7def-8123-456789abcdef".parse().unwrap();
        let host = Host { platform: "Linux-6.1-x86_64".to_owned(), node: "host".to_owned() };
        let mut writer = JournalWriter::new(&experiment, RunIdentity::from_root("T", root), host);
        let measured = |phase, record| RunEventKind::SteadyStateMeasured { phase, record };
        let mut resilience = Resilience::default();
        resilience.count(true);
        resilience.count(false);
        let conclusion = Conclusion {
            outcome: ExperimentOutcome::Deviated,
            deviated: true,
            interrupted: false,
            reason: Some("p95".to_owned()),
            resilience,
        };
        let story = [
            (0, RunEventKind::Planned),
            (1, measured(SteadyStatePhase::Before, steady(true, 1))),
            // In the background: it began first and ended last.
            (6, finished(Section::Method, 1, activity("second", 3, 4))),
            (7, finished(Section::Method, 0, activity("first", 2, 7))),
            (7, measured(SteadyStatePhase::During, steady(false, 7))),
            (8, finished(Section::Rollbacks, 0, activity("undo", 8, 8))),
            (9, measured(SteadyStatePhase::After, steady(true, 9))),
            (10, RunEventKind::Finished { conclusion }),
        ];
        let mut journal = None;
        for (second, kind) in story {
            journal = writer.record(&RunEvent { at: at(second), kind });
        }
        insta::assert_json_snapshot!(journal.unwrap());
    }
}
