//! What the state of things allows.

use std::collections::HashMap;

use events::catalogue::incident::{IncidentMerged, MitigationApplied};
use events::catalogue::label::{Claim, FeedbackGiven, LabelAssigned, LabelRetracted};
use events::{EventData, IncidentId};

use super::known::{Known, KnownIncident};
use super::{Command, Refusal};
use crate::rows::IncidentStatus::{Merged, Resolved};

/// The incident that a command is about.
pub fn incident(data: &EventData) -> Option<&IncidentId> {
    Some(match data {
        EventData::IncidentOpened(data) => &data.incident,
        EventData::IncidentAcknowledged(data) => &data.incident,
        EventData::MitigationApplied(data) => &data.incident,
        EventData::IncidentMitigated(data) => &data.incident,
        EventData::IncidentResolved(data) => &data.incident,
        EventData::IncidentReopened(data) => &data.incident,
        EventData::IncidentMerged(data) => &data.incident,
        EventData::PostmortemPublished(data) => &data.incident,
        EventData::LabelAssigned(data) => &data.incident,
        EventData::LabelRetracted(data) => &data.incident,
        EventData::FeedbackGiven(data) => &data.incident,
        _ => return None,
    })
}

/// Whether what it does is allowed or not by what other commands do.
pub fn takes_turns(data: &EventData) -> bool {
    !matches!(
        data,
        EventData::LabelAssigned(_)
            | EventData::FeedbackGiven(_)
            | EventData::PostmortemPublished(_)
            | EventData::MitigationApplied(_)
            | EventData::ModelSelected(_)
    )
}

/// Refuses what is not allowed, or is no command.
pub fn check(data: &EventData, known: &Known) -> Result<(), Refusal> {
    match data {
        EventData::IncidentOpened(data) => {
            if !known.component(&data.component) {
                return Err(Refusal::unknown("/component", "component", &data.component));
            }
            match known.incident(&data.incident) {
                Some(incident) if incident.is_opened() => Err(Refusal::new(
                    "incident_exists",
                    "/incident",
                    format!("incident {:?} exists already", data.incident.as_str()),
                )),
                _ => Ok(()),
            }
        }
        EventData::IncidentAcknowledged(data) => unfinished(known, &data.incident),
        EventData::IncidentMitigated(data) => unfinished(known, &data.incident),
        EventData::IncidentResolved(data) => unfinished(known, &data.incident),
        EventData::IncidentReopened(data) => resolved(known, &data.incident),
        EventData::IncidentMerged(data) => merge(known, data),
        EventData::MitigationApplied(data) => mitigation(known, data),
        EventData::PostmortemPublished(data) => existing(known, &data.incident).map(drop),
        EventData::LabelAssigned(data) => label(known, data),
        EventData::LabelRetracted(data) => retraction(known, data),
        EventData::FeedbackGiven(data) => feedback(known, data),
        EventData::ModelSelected(data) => match data.model.as_ref() {
            Some(model) if !known.model(model) => Err(Refusal::unknown("/model", "model", model)),
            _ => Ok(()),
        },
        other => {
            let message = format!("{} is no command", other.event_type());
            Err(Refusal::new("invalid_input", "", message))
        }
    }
}

/// Two labels of one id within one call.
pub fn repeated_labels(commands: &[Command], before: &[Option<u64>]) -> Vec<(usize, Refusal)> {
    let mut first = HashMap::new();
    let mut repeated = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        if let (EventData::LabelAssigned(data), None) = (&command.data, before[index])
            && let Some(first) = first.insert(&data.label, index)
        {
            let message = format!("entry {first} has the same label id");
            repeated.push((index, Refusal::new("label_exists", "/label", message)));
        }
    }
    repeated
}

fn existing<'k>(known: &'k Known, id: &IncidentId) -> Result<&'k KnownIncident, Refusal> {
    known.incident(id).ok_or_else(|| Refusal::unknown("/incident", "incident", id))
}

fn unfinished(known: &Known, id: &IncidentId) -> Result<(), Refusal> {
    match existing(known, id)?.status {
        Some(Resolved) => Err(Refusal::new(
            "incident_over",
            "/incident",
            format!("incident {:?} is over already", id.as_str()),
        )),
        Some(Merged) => Err(merged("/incident", id, existing(known, id)?)),
        _ => Ok(()),
    }
}

