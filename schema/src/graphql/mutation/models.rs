//! Which model answers.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use events::catalogue::model::ModelSelected;

use super::super::error::ApiResult;
use super::super::model::ModelChoice;
use super::super::scalar::Position;
use super::input;
use super::submit::{command, submit};

/// Which model answers from now on.
#[derive(InputObject)]
pub struct SelectModelInput {
    /// Which.
    pub choice: ModelChoice,
    /// The version to pin; with `PINNED` alone.
    pub model: Option<ID>,
    /// Who decides, 1 to 500 characters.
    pub by: String,
    /// Why, up to 500 characters.
    pub reason: Option<String>,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// What a mutation on models did.
#[derive(SimpleObject)]
pub struct SelectModelPayload {
    /// Where the event stands in the log. Give it as `waitFor` to a later query that has to see
    /// the change.
    pub position: Position,
    /// The event that was recorded.
    pub event_id: ID,
    /// Whether the graph contained the change when this was answered.
    pub projected: bool,
}

/// The mutations on models.
#[derive(Default)]
pub struct Models;

#[Object]
impl Models {
    /// Decides which model ranks suspects from now on: pins a version, goes back to an earlier
    /// one, to none, or follows what is learned again. Needs the scope `admin`.
    async fn select_model(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, and who decides.")] input: SelectModelInput,
    ) -> ApiResult<SelectModelPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let data = ModelSelected {
            choice: input.choice.into(),
            model: input::optional_key("model", "input.model", input.model.as_ref())?,
            by: input::line("input.by", input.by)?,
            reason: input::optional_line("input.reason", input.reason)?,
        };
        let recorded = submit(ctx, command(event_id, data)?).await?;
        Ok(SelectModelPayload {
            position: Position(recorded.position),
            event_id: recorded.event_id.into(),
            projected: recorded.projected,
        })
    }
}
