//! GraphQL as a client sees it, over a short projected history.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "graphql/base.rs"]
mod base;
#[path = "graphql/changes.rs"]
mod changes;
#[path = "graphql/commands.rs"]
mod commands;
#[path = "graphql/history.rs"]
mod history;
#[path = "graphql/limits.rs"]
mod limits;
#[path = "graphql/nodes.rs"]
mod nodes;
#[path = "graphql/odd.rs"]
mod odd;
#[path = "graphql/overviews.rs"]
mod overviews;
#[path = "graphql/questions.rs"]
mod questions;
#[path = "graphql/ranking.rs"]
mod ranking;
#[path = "graphql/record.rs"]
mod record;
#[path = "graphql/search.rs"]
mod search;
#[path = "graph/steps.rs"]
mod steps;
#[path = "graphql/time_travel.rs"]
mod time_travel;
#[path = "graphql/verdicts.rs"]
mod verdicts;
#[path = "graphql/view.rs"]
mod view;
#[path = "graphql/watching.rs"]
mod watching;
