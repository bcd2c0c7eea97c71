//! What is failing, why, when it was seen before, and how far the base is.

use async_graphql::{Context, ID, Object};
use diagnosis::rank;
use events::IncidentId;
use surrealdb::types::{Number, Value};

use super::super::described::SymptomInput;
use super::super::diagnosis::{Asked, RootCauses, root_causes};
use super::super::error::{ApiError, ApiResult};
use super::super::event::SetAsideEvent;
use super::super::id::key;
use super::super::incident::Incident;
use super::super::load::Loaders;
use super::super::page::{Cursor, Nodes, Page, cost, ranking_cost, similar_cost};
use super::super::read;
use super::super::scalar::Position;
use super::super::similar::{self, DEFAULT_SIMILAR, SimilarIncident};
use super::super::timeline::{TimelineEntry, timeline};
use super::super::view::{AsOf, enter};
use super::super::words::{self, KindsInWords};
use crate::reads::at_position;

/// The fields of the query type that answer a question.
#[derive(Default)]
pub struct Answers;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each is an argument of the API")]
impl Answers {
    /// What happened in an incident, step by step, the earliest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] incident: ID,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<TimelineEntry>> {
        enter(ctx, as_of, wait_for).await?;
        let Incident(incident) = known(ctx, &incident).await?;
        timeline(ctx, &incident.id, Page::read(first, after)?).await
    }

    /// The past incidents that look like one, or like symptoms that are described, the most
    /// similar first. Give exactly one of `incident` and `symptoms`.
    #[graphql(complexity = "similar_cost(first, child_complexity)")]
    async fn similar_incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key or global id of an incident.")] incident: Option<ID>,
        #[graphql(desc = "What is unusual now, 1 to 100 entries.")] symptoms: Option<
            Vec<SymptomInput>,
        >,
        #[graphql(desc = "How many, 1 to 200.", default_with = "DEFAULT_SIMILAR")] first: i32,
        #[graphql(desc = "The least score, 0 to 1.", default)] min_score: f64,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Vec<SimilarIncident>> {
        enter(ctx, as_of, wait_for).await?;
        match (incident, symptoms) {
            (Some(id), None) => {
                let Incident(incident) = known(ctx, &id).await?;
                similar::to_incident(ctx, &incident, first, min_score).await
            }
            (None, Some(symptoms)) => similar::to_symptoms(ctx, &symptoms, first, min_score).await,
            (Some(_), Some(_)) => {
                Err(ApiError::invalid("symptoms", "expected either an incident or symptoms"))
            }
            (None, None) => Err(ApiError::invalid("incident", "expected an incident or symptoms")),
        }
    }

    /// The ranked suspects of an incident, with what makes each score, the events behind it and
    /// the calls that lead to it: those of the latest recorded diagnosis, or computed now.
    #[graphql(complexity = "ranking_cost(method.is_some(), without.is_some(), child_complexity)")]
    async fn root_causes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] incident: ID,
        #[graphql(desc = "Rank by this method now, from the evidence in the graph.")]
        method: Option<String>,
        #[graphql(
            desc = "Rank now as if these were not there: events and calls of the evidence, \
            labels and feedback that a model learned from; by `method`, or by the default one. Alerts \
            about a call tell of it all the same."
        )]
        without: Option<Vec<ID>>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<RootCauses> {
        enter(ctx, as_of, wait_for).await?;
        let Incident(incident) = known(ctx, &incident).await?;
        let asked = Asked { method: method.as_deref(), without: without.as_deref() };
        root_causes(ctx, &incident, asked).await
    }

    /// Which kind of fault the words of an incident, or a text, tell of, by what labels taught. Give
    /// exactly one of `incident` and `text`.
    #[graphql(complexity = "ranking_cost(true, true, child_complexity)")]
    async fn fault_kinds(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key or global id of an incident.")] incident: Option<ID>,
        #[graphql(
            desc = "What was written: a ticket, alerts, log lines; at most 100,000 characters."
        )]
        text: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<KindsInWords> {
        enter(ctx, as_of, wait_for).await?;
        match (incident, text) {
            (Some(id), None) => {
                let Incident(incident) = known(ctx, &id).await?;
                words::of_incident(ctx, &incident).await
            }
            (None, Some(text)) => words::of_text(ctx, &text).await,
            (Some(_), Some(_)) => {
                Err(ApiError::invalid("text", "expected either an incident or a text"))
            }
            (None, None) => Err(ApiError::invalid("incident", "expected an incident or a text")),
        }
    }

    /// The names of the ranking methods that `rootCauses` knows.
    async fn methods(&self) -> Vec<&'static str> {
        rank::methods().iter().map(|method| method.name()).collect()
    }

    /// Position of the last event in the log; 0 when there is none.
    async fn head(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Position> {
        let view = enter(ctx, as_of, wait_for).await?;
        Ok(Position(view.position().unwrap_or_else(|| view.base().log.head())))
    }

    /// Position up to which the graph, and so every answer, contains the log.
    async fn projected_position(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Position> {
        Ok(Position(enter(ctx, as_of, wait_for).await?.reaches()))
    }

    /// The events that could not be projected, by position. They are in the log, and the graph
    /// does without them.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn set_aside_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<SetAsideEvent>> {
        let page = Page::read(first, after)?;
        let view = enter(ctx, as_of, wait_for).await?;
        let behind = page.after.as_ref().map_or(Ok(-1), |cursor| cursor.key.parse::<i64>());
        let behind = behind
            .map_err(|_| ApiError::invalid("after", "expected a cursor from an earlier answer"))?;
        let statement = format!(
            "SELECT * FROM set_aside WHERE position > $behind AND position <= $reaches \
             ORDER BY position LIMIT {}",
            page.limit()
        );
        let reaches = view.position().map_or(i64::MAX, at_position);
        let bindings = [("behind", behind), ("reaches", reaches)];
        let bindings =
            bindings.map(|(name, at)| (name.to_owned(), Value::Number(Number::Int(at)))).to_vec();
        let rows: Vec<SetAsideEvent> = read::rows(&view, &statement, bindings).await?;
        let placed = rows.into_iter().map(|row| (Cursor::named(row.position.0), row)).collect();
        Ok(page.connect(placed, |row| row))
    }
}

async fn known(ctx: &Context<'_>, id: &ID) -> ApiResult<Incident> {
    let incident: IncidentId = key("incident", "incident", id)?;
    let found = Loaders::of(ctx).incident(&incident).await?;
    found.ok_or_else(|| ApiError::not_found("incident", "incident", &incident))
}
