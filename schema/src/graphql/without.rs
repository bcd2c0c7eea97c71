//! What a ranking is asked to do without: `rootCauses(without: …)`.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::ID;
use diagnosis::evidence::{Call, Evidence};
use events::{ComponentName, EventData, EventId, LabelId};

use super::error::{ApiError, ApiResult};
use super::id::{global, key};
use super::load::Loaders;
use crate::models::Method;
use crate::reads::Unsaid;

/// Most ids that are left out of a ranking.
const MAX_WITHOUT: usize = 1_000;

/// What ids of calls begin with.
const CALL: &str = "call:";

/// Names may be such that two calls have one id: then it means both.
type CallsById<'e> = BTreeMap<String, Vec<&'e Call>>;

/// The calls of the evidence by their ids, when any of `ids` is one.
fn calls<'e>(ids: &[ID], evidence: &'e Evidence) -> CallsById<'e> {
    let mut calls = CallsById::new();
    if ids.iter().any(|id| id.starts_with(CALL)) {
        for call in evidence.calls() {
            calls.entry(call_id(&call.caller, &call.callee).0).or_default().push(call);
        }
    }
    calls
}

/// The id of a call. It is no node of its own.
pub fn call_id(caller: &ComponentName, callee: &ComponentName) -> ID {
    global("call", format_args!("{caller}->{callee}"))
}

/// As if this were not there.
#[derive(Debug, Default)]
pub struct LeftOut {
    events: BTreeSet<EventId>,
    calls: BTreeSet<Call>,
    /// What people and experiments said of past incidents.
    pub said: Unsaid,
}

impl LeftOut {
    /// What `ids` name: events and calls of the evidence, and labels and feedback of past incidents
    /// when `method` learns from those.
    pub async fn read(
        loaders: &Loaders,
        ids: &[ID],
        evidence: &Evidence,
        method: &Method,
    ) -> ApiResult<Self> {
        if ids.len() > MAX_WITHOUT {
            let message = format!("expected at most {MAX_WITHOUT} ids, got {}", ids.len());
            return Err(ApiError::invalid("without", message));
        }
        let mut left_out = Self::default();
        let calls = calls(ids, evidence);
        for (index, id) in ids.iter().enumerate() {
            let field = format!("without.{index}");
            left_out.add(loaders, &field, id, (evidence, &calls)).await?;
            if !left_out.said.is_empty() && !method.learns() {
                let message = format!("expected no label, because {method} does not learn");
                return Err(ApiError::invalid(field, message));
            }
        }
        Ok(left_out)
    }

    async fn add(
        &mut self,
        loaders: &Loaders,
        field: &str,
        id: &ID,
        (evidence, calls): (&Evidence, &CallsById<'_>),
    ) -> ApiResult<()> {
        if id.starts_with(CALL) {
            let named = calls.get(id.as_str());
            let named = named.ok_or_else(|| ApiError::not_found(field, "call", id.as_str()))?;
            self.calls.extend(named.iter().map(|call| (*call).clone()));
        } else if id.starts_with("label:") {
            let label: LabelId = key("label", field, id)?;
            self.label(loaders, field, label).await?;
        } else {
            let event = id.parse().map_err(|_| {
                let expected = "expected the id of an event, of a call or of a label";
                ApiError::invalid(field, format!("{expected}, got {:?}", id.0))
            })?;
            if evidence.contains(event) {
                self.events.insert(event);
            } else {
                self.said_by(loaders, field, event).await?;
            }
        }
        Ok(())
    }

    async fn label(&mut self, loaders: &Loaders, field: &str, label: LabelId) -> ApiResult<()> {
        match loaders.label(&label).await? {
            Some(_) => self.said.label(label),
            None => return Err(ApiError::not_found(field, "label", label)),
        }
        Ok(())
    }

    async fn said_by(&mut self, loaders: &Loaders, field: &str, event: EventId) -> ApiResult<()> {
        let view = loaders.view();
        let found = view.base().log.find(event).await.map_err(ApiError::internal)?;
        let found = found.filter(|it| it.position <= view.reaches());
        match found.map(|it| it.event.data) {
            Some(EventData::LabelAssigned(data)) => self.said.label(data.label),
            Some(EventData::FeedbackGiven(_)) => self.said.feedback(event),
            _ => {
                let what = "event of the evidence, or of a label or feedback,";
                return Err(ApiError::not_found(field, what, event));
            }
        }
        Ok(())
    }

    /// The evidence without it.
    pub fn of(&self, mut evidence: Evidence) -> Evidence {
        if !self.events.is_empty() {
            evidence = evidence.without(&self.events);
        }
        if !self.calls.is_empty() {
            evidence = evidence.without_calls(&self.calls);
        }
        evidence
    }
}
