//! Incidents with everything that is known around them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::component::Component;
use super::diagnosis::{Diagnosis, RootCauses};
use super::error::ApiResult;
use super::experiment::Fault;
use super::id::global;
use super::knowledge::{Change, Mitigation};
use super::label::Label;
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page, cost, ranking_cost, similar_cost};
use super::provenance::{Provenance, event_ids};
use super::scalar::DateTime;
use super::similar::{DEFAULT_SIMILAR, SimilarIncident};
use super::timeline::{TimelineEntry, timeline};
use super::verdict::{Feedback, Verdict, verdict};
use super::vocabulary::{Severity, Signal};
use crate::rows;

/// How far an incident is.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "rows::IncidentStatus")]
pub enum IncidentStatus {
    /// Nobody has it yet.
    Open,
    /// Someone has it.
    Acknowledged,
    /// Users no longer notice.
    Mitigated,
    /// It is over.
    Resolved,
    /// It goes on as another incident.
    Merged,
}

#[derive(Clone)]
pub struct Incident(pub Arc<rows::Incident>);

/// Something went wrong: from its opening to its post-mortem.
#[Object]
impl Incident {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("incident", &self.0.id)
    }

    /// The key that its events and the REST API use.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// What is wrong, in a line; null while its opening has not arrived.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// How far it is.
    async fn status(&self) -> IncidentStatus {
        self.0.status.map_or(IncidentStatus::Open, Into::into)
    }

    /// How bad.
    async fn severity(&self) -> Option<Severity> {
        self.0.severity.map(Into::into)
    }

    /// Where it was noticed; not a diagnosis.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// Who or what noticed.
    async fn opened_by(&self) -> Option<&str> {
        self.0.opened_by.as_deref()
    }

    /// When it was opened.
    async fn opened_at(&self) -> Option<DateTime> {
        self.0.opened_at.map(DateTime)
    }

    /// When someone took it.
    async fn acknowledged_at(&self) -> Option<DateTime> {
        self.0.acknowledged_at.map(DateTime)
    }

    /// Who took it.
    async fn acknowledged_by(&self) -> Option<&str> {
        self.0.acknowledged_by.as_deref()
    }

    /// When users no longer noticed.
    async fn mitigated_at(&self) -> Option<DateTime> {
        self.0.mitigated_at.map(DateTime)
    }

    /// Who or what saw that users no longer noticed.
    async fn mitigated_by(&self) -> Option<&str> {
        self.0.mitigated_by.as_deref()
    }

    /// When it was over; null while it is not.
    async fn resolved_at(&self) -> Option<DateTime> {
        self.0.resolved_at.map(DateTime)
    }

    /// Who or what ended it.
    async fn resolved_by(&self) -> Option<&str> {
        self.0.resolved_by.as_deref()
    }

    /// How it ended.
    async fn resolution(&self) -> Option<&str> {
        self.0.resolution.as_deref()
    }

    /// When it was last found not to be over after all.
    async fn reopened_at(&self) -> Option<DateTime> {
        self.0.reopened_at.map(DateTime)
    }

    /// The incident that it goes on as.
    async fn merged_into(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).optional(self.0.merged_into.as_ref(), Loaders::incident).await
    }

    /// The ids of the events that it was opened for.
    async fn evidence(&self) -> Vec<ID> {
        event_ids(&self.0.evidence)
    }

    /// What was learned.
    async fn postmortem(&self) -> Option<Postmortem> {
        self.0.postmortem.as_ref().map(Into::into)
    }

    /// The components that show symptoms, the strongest first.
    async fn affects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Affected>> {
        let rows = Loaders::of(ctx).affected_by(&self.0.id).await?;
        let mut affected: Vec<_> = rows.iter().cloned().map(Affected).collect();
        affected.sort_by(|Affected(a), Affected(b)| {
            let strength = |row: &rows::Affects| row.strength.unwrap_or_default();
            strength(b).total_cmp(&strength(a)).then_with(|| a.to.cmp(&b.to))
        });
        Ok(affected)
    }

    /// What people and experiments say it was, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn labels(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Also those that were taken back.", default)] retracted: bool,
    ) -> ApiResult<Nodes<Label>> {
        let page = Page::read(first, after)?;
        let mut rows = Loaders::of(ctx).labels_on(&self.0.id).await?.to_vec();
        rows.retain(|label| retracted || label.retracted_at.is_none());
        Ok(page.of(&rows, Label))
    }

    /// What its labels come to: those that count, and those that are overruled and why.
    async fn verdict(&self, ctx: &Context<'_>) -> ApiResult<Verdict> {
        verdict(ctx, &self.0.id).await
    }

    /// What people think of its diagnoses, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Feedback>> {
        let page = Page::read(first, after)?;
        Ok(page.of(&Loaders::of(ctx).feedback_on(&self.0.id).await?, Feedback))
    }

    /// The recorded diagnoses, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn diagnoses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Diagnosis>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).diagnoses_for(&self.0.id).await?;
        Ok(page.of(&rows, Diagnosis))
    }

    /// The ranked suspects: those of the latest recorded diagnosis, or computed now.
    #[graphql(complexity = "ranking_cost(method.is_some(), without.is_some(), child_complexity)")]
    async fn root_causes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rank by this method now, from the evidence in the graph.")]
        method: Option<String>,
        #[graphql(
            desc = "Rank now as if these were not there: events and calls of the evidence, \
            labels and feedback that a model learned from; by `method`, or by the default one. Alerts \
            about a call tell of it all the same."
        )]
        without: Option<Vec<ID>>,
    ) -> ApiResult<RootCauses> {
        let asked =
            super::diagnosis::Asked { method: method.as_deref(), without: without.as_deref() };
        super::diagnosis::root_causes(ctx, &self.0, asked).await
    }

    /// The past incidents that look like it, the most similar first.
    #[graphql(complexity = "similar_cost(first, child_complexity)")]
    async fn similar(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200.", default_with = "DEFAULT_SIMILAR")] first: i32,
        #[graphql(desc = "The least score, 0 to 1.", default)] min_score: f64,
    ) -> ApiResult<Vec<SimilarIncident>> {
        super::similar::to_incident(ctx, &self.0, first, min_score).await
    }

    /// What was done, or suggested, against it, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn mitigations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Mitigation>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).mitigations_of(&self.0.id).await?;
        Ok(page.of(&rows, Mitigation))
    }

    /// The injected faults that caused it, as labels say, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn triggered_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Fault>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).faults_behind(&self.0.id).await?;
        Ok(page.of(&rows, Fault))
    }

    /// The deployments and changes of configuration shortly before it, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn preceded_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Change>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).changes_before(&self.0.id).await?;
        Ok(page.cut(
            &rows,
            true,
            |change| Cursor::at(change.row.at, change.row.id),
            |change| (*change).clone(),
        ))
    }

    /// What happened, step by step, the earliest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<TimelineEntry>> {
        timeline(ctx, &self.0.id, Page::read(first, after)?).await
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

