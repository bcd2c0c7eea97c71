//! Journals of Chaos Toolkit, and of this program, as events.
//!
//! A journal says what was planned, what the steady state was, which actions were carried out
//! and which rollbacks. `deviated` decides the verdict where it is present; `status` only says
//! whether the run came to its end.
//!
//! Ids derive from what makes a run that run: its experiment, machine, begin and end. The same
//! journal imported twice is the same events, and a rerun is another run. A journal of this
//! program has the ids of the run itself, so that an import adds only what was not told then.

mod fault;
mod read;

use events::catalogue::experiment::{
    ClearedBy, ExperimentFinished, ExperimentOutcome, ExperimentPlanned, ExperimentStarted,
    FaultCleared, FaultInjected, ProbeResult, SteadyStateMeasured, SteadyStatePhase,
};
use events::value::{Finite, Line, Text};
use events::{Event, EventData, EventId, ExperimentId, FaultId, Timestamp};
use serde_json::Value;

use crate::run::{Resilience, RunIdentity, injected_id, told};
pub use fault::RecognisedFault;
pub use read::InvalidJournal;
use read::{Activity, Journal, Phase};

/// A journal, read.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The run.
    pub experiment: ExperimentId,
    /// What it is called.
    pub title: Line,
    /// How it ended.
    pub outcome: ExperimentOutcome,
    /// What came of the probes during and after the method.
    pub resilience: Resilience,
    /// The faults that were recognised.
    pub faults: Vec<RecognisedFault>,
    /// Actions of the method that no fault was recognised in, by name.
    pub other_actions: Vec<String>,
    /// All of it, in the order in which it happened.
    pub events: Vec<Event>,
}

/// Reads a journal from its text.
pub fn journal(text: &str) -> Result<Imported, InvalidJournal> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| InvalidJournal::Syntax(error.to_string()))?;
    let journal = Journal::read(&document)?;
    let identity = identity(&journal);
    let mut story = Story { identity, events: Vec::new() };
    story.begin(&journal);
    let mut resilience = Resilience::default();
    let mut numbers = [0_u32; 3];
    for (phase, measured) in &journal.steady_states {
        if *phase != Phase::Before {
            measured.probes.iter().for_each(|probe| resilience.count(probe.held));
        }
        let number = &mut numbers[*phase as usize];
        *number += 1;
        story.steady_state(*phase, *number, measured);
    }
    let (faults, other_actions) = story.faults(&journal);
    let outcome = outcome(&journal);
    story.end(&journal, outcome);
    let Story { identity, mut events } = story;
    // What ended the run stays last among events of the same moment.
    events.sort_by_key(|event| event.time);
    let title = journal.title;
    Ok(Imported {
        experiment: identity.experiment,
        title,
        outcome,
        resilience,
        faults,
        other_actions,
        events,
    })
}

fn identity(journal: &Journal) -> RunIdentity {
    if let Some((experiment, root)) = &journal.own {
        return RunIdentity { experiment: experiment.clone(), root: *root };
    }
    let what =
        format!("{}\n{}\n{}\n{}", journal.experiment, journal.node, journal.start, journal.end);
    let root = EventId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, what.as_bytes()));
    let hex = root.0.simple().to_string();
    let id = format!("{}-{}", crate::run::slug(journal.title.as_str()), &hex[..20]);
    let experiment = ExperimentId::new(id).expect("a slug of 60 characters and 21 more fit");
    RunIdentity { experiment, root }
}

/// `deviated` first: a status of `completed` says nothing of the verdict, and one of `failed`
/// may follow from the deviation.
fn outcome(journal: &Journal) -> ExperimentOutcome {
    if let Some(outcome) = journal.own_outcome {
        return outcome;
    }
    let measured = |phase: Phase| {
        let of_phase = journal.steady_states.iter().filter(move |(it, _)| *it == phase);
        of_phase.map(|(_, measured)| measured.held)
    };
    let broke = measured(Phase::During).chain(measured(Phase::After)).any(|held| !held);
    match journal.deviated {
        Some(true) => return ExperimentOutcome::Deviated,
        None if broke || journal.status == "deviated" => return ExperimentOutcome::Deviated,
        Some(false) | None => {}
    }
    match journal.status.as_str() {
        "completed" | "deviated" => ExperimentOutcome::Held,
        "aborted" | "interrupted" => ExperimentOutcome::Aborted,
        _ => ExperimentOutcome::Failed,
    }
}

