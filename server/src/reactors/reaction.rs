//! Events that follow from others: their ids derive from their cause, so that deciding twice
//! appends once.

use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, Timestamp};

/// Who decided, as it stands in the events.
pub(super) mod source {
    /// Anomalies and incidents.
    pub(in crate::reactors) const DETECTOR: &str = "/faultline/detector";
    /// Suspects and remedies.
    pub(in crate::reactors) const DIAGNOSIS: &str = "/faultline/diagnosis";
    /// Labels and mitigations that experiments tell.
    pub(in crate::reactors) const LABELS: &str = "/faultline/labels";
    /// Models.
    pub(in crate::reactors) const LEARNER: &str = "/faultline/learner";
    /// Error budgets that burn.
    pub(in crate::reactors) const OBJECTIVES: &str = "/faultline/objectives";
}

/// An event of an incident that follows from `cause`.
pub(super) fn of_incident(
    id: EventId,
    source: &str,
    incident: &IncidentId,
    cause: EventId,
    time: Timestamp,
    data: impl Into<EventData>,
) -> Event {
    let mut event = Event::with_id(id, Line::clipped(source), time, data);
    event.correlation_id = Some(Line::clipped(incident.as_str()));
    event.causation_id = Some(cause);
    event
}
