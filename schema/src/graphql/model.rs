//! What was learned from labels, how good it is, and which of it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, Object, SimpleObject};
use events::catalogue::model;

use super::error::{ApiError, ApiResult};
use super::list::List;
use super::page::{Nodes, Page, cost};
use super::provenance::Provenance;
use super::scalar::{DateTime, Position};
use super::view::{AsOf, View, enter};
use crate::rows;

/// Which model answers.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "model::ModelChoice")]
pub enum ModelChoice {
    /// The latest that was trained and not rejected.
    Latest,
    /// None: what was known before the first label.
    Shipped,
    /// The one that is named, whatever is trained later.
    Pinned,
}

/// How good a model is on labelled incidents that it did not learn from.
#[derive(SimpleObject)]
pub struct ModelMetric {
    /// What is measured, such as `hit_at_1`.
    name: String,
    /// Its value.
    value: f64,
    /// The value of the model before it on the same incidents.
    before: Option<f64>,
}

/// What is learned of one sign.
#[derive(SimpleObject)]
pub struct ModelWeight {
    /// The sign; behind an arrow the kind of fault that it speaks for.
    name: String,
    /// How much it speaks for a component as the cause, in logarithms of odds.
    weight: f64,
}

pub struct Model(pub Arc<rows::Model>);

/// What was learned from the labels up to a position of the log.
#[Object]
impl Model {
    /// Its version.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// The method that uses it, such as `taught@1`.
    async fn method(&self) -> Option<&str> {
        self.0.method.as_deref()
    }

    /// When it was trained; null while only others speak of it.
    async fn trained_at(&self) -> Option<DateTime> {
        self.0.trained_at.map(DateTime)
    }

    /// The first position that it learned from.
    async fn data_from_position(&self) -> Option<Position> {
        self.0.data_from_position.map(Position)
    }

    /// The last position that it learned from.
    async fn data_to_position(&self) -> Option<Position> {
        self.0.data_to_position.map(Position)
    }

    /// How good it is on incidents that it did not learn from, by name.
    async fn metrics(&self) -> Vec<ModelMetric> {
        let metric = |(name, value): (&String, &f64)| ModelMetric {
            name: name.clone(),
            value: *value,
            before: self.0.metrics_before.get(name).copied(),
        };
        self.0.metrics.iter().map(metric).collect()
    }

    /// What it learned, the heaviest first; of many weights the heaviest alone.
    async fn weights(&self) -> Vec<ModelWeight> {
        heaviest_first(&self.0.weights)
    }

    /// Why it is not used unless somebody selects it; null when it may be.
    async fn rejected(&self) -> Option<&str> {
        self.0.rejected.as_deref()
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

fn heaviest_first(weights: &BTreeMap<String, f64>) -> Vec<ModelWeight> {
    let mut weights: Vec<_> = weights.iter().collect();
    weights.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(b.0)));
    let told =
        |(name, weight): (&String, &f64)| ModelWeight { name: name.clone(), weight: *weight };
    weights.into_iter().map(told).collect()
}

pub struct ModelSelection(pub Arc<rows::ModelSelection>);

/// Somebody decided which model answers from then on.
#[Object]
impl ModelSelection {
    /// Which.
    async fn choice(&self) -> ModelChoice {
        self.0.choice.into()
    }

    /// The version that is pinned.
    async fn model(&self) -> Option<&str> {
        self.0.model.as_ref().map(|model| model.as_str())
    }

    /// Who decided.
    async fn by(&self) -> &str {
        &self.0.by
    }

    /// Why.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// The fields of the query type that tell of models.
#[derive(Default)]
pub struct ModelQueries;

#[Object]
impl ModelQueries {
    /// The models that were trained, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn models(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Model>> {
        let page = Page::read(first, after)?;
        let list = List::newest("model", "trained_at");
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Model).await
    }

    /// The version of the model that ranks suspects; null while what was known before the first
    /// label does.
    async fn model_in_use(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<String>> {
        let view: Arc<View> = enter(ctx, as_of, wait_for).await?;
        view.count_statement();
        let used = view.graph().model_in_use(view.reaches()).await.map_err(ApiError::internal)?;
        Ok(used.map(|used| used.model.to_string()))
    }

    /// Who decided when which model answers, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn model_selections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<ModelSelection>> {
        let page = Page::read(first, after)?;
        let list = List::newest("model_selection", "at");
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, ModelSelection).await
    }
}
