//! Any node by its global id, as Relay asks.

use async_graphql::{Context, ID, Interface};
use events::EventId;

use super::component::Component;
use super::diagnosis::Diagnosis;
use super::error::{ApiError, ApiResult};
use super::event::{Event, event};
use super::experiment::{Experiment, Fault};
use super::id::key;
use super::incident::Incident;
use super::knowledge::{Change, Mitigation, Runbook};
use super::label::Label;
use super::load::Loaders;
use super::operations::{Alert, Maintenance};

/// Anything that has a global id.
#[derive(Interface)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way into an answer")]
#[graphql(field(name = "id", ty = "ID", desc = "Its global id."))]
pub enum Node {
    Alert(Alert),
    Change(Change),
    Component(Component),
    Diagnosis(Diagnosis),
    Event(Event),
    Experiment(Experiment),
    Fault(Fault),
    Incident(Incident),
    Label(Label),
    Maintenance(Maintenance),
    Mitigation(Mitigation),
    Runbook(Runbook),
}

/// The node with this global id: `kind:key`, or the bare UUID of an event.
pub async fn node(ctx: &Context<'_>, field: &str, id: &ID) -> ApiResult<Option<Node>> {
    let loaders = Loaders::of(ctx);
    let Some((kind, _)) = id.split_once(':') else {
        let event_id = id.parse::<EventId>().map_err(|_| not_global(field, id))?;
        return Ok(event(ctx, event_id).await?.map(Node::Event));
    };
    macro_rules! of_kind {
        ($kind:literal, $load:ident, $variant:ident) => {
            loaders.$load(&key($kind, field, id)?).await?.map(Node::$variant)
        };
    }
    Ok(match kind {
        "alert" => of_kind!("alert", alert, Alert),
        "component" => of_kind!("component", component, Component),
        "diagnosis" => of_kind!("diagnosis", diagnosis, Diagnosis),
        "experiment" => of_kind!("experiment", experiment, Experiment),
        "fault" => of_kind!("fault", fault, Fault),
        "incident" => of_kind!("incident", incident, Incident),
        "label" => of_kind!("label", label, Label),
        "maintenance" => of_kind!("maintenance", maintenance, Maintenance),
        "runbook" => of_kind!("runbook", runbook, Runbook),
        "change" => loaders.change(&event_key("change", field, id)?).await?.map(Node::Change),
        "mitigation" => {
            let id = event_key("mitigation", field, id)?;
            loaders.mitigation(&id).await?.map(Node::Mitigation)
        }
        _ => return Err(not_global(field, id)),
    })
}

/// The key of a node that stands for one event.
fn event_key(kind: &str, field: &str, id: &ID) -> ApiResult<EventId> {
    let key = id.as_str().strip_prefix(kind).and_then(|rest| rest.strip_prefix(':'));
    key.and_then(|key| key.parse().ok()).ok_or_else(|| not_global(field, id))
}

fn not_global(field: &str, id: &ID) -> ApiError {
    let message = format!("expected a global id such as incident:inc-42, got {:?}", id.as_str());
    ApiError::invalid(field, message)
}
