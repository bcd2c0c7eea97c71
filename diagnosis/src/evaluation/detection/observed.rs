//! What the detector is shown.

use events::catalogue::telemetry::Window;
use events::{Event, EventData, RecordedEvent};
use jiff::{SignedDuration, Timestamp};

/// Whether an event is one that reaches a base from outside and tells no truth of an experiment.
pub fn is_observed(data: &EventData) -> bool {
    matches!(
        data,
        EventData::ComponentDiscovered(_)
            | EventData::ComponentDescribed(_)
            | EventData::DependencyObserved(_)
            | EventData::MetricSnapshotRecorded(_)
            | EventData::LogPatternsRecorded(_)
            | EventData::TraceEdgesRecorded(_)
            | EventData::DeploymentRecorded(_)
            | EventData::ConfigurationChanged(_)
            | EventData::MaintenanceStarted(_)
            | EventData::MaintenanceEnded(_)
            | EventData::AlertFired(_)
            | EventData::AlertResolved(_)
    )
}

/// What was observed while a recording was made, in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Observed(Vec<RecordedEvent>);

impl Observed {
    /// Of a recording's events, of which it takes those that [`is_observed`] lets through, but for
    /// alerts: an incident that somebody else noticed is not what is measured.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let is_alert =
            |data: &_| matches!(data, EventData::AlertFired(_) | EventData::AlertResolved(_));
        let observed = events.into_iter().filter(|event| is_observed(&event.data));
        let observed = observed.filter(|event| !is_alert(&event.data));
        let recorded = observed.zip(1..).map(|(event, position)| RecordedEvent {
            stream: event.data.stream(),
            revision: 0,
            position,
            recorded_at: event.time,
            event: event.clone(),
            pruned: None,
        });
        Self(recorded.collect())
    }

    /// The events.
    pub fn events(&self) -> &[RecordedEvent] {
        &self.0
    }

    /// The windows that something was measured in.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.0.iter().filter_map(|recorded| match &recorded.event.data {
            EventData::MetricSnapshotRecorded(data) => Some(&data.window),
            EventData::TraceEdgesRecorded(data) => Some(&data.window),
            _ => None,
        })
    }

    /// The usual window: half of them are as long or longer. What is told after a silence tells of
    /// all of it.
    pub(super) fn step(&self) -> SignedDuration {
        let mut lengths: Vec<u64> = self.windows().map(|window| window.duration_ms).collect();
        lengths.sort_unstable();
        let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
        SignedDuration::from_millis(i64::try_from(usual).unwrap_or(i64::MAX))
    }

    /// The times in which something was measured, each without a gap, by time.
    pub(super) fn covered(&self) -> Vec<(Timestamp, Timestamp)> {
        let mut windows: Vec<_> = self.windows().map(|it| (it.start, it.end())).collect();
        windows.sort();
        let mut covered: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (start, end) in windows {
            match covered.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => covered.push((start, end)),
            }
        }
        covered
    }
}
