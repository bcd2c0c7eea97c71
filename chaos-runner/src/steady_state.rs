//! Measuring a steady-state hypothesis from golden signals.
//!
//! A measurement looks at whole telemetry windows that lie after a given moment: requests that
//! ended in them began, with few exceptions, in the state that the moment started. Before and
//! after the method it is repeated until the hypothesis holds or the patience is used up, since
//! a shop that just started or just recovered is not steady at once. While a fault acts it is
//! taken once, at the end of the fault's time, over all of it.

mod signals;

use std::time::{Duration, Instant};

use events::Timestamp;
use jiff::SignedDuration;
use serde_json::Value;

use crate::experiment::{Experiment, Provider, SignalProbe, SteadyProbe};
use crate::run::{
    ActivityError, ActivityStatus, Check, ProbeRecord, SteadyStateRecord, call_outside, describe,
    record,
};
use crate::shop::control::{ControlClient, ControlError, WindowSignals};

/// How often the shop is asked for new windows.
const POLL: Duration = Duration::from_millis(100);

/// How long after its end a window may appear.
const PUBLICATION: Duration = Duration::from_millis(1_500);

/// Windows that are looked back on at most.
const MAX_WINDOWS: usize = 400;

/// A hypothesis and the shop to measure it on.
#[derive(Clone, Debug)]
pub(crate) struct SteadyState {
    probes: Vec<SteadyProbe>,
    span: Duration,
    shop: ControlClient,
}

impl SteadyState {
    pub(crate) fn new(experiment: &Experiment, shop: ControlClient) -> Self {
        let probes = experiment.hypothesis.iter().flat_map(|it| it.probes.clone()).collect();
        Self { probes, span: experiment.runtime.span, shop }
    }

    /// Measures spans that begin at `since` or later, until the hypothesis holds or `patience`
    /// is over; the last measurement is the answer. However long `patience` is, there is time
    /// for one measurement.
    pub(crate) async fn established(
        &self,
        since: Timestamp,
        patience: Duration,
    ) -> SteadyStateRecord {
        let deadline = Instant::now() + patience;
        let mut since = since;
        loop {
            let start = Timestamp::now();
            let windows = self.windows_after(since, deadline).await;
            if let Some(first) = windows.as_ref().ok().and_then(|windows| windows.first()) {
                // Slide by one window: a bad start must not hide a good end.
                since = first.window.end();
            }
            let record = self.judge(start, windows).await;
            if record.held || Instant::now() >= deadline {
                return record;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Measures the time since `injected_at`, up to now.
    pub(crate) async fn while_acting(&self, injected_at: Timestamp) -> SteadyStateRecord {
        let start = Timestamp::now();
        let publication = Instant::now() + PUBLICATION;
        loop {
            let windows = self.windows_within(injected_at, start).await;
            // The last window of the time may be closed and not yet published.
            let missing = match &windows {
                Ok(windows) => windows.last().is_none_or(|last| {
                    let next = last.window.end().saturating_add(length(last));
                    next.is_ok_and(|end| end <= start)
                }),
                Err(_) => true,
            };
            if !missing || Instant::now() >= publication {
                return self.judge(start, windows).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether an abort condition is met now: by the newest window after `since`, or by what
    /// another probe answers. A signal without a value says nothing.
    pub(crate) async fn check(&self, probe: &SteadyProbe, since: Timestamp) -> Check {
        let start = Timestamp::now();
        let outcome = match &probe.activity.provider {
            Provider::Signal(signal) => {
                let mut windows = match self.shop.signals(1).await {
                    Ok(windows) => windows,
                    Err(error) => return Check::Unknown(describe(&error)),
                };
                windows.retain(|signals| signals.window.end() > since);
                match signals::read(signal, &windows) {
                    Ok(value) => Ok(Value::from(value)),
                    Err(_) => return Check::Fine,
                }
            }
            outside => call_outside(outside)
                .await
                .expect("conditions hold no fault actions; the loader refuses them"),
        };
        let record = judged(probe, start, outcome);
        if record.tolerance_met {
            Check::Fine
        } else if record.record.status == ActivityStatus::Failed {
            Check::Unknown(record.in_words())
        } else {
            Check::Met(record.in_words())
        }
    }

    /// A signal over the last span.
    pub(crate) async fn latest(&self, probe: &SignalProbe) -> Result<f64, ActivityError> {
        let span = SignedDuration::try_from(self.span).unwrap_or(SignedDuration::MAX);
        let windows = self.shop.signals(MAX_WINDOWS).await?;
        let newest = windows.last().map(|last| last.window.end()).unwrap_or_default();
        let since = newest.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let kept: Vec<_> =
            windows.into_iter().filter(|signals| signals.window.end() > since).collect();
        signals::read(probe, &kept)
    }

    /// Waits until whole windows from `since` on cover the span. Past `deadline` it waits for
    /// one span more and makes do with what there is.
    async fn windows_after(
        &self,
        since: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<WindowSignals>, ControlError> {
        let window = Duration::from_millis(self.shop.status().await?.window_ms);
        // A window that begins just before the moment does not count, and the last one of the
        // span may overlap its end.
        let enough = self.span + 2 * window + PUBLICATION;
        let end = (Instant::now() + enough).max(deadline);
        loop {
            let windows = self.windows_within(since, Timestamp::MAX).await?;
            let covered: u64 = windows.iter().map(|signals| signals.window.duration_ms).sum();
            let covers = u128::from(covered) >= self.span.as_millis() && !windows.is_empty();
            if covers || Instant::now() >= end {
                return Ok(windows);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The known windows that lie wholly between two moments, oldest first.
    async fn windows_within(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<WindowSignals>, ControlError> {
        let mut windows = self.shop.signals(MAX_WINDOWS).await?;
        windows.retain(|signals| signals.window.start >= since && signals.window.end() <= until);
        Ok(windows)
    }

    /// Every probe, over the given windows. All are taken, also past one that does not hold:
    /// which signals deviate together is what one wants to learn.
    async fn judge(
        &self,
        start: Timestamp,
        windows: Result<Vec<WindowSignals>, ControlError>,
    ) -> SteadyStateRecord {
        let mut probes = Vec::with_capacity(self.probes.len());
        for probe in &self.probes {
            let outcome = match &probe.activity.provider {
                Provider::Signal(signal) => match &windows {
                    Ok(windows) => signals::read(signal, windows).map(Value::from),
                    Err(error) => Err(signals::not_measured(signal, describe(error))),
                },
                outside => call_outside(outside)
                    .await
                    .expect("a hypothesis holds no fault actions; the loader refuses them"),
            };
            probes.push(judged(probe, start, outcome));
        }
        SteadyStateRecord { held: probes.iter().all(|probe| probe.tolerance_met), probes }
    }
}

fn length(signals: &WindowSignals) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(signals.window.duration_ms).unwrap_or(i64::MAX))
}

fn judged(
    probe: &SteadyProbe,
    start: Timestamp,
    outcome: Result<Value, ActivityError>,
) -> ProbeRecord {
    let unit = match &probe.activity.provider {
        Provider::Signal(signal) => signal.signal.unit(),
        _ => "",
    };
    let record = record(probe.activity.document.clone(), start, outcome);
    let measured = record.output.get("status").unwrap_or(&record.output).as_f64();
    ProbeRecord {
        tolerance_met: record.status == ActivityStatus::Succeeded
            && probe.tolerance.accepts(&record.output),
        name: probe.activity.name.clone(),
        value: measured,
        unit,
        tolerance: probe.tolerance.in_words(unit),
        record,
    }
}
