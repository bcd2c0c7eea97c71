//! Service level objectives and how their error budgets stand.

use std::sync::Arc;

use ::diagnosis::objectives;
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use events::ComponentName;
use events::catalogue::model;

use super::Base;
use super::component::Component;
use super::error::ApiResult;
use super::id::key;
use super::list::List;
use super::load::Loaders;
use super::page::{Nodes, Page, cost};
use super::provenance::Provenance;
use super::scalar::{DateTime, Position};
use super::view::{AsOf, enter};
use crate::rows;

/// How objectives stand right now, for whoever keeps count of it.
pub type Standings = Arc<dyn Fn(&events::SloId) -> Option<objectives::Standing> + Send + Sync>;

/// What an objective counts.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Indicator")]
pub enum Indicator {
    /// Requests that did not fail, of all.
    Availability,
    /// Requests answered within `thresholdMs`, of all.
    Latency,
}

/// How an error budget stands by the newest window of measurements.
#[derive(SimpleObject)]
pub struct BudgetStanding {
    /// Requests over the objective's window.
    requests: f64,
    /// Those of them that were not good.
    bad: f64,
    /// Share of good requests; null without requests.
    good_ratio: Option<f64>,
    /// Share of the budget that is left: 1 at most, below 0 when it is overspent.
    budget_left_ratio: f64,
    /// How fast it burns, by look back, the fastest rule first.
    burns: Vec<BudgetBurn>,
}

/// A rule of multi-window, multi-burn-rate alerting: alarming when both looks back are.
#[derive(SimpleObject)]
pub struct BudgetBurn {
    /// The long look back.
    long_ms: f64,
    /// The short look back.
    short_ms: f64,
    /// Times the rate at which the budget would last exactly its window, from which on the rule
    /// is alarming.
    limit: f64,
    /// The rate over the long look back.
    long_rate: f64,
    /// The rate over the short look back.
    short_rate: f64,
    /// Both rates are at or over the limit.
    alarming: bool,
}

/// The last time that a budget was told to burn too fast.
#[derive(SimpleObject)]
pub struct LastBurn {
    /// When.
    at: DateTime,
    /// Times the rate at which the budget would last exactly its window.
    rate: Option<f64>,
    /// Over which time the rate was measured.
    window_ms: Option<f64>,
    /// Share of the budget that was left.
    budget_left_ratio: Option<f64>,
}

impl From<objectives::Standing> for BudgetStanding {
    fn from(standing: objectives::Standing) -> Self {
        let ms = |span: jiff::SignedDuration| span.as_millis() as f64;
        let burn = |burn: &objectives::Burn| BudgetBurn {
            long_ms: ms(burn.rule.long),
            short_ms: ms(burn.rule.short),
            limit: burn.rule.rate,
            long_rate: burn.long,
            short_rate: burn.short,
            alarming: burn.alarming,
        };
        Self {
            requests: standing.tally.total,
            bad: standing.tally.bad,
            good_ratio: standing.good,
            budget_left_ratio: standing.remaining,
            burns: standing.burns.iter().map(burn).collect(),
        }
    }
}

pub struct Objective {
    row: Arc<rows::Slo>,
    /// Whether it is asked as of now.
    live: bool,
}

/// A service level objective.
#[Object]
impl Objective {
    /// Its name.
    async fn name(&self) -> &str {
        self.row.id.as_str()
    }

    /// The component that it holds for.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.row.component.as_ref(), Loaders::component).await
    }

    /// What it counts.
    async fn indicator(&self) -> Option<Indicator> {
        self.row.indicator.map(Into::into)
    }

    /// The longest good latency, of one that counts latency.
    async fn threshold_ms(&self) -> Option<f64> {
        self.row.threshold_ms
    }

    /// The share of good requests that it asks for.
    async fn objective(&self) -> Option<f64> {
        self.row.objective
    }

    /// Over how much time.
    async fn window_ms(&self) -> Option<f64> {
        self.row.window_ms
    }

    /// When it was last defined.
    async fn defined_at(&self) -> Option<DateTime> {
        self.row.defined_at.map(DateTime)
    }

    /// How its budget stands; null as of an earlier moment, on a server that another one reacts
    /// for, and before the first measurement.
    async fn standing(&self, ctx: &Context<'_>) -> Option<BudgetStanding> {
        let base = ctx.data_unchecked::<Base>();
        let standing = base.standing(&self.row.id).filter(|_| self.live);
        standing.map(Into::into)
    }

    /// The last time that its budget was told to burn too fast.
    async fn last_burn(&self) -> Option<LastBurn> {
        Some(LastBurn {
            at: DateTime(self.row.burned_at?),
            rate: self.row.burn_rate,
            window_ms: self.row.burn_window_ms,
            budget_left_ratio: self.row.remaining,
        })
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.row.provenance).into()
    }
}

/// Which objectives.
#[derive(InputObject, Default)]
pub struct ObjectiveFilter {
    /// Those of this component: its name or global id.
    component: Option<ID>,
}

/// The field of the query type that lists objectives.
#[derive(Default)]
pub struct Objectives;

#[Object]
impl Objectives {
    /// Service level objectives, by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn objectives(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<ObjectiveFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Objective>> {
        let page = Page::read(first, after)?;
        let component = filter.unwrap_or_default().component;
        let component = component
            .map(|id| key::<ComponentName>("component", "filter.component", &id))
            .transpose()?;
        let list = List::by_key("slo").filter("component = $component", "component", component);
        let view = enter(ctx, as_of, wait_for).await?;
        let live = view.position().is_none();
        list.page(&view, &page, |row| Objective { row, live }).await
    }
}
