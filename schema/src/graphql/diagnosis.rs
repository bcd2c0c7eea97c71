//! Ranked suspects, recorded or computed now, down to the events behind each number.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use diagnosis::rank;
use events::catalogue::diagnosis as catalogue;
use events::{ComponentName, EventId, FaultKind};

use super::component::Component;
use super::error::{ApiError, ApiResult};
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::page::{Nodes, Page, cost};
use super::provenance::{Provenance, ScoreTerm, event_ids};
use super::scalar::{DateTime, Position};
use super::similar::SimilarIncident;
use super::verdict::Feedback;
use super::without::LeftOut;
use crate::models::{Method, Question, RankError};
use crate::rows;

#[derive(Clone)]
pub struct Diagnosis(pub Arc<rows::Diagnosis>);

/// A recorded ranking of the suspects of an incident.
#[Object]
impl Diagnosis {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("diagnosis", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// The incident.
    async fn incident(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).optional(self.0.incident.as_ref(), Loaders::incident).await
    }

    /// The method and its version, such as `own-excess@1`.
    async fn method(&self) -> Option<&str> {
        self.0.method.as_deref()
    }

    /// The trained model, when one was used.
    async fn model(&self) -> Option<&str> {
        self.0.model.as_ref().map(|model| model.as_str())
    }

    /// The evidence was everything up to this position of the log.
    async fn evidence_position(&self) -> Option<Position> {
        self.0.evidence_position.map(Position)
    }

    /// Why it has no suspects; null when it has.
    async fn abstained(&self) -> Option<&str> {
        self.0.abstained.as_deref()
    }

    /// When it was proposed.
    async fn proposed_at(&self) -> Option<DateTime> {
        self.0.at.map(DateTime)
    }

    /// The suspects, the most suspected first.
    async fn suspects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Suspect>> {
        recorded_suspects(ctx, &self.0).await
    }

    /// What people think of it, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Feedback>> {
        let page = Page::read(first, after)?;
        let Some(incident) = &self.0.incident else { return Ok(page.of(&[], Feedback)) };
        let mut rows = Loaders::of(ctx).feedback_on(incident).await?.to_vec();
        rows.retain(|row| row.diagnosis == self.0.id);
        Ok(page.of(&rows, Feedback))
    }

    /// The past incidents that it found similar, the most similar first.
    async fn similar(&self, ctx: &Context<'_>) -> ApiResult<Vec<SimilarIncident>> {
        let Some(incident) = &self.0.incident else { return Ok(Vec::new()) };
        let rows = Loaders::of(ctx).resemblances_of(incident).await?;
        let mut rows: Vec<_> = rows.iter().filter(|row| row.diagnosis == self.0.id).collect();
        rows.sort_by_key(|row| row.rank);
        Ok(rows.into_iter().map(|row| SimilarIncident::from(&**row)).collect())
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

pub struct Suspect {
    rank: u32,
    component: ComponentName,
    score: f64,
    fault_kind: Option<FaultKind>,
    terms: Vec<catalogue::ScoreTerm>,
    path: Vec<ComponentName>,
    provenance: Option<rows::Provenance>,
}

/// A component that may be the root cause.
#[Object]
impl Suspect {
    /// From 1, the most suspected.
    async fn rank(&self) -> u32 {
        self.rank
    }

    /// The component.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.component).await
    }

    /// How strongly it is suspected; comparable within one ranking.
    async fn score(&self) -> f64 {
        self.score
    }

    /// What kind of fault it looks like.
    async fn fault_kind(&self) -> Option<&str> {
        self.fault_kind.as_ref().map(|kind| kind.as_str())
    }

    /// What makes the score, the largest share first.
    async fn terms(&self) -> Vec<ScoreTerm> {
        self.terms.iter().map(Into::into).collect()
    }

    /// The ids of all events that the score was computed from.
    async fn evidence(&self) -> Vec<ID> {
        let events: BTreeSet<EventId> =
            self.terms.iter().flat_map(|term| term.evidence.iter().copied()).collect();
        event_ids(&events.into_iter().collect::<Vec<_>>())
    }

    /// The names of the components along the calls from where the incident was noticed to the
    /// suspect, both included; empty when no path is known.
    async fn path(&self) -> Vec<&str> {
        self.path.iter().map(|name| name.as_str()).collect()
    }

    /// Where the suspicion comes from; null when it was computed for this request.
    async fn provenance(&self) -> Option<Provenance> {
        self.provenance.as_ref().map(Into::into)
    }
}

/// Who is suspected of an incident, and by what.
#[derive(SimpleObject)]
pub struct RootCauses {
    /// The method and its version, such as `own-excess@1`; null while nothing is recorded.
    pub method: Option<String>,
    /// The recorded model that ranked; null when none did, and when one was learned for the question,
    /// `without` some labels.
    pub model: Option<String>,
    /// The recorded diagnosis that this is; null when it was computed for this request.
    pub diagnosis: Option<Diagnosis>,
    /// The evidence was everything up to this position of the log.
    pub evidence_position: Option<Position>,
    /// Why there are no suspects; null when there are.
    pub abstained: Option<String>,
    /// The suspects, the most suspected first.
    pub suspects: Vec<Suspect>,
}

