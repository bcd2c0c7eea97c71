//! What the labels of an incident come to, and what people think of its diagnoses.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use diagnosis::verdict::{self as rule, Because};
use events::{IncidentId, LabelId};

use super::component::Component;
use super::diagnosis::Diagnosis;
use super::error::ApiResult;
use super::incident::Incident;
use super::label::Label;
use super::load::Loaders;
use super::provenance::Provenance;
use super::scalar::DateTime;
use super::vocabulary::Severity;
use crate::rows;

/// Why one label counts and not the other.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "Because")]
pub enum OverruledBecause {
    /// The other is surer.
    LessSure,
    /// The other is as sure, and later.
    Earlier,
    /// The other is as sure, of the same moment, and its id is larger.
    SmallerId,
}

/// A label that contradicts one that counts.
#[derive(SimpleObject)]
pub struct OverruledLabel {
    /// The label.
    pub label: Label,
    /// The label that counts instead.
    pub by: Label,
    /// Why that one.
    pub because: OverruledBecause,
}

pub struct Verdict {
    verdict: rule::Verdict,
    labels: BTreeMap<LabelId, Arc<rows::Label>>,
}

/// What the labels of an incident come to. Of labels that contradict each other the surest
/// counts, of equally sure ones the latest, then the one with the larger id; who says it does not
/// matter, and what was taken back does not count. That nothing was wrong contradicts every root
/// cause, kind of fault and contributing factor.
#[Object]
impl Verdict {
    /// What caused it; null when no label says.
    async fn root_cause(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.verdict.root_cause(), Loaders::component).await
    }

    /// What kind of fault it was; null when no label says.
    async fn fault_kind(&self) -> Option<&str> {
        self.verdict.fault_kind().map(|kind| kind.as_str())
    }

    /// How bad it was; null when no label says.
    async fn severity(&self) -> Option<Severity> {
        self.verdict.severity().map(Into::into)
    }

    /// The incident that it is the same as; null when no label says.
    async fn duplicate_of(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).optional(self.verdict.duplicate_of(), Loaders::incident).await
    }

    /// What made it worse, by name.
    #[graphql(complexity = "5 * child_complexity")]
    async fn contributing_factors(&self, ctx: &Context<'_>) -> ApiResult<Vec<Component>> {
        let loaders = Loaders::of(ctx);
        let names = self.verdict.contributing_factors();
        let found = names.into_iter().map(|name| loaders.component(name));
        Ok(futures::future::try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Whether nothing was wrong.
    async fn is_false_positive(&self) -> bool {
        self.verdict.is_false_positive()
    }

    /// The labels that count, the strongest first.
    #[graphql(complexity = "5 * child_complexity")]
    async fn counting(&self) -> Vec<Label> {
        self.verdict.counting.iter().filter_map(|opinion| self.label(&opinion.label)).collect()
    }

    /// The labels that contradict one that counts, the strongest first.
    #[graphql(complexity = "5 * child_complexity")]
    async fn overruled(&self) -> Vec<OverruledLabel> {
        let overruled = self.verdict.overruled.iter().filter_map(|overruled| {
            Some(OverruledLabel {
                label: self.label(&overruled.opinion.label)?,
                by: self.label(&overruled.by)?,
                because: overruled.because.into(),
            })
        });
        overruled.collect()
    }
}

impl Verdict {
    fn label(&self, id: &LabelId) -> Option<Label> {
        self.labels.get(id).cloned().map(Label)
    }
}

/// The verdict on the labels of `incident`.
pub async fn verdict(ctx: &Context<'_>, incident: &IncidentId) -> ApiResult<Verdict> {
    let labels = Loaders::of(ctx).labels_on(incident).await?;
    let verdict = rule::verdict(labels.iter().filter_map(|label| label.opinion()));
    let labels = labels.iter().map(|label| (label.id.clone(), label.clone())).collect();
    Ok(Verdict { verdict, labels })
}

pub struct Feedback(pub Arc<rows::Feedback>);

/// What someone thinks of a diagnosis.
#[Object]
impl Feedback {
    /// The event that recorded it.
    async fn event(&self) -> ID {
        self.0.id.into()
    }

    /// The incident.
    async fn incident(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).incident(&self.0.incident).await
    }

    /// The diagnosis.
    async fn diagnosis(&self, ctx: &Context<'_>) -> ApiResult<Option<Diagnosis>> {
        Loaders::of(ctx).diagnosis(&self.0.diagnosis).await
    }

    /// The rank of the suspect that was right; null when none was.
    async fn right_rank(&self) -> Option<u32> {
        self.0.right_rank
    }

    /// Who says it.
    async fn by(&self) -> &str {
        &self.0.by
    }

    /// How sure they are, 0 to 1.
    async fn confidence(&self) -> f64 {
        self.0.confidence
    }

    /// Why.
    async fn comment(&self) -> Option<&str> {
        self.0.comment.as_deref()
    }

    /// When it was given.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}