struct Story {
    identity: RunIdentity,
    events: Vec<Event>,
}

impl Story {
    fn tell(&mut self, id: EventId, cause: Option<EventId>, at: Timestamp, data: EventData) {
        self.events.push(told(&self.identity.experiment, id, cause, at, data));
    }

    fn begin(&mut self, journal: &Journal) {
        let RunIdentity { experiment, root } = self.identity.clone();
        let planned = ExperimentPlanned {
            experiment: experiment.clone(),
            title: journal.title.clone(),
            description: journal.description.as_deref().map(Text::clipped),
            hypothesis: journal.hypothesis.as_deref().map(Line::clipped),
            tags: journal.tags.iter().map(|tag| Line::clipped(tag)).collect(),
        };
        self.tell(root, None, journal.start, planned.into());
        let started = ExperimentStarted { experiment };
        self.tell(root.derived("started"), Some(root), journal.start, started.into());
    }

    fn steady_state(&mut self, phase: Phase, number: u32, measured: &read::Measured) {
        let phase = match phase {
            Phase::Before => SteadyStatePhase::Before,
            Phase::During => SteadyStatePhase::During,
            Phase::After => SteadyStatePhase::After,
        };
        let RunIdentity { experiment, root } = self.identity.clone();
        let probes = measured.probes.iter().map(|probe| ProbeResult {
            name: Line::clipped(&probe.name),
            held: probe.held,
            value: probe.value.and_then(|value| Finite::new(value).ok()),
            tolerance: Line::clipped(&probe.tolerance),
        });
        let data = SteadyStateMeasured {
            experiment,
            phase,
            held: measured.held,
            probes: probes.collect(),
        };
        let id = root.derived(&format!("steady-state/{phase:?}/{number}"));
        self.tell(id, Some(root), measured.at, data.into());
    }

    /// Every action in which a fault is recognised, and the names of those in which none is.
    fn faults(&mut self, journal: &Journal) -> (Vec<RecognisedFault>, Vec<String>) {
        let (mut faults, mut others) = (Vec::new(), Vec::new());
        for (index, activity) in journal.run.iter().enumerate() {
            if !activity.is_action || !activity.succeeded {
                continue;
            }
            match fault::recognise(activity) {
                Some(fault) => {
                    self.fault(journal, index, activity, &fault);
                    faults.push(fault);
                }
                None if fault::clears(activity) => {}
                None => others.push(activity.name.clone()),
            }
        }
        (faults, others)
    }

    fn fault(
        &mut self,
        journal: &Journal,
        index: usize,
        activity: &Activity,
        recognised: &RecognisedFault,
    ) {
        let RunIdentity { experiment, root } = self.identity.clone();
        // The id that this program would have given it, by its place in the file.
        let place = journal.place_in_method(activity).unwrap_or(index);
        let fault = FaultId::new(format!("{experiment}-{}", place + 1))
            .expect("an experiment id of at most 81 characters leaves room for a number");
        let injected = FaultInjected {
            fault: fault.clone(),
            experiment: Some(experiment.clone()),
            kind: recognised.kind.clone(),
            component: recognised.component.clone(),
            peer: recognised.peer.clone(),
            parameters: recognised.parameters.clone(),
            deadline_ms: None,
        };
        let id = injected_id(root, &fault);
        self.tell(id, Some(root), recognised.at, injected.into());
        let (at, cleared_by, action, verified) = fault::clearing(journal, activity, recognised);
        let cleared = FaultCleared {
            fault,
            experiment: Some(experiment),
            cleared_by,
            action: Line::clipped(&action),
            verified,
        };
        self.tell(id.derived("cleared"), Some(id), at, cleared.into());
    }

    fn end(&mut self, journal: &Journal, outcome: ExperimentOutcome) {
        let RunIdentity { experiment, root } = self.identity.clone();
        let reason = journal.reason.as_deref().map(Line::clipped);
        let data = ExperimentFinished { experiment, outcome, reason };
        self.tell(root.derived("finished"), Some(root), journal.end, data.into());
    }
}

/// Who undid an imported fault, when nobody wrote it down.
const NOBODY_SAID: ClearedBy = ClearedBy::Recovery;

#[cfg(test)]
mod tests;
