//! What callers may ask.

mod answers;
mod filter;
mod lists;
mod lookups;
mod operations;
mod order;

use async_graphql::MergedObject;

use super::audit::Audit;
use super::model::ModelQueries;
use super::objective::Objectives;
use super::record::TrackRecords;
use super::retention::Retentions;
use super::search::Searches;

/// Questions to the knowledge base. `asOf` on any of them asks for the answer of an earlier
/// moment, which comes out the same for good, whatever is recorded later. `waitFor` makes it wait
/// until the graph contains that position, such as the one that a mutation or an append answered;
/// when that takes too long the error's code is `not_projected_yet`.
#[derive(MergedObject, Default)]
pub struct Query(
    answers::Answers,
    lists::Lists,
    lookups::Lookups,
    operations::Operations,
    Audit,
    ModelQueries,
    Objectives,
    Retentions,
    Searches,
    TrackRecords,
);
