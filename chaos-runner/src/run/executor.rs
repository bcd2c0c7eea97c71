//! Carries out one activity at a time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events::catalogue::experiment::{ClearedBy, SteadyStatePhase};
use events::value::Line;
use events::{FaultId, Timestamp};
use serde_json::{Value, json};

use super::ledger::{Acting, Ledger, chain};
use super::provider::{ActivityError, call_outside};
use super::{
    ActivityRecord, ActivityStatus, Place, Reporter, Resilience, RunEventKind, RunIdentity,
    Section, SteadyStateRecord, Stop, StopReason,
};
use crate::experiment::{Activity, FaultAction, Provider, SignalProbe};
use crate::steady_state::SteadyState;

/// What a fault's deadline in the shop leaves for measuring and undoing at the end of its time.
/// Only when this runner died does the deadline pass.
const GRACE: Duration = Duration::from_secs(15);

/// Carries out activities on a shop and reports what happens.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) identity: RunIdentity,
    pub(super) steady_state: SteadyState,
    pub(super) measures_during: bool,
    pub(super) ledger: Ledger,
    pub(super) reporter: Reporter,
    pub(super) stop: Stop,
    /// Deadline in the shop of faults that have no duration of their own.
    pub(super) longest: Duration,
    /// The first probe that did not hold during or after the method.
    pub(super) deviation: Mutex<Option<String>>,
    /// What came of the probes during and after the method.
    pub(super) resilience: Mutex<Resilience>,
}

impl Executor {
    /// Carries out an activity with its pauses and reports it. In the method, an action that
    /// fails ends the run: what follows would act on another system than it was written for.
    pub(super) async fn activity(&self, place: Place, activity: &Activity) -> ActivityRecord {
        let in_method = place.section == Section::Method;
        if in_method {
            self.stop.sleep(activity.pauses.before).await;
        }
        let expected = match &activity.provider {
            Provider::Fault(action) => action.duration,
            _ => None,
        };
        let name = activity.name.clone();
        self.reporter.report(RunEventKind::ActivityStarted { place, name: name.clone(), expected });
        let start = Timestamp::now();
        let outcome = self.call(place, activity).await;
        let record = record(activity.document.clone(), start, outcome);
        if in_method && record.status == ActivityStatus::Failed && is_action(activity) {
            let why = record.why();
            self.stop.stop(StopReason::ActivityFailed(format!(
                "{name:?} failed: {why}",
                name = name.as_str()
            )));
        }
        let finished = RunEventKind::ActivityFinished { place, name, record: record.clone() };
        self.reporter.report_at(record.end, finished);
        if in_method {
            self.stop.sleep(activity.pauses.after).await;
        }
        record
    }

    async fn call(&self, place: Place, activity: &Activity) -> Result<Value, ActivityError> {
        let in_method = place.section == Section::Method;
        if in_method && self.stop.reason().is_some() {
            return Err(ActivityError::Skipped);
        }
        match &activity.provider {
            Provider::Fault(action) => self.fault(place, &activity.name, action).await,
            Provider::ClearFault { of } => self.clear_by_name(of).await,
            Provider::Signal(probe) => self.signal(probe).await,
            // A program or a request that hangs must not keep an interrupt waiting.
            outside if in_method => tokio::select! {
                outcome = call_outside(outside) => outcome.expect("the other providers are above"),
                () = self.stop.stopped() => Err(ActivityError::Skipped),
            },
            outside => call_outside(outside).await.expect("the other providers are above"),
        }
    }

    /// Injects a fault; one with a duration is held for it and undone.
    async fn fault(
        &self,
        place: Place,
        name: &Line,
        action: &FaultAction,
    ) -> Result<Value, ActivityError> {
        let fault = FaultId::new(format!("{}-{}", self.identity.experiment, place.index + 1))
            .expect("an experiment id of at most 80 characters leaves room for a number");
        let deadline = action.duration.map_or(self.longest, |duration| duration + GRACE);
        let spec = action.spec(Some(fault.clone()), Some(deadline));
        let injected = self.ledger.inject(name, &fault, &spec).await?;
        let output = json!(injected);
        if let Some(duration) = action.duration {
            self.stop.sleep(duration).await;
            self.end_fault(&Acting { name: name.clone(), fault: injected, measured: false })
                .await?;
        }
        Ok(output)
    }

