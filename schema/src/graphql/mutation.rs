//! What callers may change: they append events, and nothing else changes the graph.

mod incidents;
mod input;
mod labels;
mod models;
mod submit;

use async_graphql::MergedObject;

/// Changes. Each appends events to the log and answers their positions; the same `eventId` again
/// records nothing twice and gives the same answer. What a change speaks of may have been
/// recorded just before: a change waits until the graph contains what the log had when it came,
/// and when that takes too long the error's code is `not_projected_yet`.
#[derive(MergedObject, Default)]
pub struct Mutation(labels::Labels, incidents::Incidents, models::Models);