/// How suspects are asked for.
#[derive(Default)]
pub struct Asked<'a> {
    /// By this method, now.
    pub method: Option<&'a str>,
    /// As if these events, calls and labels were not there.
    pub without: Option<&'a [ID]>,
}

impl Asked<'_> {
    /// The method to rank by now; `None` for what was recorded.
    fn method(&self) -> ApiResult<Option<Method>> {
        match (self.method, self.without) {
            (Some(name), _) => method("method", name).map(Some),
            (None, Some(_)) => Ok(Some(Method::Learning)),
            (None, None) => Ok(None),
        }
    }
}

/// The method of this name.
fn method(field: &str, name: &str) -> ApiResult<Method> {
    Method::named(name).ok_or_else(|| {
        let known: Vec<_> = rank::methods().iter().map(|method| method.name()).collect();
        let known = known.join(", ");
        let message = format!("expected one of {known}, or the version of a model, got {name:?}");
        ApiError::invalid(field, message)
    })
}

/// The latest recorded diagnosis of `incident`, or with a method, or without some of what is known, a
/// ranking computed now from the evidence in the graph, which has no place for labels and faults
/// (DI-3).
pub async fn root_causes(
    ctx: &Context<'_>,
    incident: &rows::Incident,
    asked: Asked<'_>,
) -> ApiResult<RootCauses> {
    let Some(method) = asked.method()? else { return latest(ctx, incident).await };
    let loaders = Loaders::of(ctx);
    let view = loaders.view();
    let position = view.reaches();
    view.count_statement();
    let evidence = view.graph().evidence(&incident.id, position).await;
    let evidence = evidence.map_err(ApiError::internal)?;
    let Some(evidence) = evidence else {
        return Ok(RootCauses {
            method: Some(method.to_string()),
            model: None,
            diagnosis: None,
            evidence_position: Some(Position(position)),
            abstained: Some("the opening of the incident is not known".to_owned()),
            suspects: Vec::new(),
        });
    };
    let ids = asked.without.unwrap_or_default();
    let left_out = LeftOut::read(&loaders, ids, &evidence, &method).await?;
    let (evidence, unsaid) = (left_out.of(evidence), &left_out.said);
    view.count_statement();
    let question = Question { incident: &incident.id, position, evidence: &evidence, unsaid };
    let (model, ranking) = method.rank(&view.base().models, view.graph(), question).await.map_err(
        |error| match error {
            RankError::UnknownModel(model) => ApiError::not_found("method", "model", model),
            RankError::Graph(error) => ApiError::internal(error),
        },
    )?;
    let suspects = (1..).zip(ranking.suspects).map(|(rank, suspect)| Suspect {
        rank,
        component: suspect.component,
        score: suspect.score.get(),
        fault_kind: suspect.fault_kind,
        terms: suspect.terms,
        path: suspect.path,
        provenance: None,
    });
    Ok(RootCauses {
        method: Some(ranking.method.as_str().to_owned()),
        model: model.map(|model| model.to_string()),
        diagnosis: None,
        evidence_position: Some(Position(position)),
        abstained: ranking.abstained.map(String::from),
        suspects: suspects.collect(),
    })
}

async fn latest(ctx: &Context<'_>, incident: &rows::Incident) -> ApiResult<RootCauses> {
    let recorded = Loaders::of(ctx).diagnoses_for(&incident.id).await?;
    let latest = recorded.iter().max_by_key(|row| (row.evidence_position, row.provenance.since));
    let Some(latest) = latest else {
        return Ok(RootCauses {
            method: None,
            model: None,
            diagnosis: None,
            evidence_position: None,
            abstained: Some("no diagnosis is recorded yet; ask with a method for one".to_owned()),
            suspects: Vec::new(),
        });
    };
    Ok(RootCauses {
        method: latest.method.clone(),
        model: latest.model.as_ref().map(ToString::to_string),
        diagnosis: Some(Diagnosis(latest.clone())),
        evidence_position: latest.evidence_position.map(Position),
        abstained: latest.abstained.clone(),
        suspects: recorded_suspects(ctx, latest).await?,
    })
}

async fn recorded_suspects(
    ctx: &Context<'_>,
    diagnosis: &rows::Diagnosis,
) -> ApiResult<Vec<Suspect>> {
    let rows = Loaders::of(ctx).suspects_of(&diagnosis.id).await?;
    let mut suspects: Vec<_> = rows
        .iter()
        .map(|row| Suspect {
            rank: row.rank,
            component: row.to.clone(),
            score: row.score,
            fault_kind: row.fault_kind.clone(),
            terms: row.terms.clone(),
            path: row.path.clone(),
            provenance: Some(row.provenance.clone()),
        })
        .collect();
    suspects.sort_by_key(|suspect| suspect.rank);
    Ok(suspects)
}