    /// Measures what a fault did, unless that is known, then undoes it.
    pub(super) async fn end_fault(&self, acting: &Acting) -> Result<(), ActivityError> {
        self.measure_during(acting).await;
        let by = match self.stop.reason() {
            Some(
                StopReason::Signal(_) | StopReason::Deadline(_) | StopReason::AbortCondition(_),
            ) => ClearedBy::Interrupt,
            Some(StopReason::ActivityFailed(_)) | None => ClearedBy::Rollback,
        };
        self.ledger.clear(&acting.fault.fault, by).await
    }

    /// Measures the steady state while a fault acts: once, and not in a run that is to end.
    pub(super) async fn measure_during(&self, acting: &Acting) {
        if !self.measures_during
            || self.stop.reason().is_some()
            || !self.ledger.mark_measured(&acting.fault.fault)
        {
            return;
        }
        let phase = SteadyStatePhase::During;
        self.reporter.report(RunEventKind::MeasuringSteadyState { phase });
        tokio::select! {
            record = self.steady_state.while_acting(acting.fault.injected_at) => {
                self.measured(phase, record);
            }
            () = self.stop.stopped() => {}
        }
    }

    /// Reports a measurement, and keeps in mind when it deviates.
    pub(super) fn measured(&self, phase: SteadyStatePhase, record: SteadyStateRecord) {
        if phase != SteadyStatePhase::Before {
            let mut resilience = self.resilience.lock().unwrap_or_else(PoisonError::into_inner);
            resilience.count_all(&record);
        }
        if let Some(probe) = record.broken() {
            let when = match phase {
                SteadyStatePhase::Before => None,
                SteadyStatePhase::During => Some("while the method ran"),
                SteadyStatePhase::After => Some("after the method"),
            };
            if let Some(when) = when {
                let mut deviation = self.deviation.lock().unwrap_or_else(PoisonError::into_inner);
                deviation.get_or_insert_with(|| format!("{when}, {probe}"));
            }
        }
        self.reporter.report(RunEventKind::SteadyStateMeasured { phase, record });
    }

    /// What came of the probes so far.
    pub(super) fn resilience(&self) -> Resilience {
        *self.resilience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first probe that did not hold during or after the method, in words.
    pub(super) fn deviation(&self) -> Option<String> {
        self.deviation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Clearing what is already gone is no error: a rollback states what should be.
    async fn clear_by_name(&self, of: &Line) -> Result<Value, ActivityError> {
        if let Some(acting) = self.ledger.acting().into_iter().find(|acting| acting.name == *of) {
            self.end_fault(&acting).await?;
        }
        Ok(self.ledger.cleared(of).map_or(Value::Null, |cleared| json!(cleared)))
    }

    async fn signal(&self, probe: &SignalProbe) -> Result<Value, ActivityError> {
        self.steady_state.latest(probe).await.map(Value::from)
    }
}

fn is_action(activity: &Activity) -> bool {
    activity.kind == crate::experiment::ActivityKind::Action
}

/// The journal's record of an activity that began at `start` and ends now.
pub(crate) fn record(
    activity: Value,
    start: Timestamp,
    outcome: Result<Value, ActivityError>,
) -> ActivityRecord {
    let end = Timestamp::now();
    let (status, output, exception) = match outcome {
        Ok(output) => (ActivityStatus::Succeeded, output, Vec::new()),
        Err(error) => (ActivityStatus::Failed, Value::Null, chain(&error)),
    };
    let duration = end.duration_since(start).as_secs_f64().max(0.0);
    ActivityRecord { activity, output, status, start, end, duration, exception }
}
