//! What callers may ask.

mod answers;
mod filter;
mod lists;
mod lookups;

use async_graphql::{Context, MergedObject};

use super::Base;
use super::error::{ApiError, ApiResult};
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