fn resolved(known: &Known, id: &IncidentId) -> Result<(), Refusal> {
    match existing(known, id)?.status {
        Some(Resolved) => Ok(()),
        Some(Merged) => Err(merged("/incident", id, existing(known, id)?)),
        _ => Err(Refusal::new(
            "incident_not_over",
            "/incident",
            format!("incident {:?} is not over, so there is nothing to reopen", id.as_str()),
        )),
    }
}

fn merged(pointer: &str, id: &IncidentId, known: &KnownIncident) -> Refusal {
    let onward = known.merged_into.as_ref().map(|it| it.as_str()).unwrap_or_default();
    let message =
        format!("incident {:?} goes on as incident {onward:?}; say it of that", id.as_str());
    Refusal::new("incident_merged", pointer, message)
}

/// Neither end may be merged away already. So the incidents that others go on as are always
/// unmerged ones, and no chain of merges can lead back to where it began.
fn merge(known: &Known, data: &IncidentMerged) -> Result<(), Refusal> {
    let from = existing(known, &data.incident)?;
    let into = known.incident(&data.into);
    let into = into.ok_or_else(|| Refusal::unknown("/into", "incident", &data.into))?;
    if from.status == Some(Merged) {
        return Err(merged("/incident", &data.incident, from));
    }
    if into.status == Some(Merged) {
        return Err(merged("/into", &data.into, into));
    }
    Ok(())
}

fn mitigation(known: &Known, data: &MitigationApplied) -> Result<(), Refusal> {
    existing(known, &data.incident)?;
    if let Some(component) = data.component.as_ref().filter(|it| !known.component(it)) {
        return Err(Refusal::unknown("/component", "component", component));
    }
    if let Some(runbook) = data.runbook.as_ref().filter(|it| !known.runbook(it)) {
        return Err(Refusal::unknown("/runbook", "runbook", runbook));
    }
    Ok(())
}

fn label(known: &Known, data: &LabelAssigned) -> Result<(), Refusal> {
    existing(known, &data.incident)?;
    match &data.claim {
        Claim::RootCause { component } | Claim::ContributingFactor { component }
            if !known.component(component) =>
        {
            return Err(Refusal::unknown("/claim/component", "component", component));
        }
        Claim::Duplicate { of } if known.incident(of).is_none() => {
            return Err(Refusal::unknown("/claim/of", "incident", of));
        }
        _ => {}
    }
    if let Some(fault) = data.fault.as_ref().filter(|it| !known.fault(it)) {
        return Err(Refusal::unknown("/fault", "fault", fault));
    }
    match known.label(&data.label) {
        Some(_) => Err(Refusal::new(
            "label_exists",
            "/label",
            format!("label {:?} was given before", data.label.as_str()),
        )),
        None => Ok(()),
    }
}

fn retraction(known: &Known, data: &LabelRetracted) -> Result<(), Refusal> {
    let label = known.label(&data.label);
    let label = label.ok_or_else(|| Refusal::unknown("/label", "label", &data.label))?;
    if label.incident != data.incident {
        let (label_of, got) = (label.incident.as_str(), data.incident.as_str());
        let message = format!("the label is of incident {label_of:?}, got {got:?}");
        return Err(Refusal::new("invalid_input", "/incident", message));
    }
    match label.until {
        Some(_) => Err(Refusal::new(
            "label_retracted",
            "/label",
            format!("label {:?} is retracted already", data.label.as_str()),
        )),
        None => Ok(()),
    }
}

fn feedback(known: &Known, data: &FeedbackGiven) -> Result<(), Refusal> {
    existing(known, &data.incident)?;
    let diagnosis = known.diagnosis(&data.diagnosis).filter(|it| it.is_proposed());
    let Some(diagnosis) = diagnosis else {
        return Err(Refusal::unknown("/diagnosis", "diagnosis", &data.diagnosis));
    };
    if diagnosis.incident.as_ref() != Some(&data.incident) {
        let of = diagnosis.incident.as_ref().map(|it| it.as_str()).unwrap_or_default();
        let message = format!("the diagnosis is of incident {of:?}");
        return Err(Refusal::new("invalid_input", "/incident", message));
    }
    let suspects = diagnosis.suspects;
    match data.right_rank {
        Some(rank) if suspects == 0 => {
            let message = format!("the diagnosis has no suspects, got {rank}; leave it out");
            Err(Refusal::new("invalid_input", "/right_rank", message))
        }
        Some(rank) if !(1..=suspects).contains(&rank) => {
            let message = format!("expected a rank from 1 to {suspects}, or none, got {rank}");
            Err(Refusal::new("invalid_input", "/right_rank", message))
        }
        _ => Ok(()),
    }
}
