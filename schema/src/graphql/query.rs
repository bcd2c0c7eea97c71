//! What callers may ask.

mod answers;
mod lists;
mod lookups;

use async_graphql::{Context, ID, MergedObject};
use events::id::InvalidId;

use super::Base;
use super::error::{ApiError, ApiResult};
use super::id::key;
use super::scalar::Position;

/// Questions to the knowledge base. `waitFor` on any of them makes it wait until the graph
/// contains that position, such as the one that a mutation or an append answered; when that
/// takes too long the error's code is `not_projected_yet`.
#[derive(MergedObject, Default)]
pub struct Query(answers::Answers, lists::Lists, lookups::Lookups);

/// The base of the request, once its graph contains the position to wait for.
async fn base<'a>(ctx: &'a Context<'_>, wait_for: Option<Position>) -> ApiResult<&'a Base> {
    let base: &Base = ctx.data_unchecked();
    if let Some(Position(wanted)) = wait_for
        && !base.projected_to(wanted).await
    {
        return Err(ApiError::NotProjectedYet { wanted, at: base.projected() });
    }
    Ok(base)
}

/// The key of an argument that narrows a list.
fn narrowed<T>(kind: &'static str, field: &str, id: Option<&ID>) -> ApiResult<Option<String>>
where
    T: TryFrom<String, Error = InvalidId> + Into<String>,
{
    id.map(|id| key::<T>(kind, field, id).map(Into::into)).transpose()
}
