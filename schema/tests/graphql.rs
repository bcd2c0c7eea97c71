//! GraphQL as a client sees it, over a short projected history.

#[path = "graphql/base.rs"]
mod base;
#[path = "graphql/changes.rs"]
mod changes;
#[path = "graphql/history.rs"]
mod history;
#[path = "graphql/limits.rs"]
mod limits;
#[path = "graphql/questions.rs"]
mod questions;
#[path = "graphql/ranking.rs"]
mod ranking;
