//! What may help: what fixed a similar incident, and the runbook for the kind of fault.

use std::collections::BTreeMap;

use diagnosis::similarity::PastIncident;
use events::catalogue::diagnosis::{DiagnosisProposed, RemediationSuggested};
use events::catalogue::knowledge::RunbookPublished;
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, RecordedEvent, RunbookId, Timestamp};

use super::reaction::{of_incident, source};

/// A past incident less similar than this is no advice.
const SIMILAR_ENOUGH: f64 = 0.6;
/// Most similar incidents that advice is taken from.
const MOST_ADVISERS: usize = 2;

/// Runbooks, as the log has them.
#[derive(Default)]
pub(super) struct Remedies {
    runbooks: BTreeMap<RunbookId, RunbookPublished>,
}

impl Remedies {
    pub(super) fn observe(&mut self, recorded: &RecordedEvent) {
        if let EventData::RunbookPublished(data) = &recorded.event.data {
            self.runbooks.insert(data.runbook.clone(), data.clone());
        }
    }

    /// What to suggest after a diagnosis. The ids derive from the incident's opening and the
    /// advice, so that the next diagnosis does not repeat it.
    pub(super) fn suggest(
        &self,
        opened: EventId,
        cause: EventId,
        at: Timestamp,
        proposal: &DiagnosisProposed,
        past: &[PastIncident],
    ) -> Vec<Event> {
        let incident = &proposal.incident;
        let learned = proposal
            .similar
            .iter()
            .filter(|similar| similar.score.get() >= SIMILAR_ENOUGH)
            .filter_map(|similar| {
                let past = past.iter().find(|past| past.incident == similar.incident)?;
                Some((past.fixed_by.last()?, &similar.incident))
            })
            .take(MOST_ADVISERS)
            .map(|(action, from)| advice(incident, Line::clipped(action), None, Some(from)));
        let runbooks = self.runbooks_for(proposal).map(|runbook| {
            let action = format!("follow the runbook {:?}", runbook.title.as_str());
            advice(incident, Line::clipped(&action), Some(&runbook.runbook), None)
        });
        learned
            .chain(runbooks)
            .map(|data| {
                let id = opened.derived(&format!("remediation {}", data.action));
                of_incident(id, source::DIAGNOSIS, incident, cause, at, data)
            })
            .collect()
    }

    fn runbooks_for<'a>(
        &'a self,
        proposal: &'a DiagnosisProposed,
    ) -> impl Iterator<Item = &'a RunbookPublished> {
        let suspect = proposal.suspects.first();
        self.runbooks.values().filter(move |runbook| {
            let Some(suspect) = suspect else {
                return false;
            };
            let kind = suspect.fault_kind.as_ref();
            kind.is_some_and(|kind| runbook.fault_kinds.contains(kind))
                && runbook.component.as_ref().is_none_or(|at| *at == suspect.component)
        })
    }
}

fn advice(
    incident: &IncidentId,
    action: Line,
    runbook: Option<&RunbookId>,
    learned_from: Option<&IncidentId>,
) -> RemediationSuggested {
    RemediationSuggested {
        incident: incident.clone(),
        action,
        runbook: runbook.cloned(),
        learned_from: learned_from.cloned(),
    }
}
