//! Full text: what people and machines wrote, by the words in it.

use async_graphql::{Context, Enum, Object, SimpleObject, Union};
use diagnosis::search::{self, DocumentId, DocumentKind, Hit, Nearness, Query};
use events::{ComponentName, IncidentId, RunbookId};

use super::component::Component;
use super::error::{ApiError, ApiResult};
use super::event::{Event, event_at};
use super::incident::Incident;
use super::knowledge::Runbook;
use super::load::Loaders;
use super::page::{MAX_FIRST, search_cost};
use super::scalar::Position;
use super::view::{self, AsOf};
use crate::index;

/// How many documents are answered when no number is asked for.
const DEFAULT_HITS: i32 = 20;

/// What kind of text was found.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "DocumentKind")]
pub enum SearchKind {
    /// What an incident is called and how it ended.
    Incident,
    /// What was learned from an incident.
    Postmortem,
    /// What people wrote down for the next time.
    Runbook,
    /// A log template of a component.
    LogPattern,
}

/// What was found: an incident by its own text or by its post-mortem, a runbook, or a log
/// template.
#[derive(Union)]
pub enum SearchNode {
    /// An incident, also for its post-mortem.
    Incident(Incident),
    /// A runbook.
    Runbook(Runbook),
    /// A log template.
    LogTemplate(LogTemplate),
}

pub struct LogTemplate {
    component: ComponentName,
    template: String,
}

/// A template that the logs of a component follow.
#[Object]
impl LogTemplate {
    /// Whose logs.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.component).await
    }

    /// The template, with `<*>` where lines differ.
    async fn template(&self) -> &str {
        &self.template
    }
}

/// A word of the question, and how much it made of the score.
#[derive(SimpleObject)]
pub struct SearchTerm {
    /// The word, as it was asked for.
    word: String,
    /// Its share of the score: the terms and the meaning add up to it.
    contribution: f64,
}

/// How near a text is to what the question means.
#[derive(SimpleObject)]
pub struct SearchMeaning {
    /// The cosine between the two, -1 to 1.
    cosine: f64,
    /// Its share of the score; below 0 when it points away.
    contribution: f64,
}

/// Part of a snippet.
#[derive(SimpleObject)]
pub struct SnippetPart {
    /// The text.
    text: String,
    /// Whether it is a word that was asked for.
    matched: bool,
}

pub struct SearchHit(Hit);

/// A text that has words of the question, or is near to what it means.
#[Object]
impl SearchHit {
    /// What kind of text.
    async fn kind(&self) -> SearchKind {
        self.0.document.kind.into()
    }

    /// What it belongs to.
    async fn node(&self, ctx: &Context<'_>) -> ApiResult<Option<SearchNode>> {
        node(ctx, &self.0.document).await
    }

    /// The score of its best paragraph, comparable within one answer: BM25's of its words or, where
    /// the server knows meanings, that and the nearness of what it means, each in standard deviations
    /// over all paragraphs.
    async fn score(&self) -> f64 {
        self.0.score
    }

    /// What words make of the score, in the order of the question; none when it has none of them.
    async fn terms(&self) -> Vec<SearchTerm> {
        let term =
            |(word, share): &(String, f64)| SearchTerm { word: word.clone(), contribution: *share };
        self.0.terms.iter().map(term).collect()
    }

    /// What the meaning makes of the score; absent where the server knows words alone, or nothing
    /// of the question.
    async fn meaning(&self) -> Option<SearchMeaning> {
        let Nearness { cosine, share } = self.0.meaning?;
        Some(SearchMeaning { cosine, contribution: share })
    }

    /// The fields that have any of the words, by name.
    async fn fields(&self) -> &[&'static str] {
        &self.0.fields
    }

    /// The field of the best paragraph.
    async fn field(&self) -> &str {
        self.0.field
    }

    /// The piece of the best paragraph that shows most of the words, or its beginning, in parts that
    /// together are the piece; `…` stands for what was left out.
    async fn snippet(&self) -> Vec<SnippetPart> {
        let part = |part: &search::SnippetPart| SnippetPart {
            text: part.text.clone(),
            matched: part.matched,
        };
        self.0.snippet.iter().map(part).collect()
    }

    /// Position of the event that made the best paragraph known.
    async fn since(&self) -> Position {
        Position(self.0.since)
    }

    /// The event that made the best paragraph known.
    async fn event(&self, ctx: &Context<'_>) -> ApiResult<Option<Event>> {
        event_at(ctx, self.0.since).await
    }
}

async fn node(ctx: &Context<'_>, document: &DocumentId) -> ApiResult<Option<SearchNode>> {
    let loaders = Loaders::of(ctx);
    Ok(match document.kind {
        DocumentKind::Incident | DocumentKind::Postmortem => {
            let Ok(key) = IncidentId::new(&*document.key) else { return Ok(None) };
            loaders.incident(&key).await?.map(SearchNode::Incident)
        }
        DocumentKind::Runbook => {
            let Ok(key) = RunbookId::new(&*document.key) else { return Ok(None) };
            loaders.runbook(&key).await?.map(SearchNode::Runbook)
        }
        DocumentKind::LogPattern => index::log_pattern(&document.key).map(|it| {
            let (component, template) = it;
            SearchNode::LogTemplate(LogTemplate { component, template })
        }),
    })
}

/// The field of the query type that searches texts.
#[derive(Default)]
pub struct Searches;

#[Object]
impl Searches {
    /// The texts that have any of the words or, where the server knows meanings, are near to what
    /// is asked; the best first, of equally good ones the latest.
    /// Words are compared by their English stems, and parts of identifiers count as words:
    /// `timeout` finds `PaymentTimeout`.
    #[graphql(complexity = "search_cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments)]
    async fn search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to look for: up to 1,000 characters and 32 different words.")]
        query: String,
        #[graphql(desc = "Only texts of these kinds; any when absent.")] kinds: Option<
            Vec<SearchKind>,
        >,
        #[graphql(desc = "How many, 1 to 200.", default_with = "DEFAULT_HITS")] first: i32,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Vec<SearchHit>> {
        let query =
            Query::read(&query).map_err(|error| ApiError::invalid("query", error.to_string()))?;
        let kinds = wanted(kinds)?;
        if !(1..=MAX_FIRST).contains(&first) {
            let message = format!("expected 1 to {MAX_FIRST}, got {first}");
            return Err(ApiError::invalid("first", message));
        }
        let view = view::enter(ctx, as_of, wait_for).await?;
        let first = first.unsigned_abs() as usize;
        view.indexed().await?;
        let hits = view.graph().index().search(query, kinds, view.reaches(), first).await;
        Ok(hits.into_iter().map(SearchHit).collect())
    }
}

fn wanted(kinds: Option<Vec<SearchKind>>) -> ApiResult<Vec<DocumentKind>> {
    match kinds {
        None => Ok(Vec::new()),
        Some(kinds) if kinds.is_empty() => {
            Err(ApiError::invalid("kinds", "expected at least one kind, or none at all for any"))
        }
        Some(kinds) => Ok(kinds.into_iter().map(Into::into).collect()),
    }
}