pub struct Affected(Arc<rows::Affects>);

/// A component in an incident, with its symptoms.
#[Object]
impl Affected {
    /// The component.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.0.to).await
    }

    /// The largest strength of its symptoms, without sign.
    async fn strength(&self) -> Option<f64> {
        self.0.strength
    }

    /// The strongest symptom of each signal.
    async fn symptoms(&self) -> Vec<Symptom> {
        self.0.symptoms.iter().map(Into::into).collect()
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// What is unusual in one signal of a component.
#[derive(SimpleObject)]
pub struct Symptom {
    /// In what.
    pub signal: Signal,
    /// How unusual, in robust standard deviations; the sign is the direction.
    pub strength: f64,
    /// What was measured, in the signal's unit.
    pub observed: Option<f64>,
    /// What is usual, in the signal's unit.
    pub baseline: Option<f64>,
    /// When it was seen.
    pub at: DateTime,
    /// The event that attached it.
    pub event: ID,
    /// The ids of the events that show it.
    pub evidence: Vec<ID>,
}

impl From<&rows::Symptom> for Symptom {
    fn from(row: &rows::Symptom) -> Self {
        Self {
            signal: row.signal.into(),
            strength: row.strength,
            observed: row.observed,
            baseline: row.baseline,
            at: DateTime(row.at),
            event: row.event.into(),
            evidence: event_ids(&row.evidence),
        }
    }
}

/// What was learned from an incident.
#[derive(SimpleObject)]
pub struct Postmortem {
    /// Its title.
    pub title: String,
    /// The text, Markdown.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When it was published.
    pub at: DateTime,
    /// The event that published it.
    pub event: ID,
}

impl From<&rows::Postmortem> for Postmortem {
    fn from(row: &rows::Postmortem) -> Self {
        Self {
            title: row.title.clone(),
            text: row.text.clone(),
            author: row.author.clone(),
            at: DateTime(row.at),
            event: row.event.into(),
        }
    }
}
