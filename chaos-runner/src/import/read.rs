//! What stands in a journal. Unknown fields are passed over: extensions add theirs.

use events::catalogue::experiment::ExperimentOutcome;
use events::value::Line;
use events::{EventId, ExperimentId, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

/// Why a text is no journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJournal {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A field is missing or is something else.
    #[error("not a Chaos Toolkit journal: {pointer}: expected {expected}")]
    Field {
        /// JSON pointer.
        pointer: String,
        /// What would be right.
        expected: &'static str,
    },
}

/// When in a run a steady state was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Before = 0,
    During = 1,
    After = 2,
}

/// A journal.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    /// The experiment as the journal repeats it.
    pub(super) experiment: Value,
    pub(super) title: Line,
    pub(super) description: Option<String>,
    pub(super) hypothesis: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) node: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) status: String,
    pub(super) deviated: Option<bool>,
    pub(super) steady_states: Vec<(Phase, Measured)>,
    pub(super) run: Vec<Activity>,
    pub(super) rollbacks: Vec<Activity>,
    /// The ids of the run, in a journal of this program.
    pub(super) own: Option<(ExperimentId, EventId)>,
    pub(super) own_outcome: Option<ExperimentOutcome>,
    pub(super) reason: Option<String>,
}

/// A steady state, measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) held: bool,
    pub(super) at: Timestamp,
    pub(super) probes: Vec<Probe>,
}

/// One probe of it.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) held: bool,
    pub(super) value: Option<f64>,
    pub(super) tolerance: String,
}

/// An activity that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) name: String,
    pub(super) is_action: bool,
    pub(super) succeeded: bool,
    pub(super) provider: Value,
    pub(super) output: Value,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

#[derive(Deserialize)]
struct Own {
    experiment: ExperimentId,
    outcome: ExperimentOutcome,
    reason: Option<String>,
    root: Option<EventId>,
}

fn field(pointer: &str, expected: &'static str) -> InvalidJournal {
    InvalidJournal::Field { pointer: pointer.to_owned(), expected }
}

/// A time with an offset, or one without, which Chaos Toolkit means as UTC.
fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).filter(|text| !text.is_empty())
}

impl Journal {
    pub(super) fn read(document: &Value) -> Result<Self, InvalidJournal> {
        let experiment = &document["experiment"];
        if !experiment.is_object() {
            return Err(field("/experiment", "the experiment that was run"));
        }
        let title = text(&experiment["title"])
            .ok_or_else(|| field("/experiment/title", "what the experiment is called"))?;
        let expected = "a time such as 2026-01-31T12:00:00";
        let start = time(&document["start"]).ok_or_else(|| field("/start", expected))?;
        let end = time(&document["end"]).ok_or_else(|| field("/end", expected))?;
        let status = text(&document["status"])
            .ok_or_else(|| field("/status", "completed, failed, aborted or interrupted"))?;
        let activities = |name: &str| {
            let list = document[name].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().map(|one| Activity::read(one, start)).collect()
        };
        let own: Option<Own> = serde_json::from_value(document["faultline"].clone()).ok();
        let tags = experiment["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            title: Line::clipped(&title),
            description: text(&experiment["description"]),
            hypothesis: text(&experiment["steady-state-hypothesis"]["title"]),
            tags: tags.iter().filter_map(text).collect(),
            node: text(&document["node"]).unwrap_or_default(),
            start,
            end: end.max(start),
            status,
            deviated: document["deviated"].as_bool(),
            steady_states: steady_states(&document["steady_states"], start, end),
            run: activities("run"),
            rollbacks: activities("rollbacks"),
            own: own.as_ref().and_then(|own| Some((own.experiment.clone(), own.root?))),
            own_outcome: own.as_ref().map(|own| own.outcome),
            reason: own.and_then(|own| own.reason),
            experiment: experiment.clone(),
        })
    }

    /// The place of an activity in the method of the file. The journal has them in the order in
    /// which they began, which background activities change.
    pub(super) fn place_in_method(&self, activity: &Activity) -> Option<usize> {
        let method = self.experiment["method"].as_array()?;
        method.iter().position(|one| one["name"].as_str() == Some(activity.name.as_str()))
    }
}

/// `before`, `after` and `during`; older versions have no `during`, and a state that was not
/// measured is null.
fn steady_states(value: &Value, start: Timestamp, end: Timestamp) -> Vec<(Phase, Measured)> {
    let mut states = Vec::new();
    let before = Measured::read(&value["before"], start).map(|it| (Phase::Before, it));
    let during = value["during"].as_array().map(Vec::as_slice).unwrap_or_default();
    let during = during.iter().filter_map(|one| Measured::read(one, start));
    let after = Measured::read(&value["after"], end).map(|it| (Phase::After, it));
    states.extend(before);
    states.extend(during.map(|it| (Phase::During, it)));
    states.extend(after);
    states
}

impl Measured {
    fn read(value: &Value, otherwise: Timestamp) -> Option<Self> {
        let held = value["steady_state_met"].as_bool()?;
        let probes = value["probes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let at = probes.iter().filter_map(|probe| time(&probe["end"])).max();
        let probes = probes.iter().map(|probe| Probe {
            name: text(&probe["activity"]["name"]).unwrap_or_else(|| "a probe".to_owned()),
            held: probe["tolerance_met"].as_bool().unwrap_or(false),
            value: number(&probe["output"]),
            tolerance: tolerance(&probe["activity"]["tolerance"]),
        });
        Some(Self { held, at: at.unwrap_or(otherwise), probes: probes.collect() })
    }
}

/// The number that a probe gave: itself, or the status of an answer or a program.
fn number(output: &Value) -> Option<f64> {
    output.as_f64().or_else(|| output["status"].as_f64())
}

fn tolerance(value: &Value) -> String {
    match value {
        Value::Null => "not recorded".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(bounds) if bounds.len() == 2 => format!("{} to {}", bounds[0], bounds[1]),
        other => other.to_string(),
    }
}

impl Activity {
    fn read(value: &Value, otherwise: Timestamp) -> Self {
        let activity = &value["activity"];
        let start = time(&value["start"]).unwrap_or(otherwise);
        Self {
            name: text(&activity["name"]).unwrap_or_else(|| "an activity".to_owned()),
            is_action: activity["type"] == "action",
            succeeded: value["status"] == "succeeded",
            provider: activity["provider"].clone(),
            output: value["output"].clone(),
            start,
            end: time(&value["end"]).unwrap_or(start).max(start),
        }
    }
}
