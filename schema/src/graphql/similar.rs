//! When did we see this before, and what fixed it.

use std::sync::Arc;

use async_graphql::{Context, Object};
use diagnosis::fingerprint::{self, Fingerprint};
use diagnosis::similarity::Told;
use diagnosis::verdict::{Verdict, verdict};
use events::IncidentId;
use events::catalogue::diagnosis as catalogue;
use events::value::Ratio;

use super::component::Component;
use super::described::{self, SymptomInput};
use super::error::{ApiError, ApiResult};
use super::incident::Incident;
use super::knowledge::{Mitigation, MitigationKind};
use super::load::Loaders;
use super::page::{Cursor, MAX_FIRST};
use super::provenance::{Provenance, ScoreTerm};
use crate::Answering;
use crate::index::NearestTo;
use crate::rows;

/// How many similar incidents are answered when no number is asked for.
pub const DEFAULT_SIMILAR: i32 = 5;

pub struct SimilarIncident {
    incident: IncidentId,
    score: f64,
    reasons: Vec<catalogue::ScoreTerm>,
    provenance: Option<rows::Provenance>,
}

impl From<&rows::Resembles> for SimilarIncident {
    fn from(row: &rows::Resembles) -> Self {
        Self {
            incident: row.to.clone(),
            score: row.score,
            reasons: row.reasons.clone(),
            provenance: Some(row.provenance.clone()),
        }
    }
}

impl From<catalogue::SimilarIncident> for SimilarIncident {
    fn from(found: catalogue::SimilarIncident) -> Self {
        Self {
            incident: found.incident,
            score: found.score.get(),
            reasons: found.reasons,
            provenance: None,
        }
    }
}

impl SimilarIncident {
    async fn verdict(&self, ctx: &Context<'_>) -> ApiResult<Verdict> {
        let labels = Loaders::of(ctx).labels_on(&self.incident).await?;
        Ok(verdict(labels.iter().filter_map(|label| label.opinion())))
    }
}

/// A past incident that looks like the one in question.
#[Object]
impl SimilarIncident {
    /// The past incident.
    async fn incident(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).incident(&self.incident).await
    }

    /// How similar, 0 to 1.
    async fn score(&self) -> f64 {
        self.score
    }

    /// What makes the score, the largest share first.
    async fn reasons(&self) -> Vec<ScoreTerm> {
        self.reasons.iter().map(Into::into).collect()
    }

    /// Where the resemblance comes from; null when it was computed for this request.
    async fn provenance(&self) -> Option<Provenance> {
        self.provenance.as_ref().map(Into::into)
    }

    /// What caused it, by the labels that count.
    async fn root_cause(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        let verdict = self.verdict(ctx).await?;
        Loaders::of(ctx).optional(verdict.root_cause(), Loaders::component).await
    }

    /// What kind of fault it was, by the labels that count.
    async fn fault_kind(&self, ctx: &Context<'_>) -> ApiResult<Option<String>> {
        Ok(self.verdict(ctx).await?.fault_kind().map(ToString::to_string))
    }

    /// What was done against it, by time.
    async fn fixed_by(&self, ctx: &Context<'_>) -> ApiResult<Vec<Mitigation>> {
        let mut done = Loaders::of(ctx).mitigations_of(&self.incident).await?.to_vec();
        done.retain(|row| MitigationKind::from(row.kind) != MitigationKind::Suggested);
        done.sort_by_key(|row| Cursor::at(row.at, row.id));
        Ok(done.into_iter().map(Mitigation).collect())
    }
}

/// The past incidents that look like `incident`, by its latest recorded diagnosis, or else by
/// one computed now.
pub async fn to_incident(
    ctx: &Context<'_>,
    incident: &rows::Incident,
    first: i32,
    min_score: f64,
) -> ApiResult<Vec<SimilarIncident>> {
    let wanted = Wanted::read(first, min_score)?;
    let Some(looks) = looks_of(ctx, incident).await? else { return Ok(Vec::new()) };
    wanted.nearest(ctx, looks, Some(&incident.id)).await
}

/// The past incidents that look like what `symptoms` describe.
pub async fn to_symptoms(
    ctx: &Context<'_>,
    symptoms: &[SymptomInput],
    first: i32,
    min_score: f64,
) -> ApiResult<Vec<SimilarIncident>> {
    let wanted = Wanted::read(first, min_score)?;
    let described = described::fingerprint(ctx, symptoms).await?;
    wanted.nearest(ctx, (described, None), None).await
}

struct Wanted {
    first: usize,
    min_score: Ratio,
}

impl Wanted {
    fn read(first: i32, min_score: f64) -> ApiResult<Self> {
        if !(1..=MAX_FIRST).contains(&first) {
            let message = format!("expected 1 to {MAX_FIRST}, got {first}");
            return Err(ApiError::invalid("first", message));
        }
        let min_score = Ratio::new(min_score)
            .map_err(|error| ApiError::invalid("minScore", error.to_string()))?;
        Ok(Self { first: first.unsigned_abs() as usize, min_score })
    }

    async fn nearest(
        &self,
        ctx: &Context<'_>,
        (fingerprint, told): Looks,
        excluding: Option<&IncidentId>,
    ) -> ApiResult<Vec<SimilarIncident>> {
        let loaders = Loaders::of(ctx);
        let view = loaders.view();
        let asked = NearestTo {
            fingerprint,
            told,
            at: view.reaches(),
            first: self.first,
            min_score: self.min_score.get(),
            excluding: excluding.cloned(),
            withheld: Arc::default(),
            of_known_kind: false,
        };
        view.indexed().await?;
        let found = view.graph().index().nearest(asked).await;
        Ok(found.into_iter().map(Into::into).collect())
    }
}

/// What was measured of an incident, and what was said of it.
type Looks = (Fingerprint, Option<Told>);

async fn looks_of(ctx: &Context<'_>, incident: &rows::Incident) -> ApiResult<Option<Looks>> {
    let recorded = Loaders::of(ctx).diagnoses_for(&incident.id).await?;
    let latest = recorded
        .iter()
        .filter(|row| row.fingerprint.is_some())
        .max_by_key(|row| (row.evidence_position, row.provenance.since));
    let recorded = latest.and_then(|row| row.fingerprint.clone());
    // A fingerprint of a form that is no longer understood is computed anew.
    if let Some(Ok(fingerprint)) = recorded.map(serde_json::from_value) {
        let told = latest.and_then(|row| row.told.clone());
        let told = told.and_then(|told| serde_json::from_value(told).ok());
        return Ok(Some((fingerprint, told)));
    }
    let loaders = Loaders::of(ctx);
    let view = loaders.view();
    view.count_statement();
    let evidence = view.graph().evidence(&incident.id, view.reaches()).await;
    let Some(evidence) = evidence.map_err(ApiError::internal)? else { return Ok(None) };
    let ranking = Answering::default().rank(&evidence);
    view.count_statement();
    let title = view.graph().title_given(&incident.id, view.reaches()).await;
    let told = Told::of(title.map_err(ApiError::internal)?.as_deref(), &evidence);
    Ok(Some((fingerprint::of(&evidence, &ranking), Some(told))))
}
