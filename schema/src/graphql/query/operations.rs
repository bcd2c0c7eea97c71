//! Pages of what other systems raised and what people planned and changed, and the overviews
//! that are made of whole tables.

use async_graphql::{Context, ID, Object};
use events::ComponentName;

use super::super::coverage::{self, CoverageCell, CoverageFilter};
use super::super::critical::{self, BlastRadius, CriticalPoint};
use super::super::error::ApiResult;
use super::super::id::key;
use super::super::knowledge::Change;
use super::super::operations::{Alert, Maintenance};
use super::super::page::{Nodes, Page, cost, overview_cost};
use super::super::recovery::{self, Recovery};
use super::super::scalar::{DateTime, Position};
use super::super::signals::{self, GoldenSignals};
use super::super::view::{AsOf, enter};
use super::filter::{AlertFilter, ChangeFilter, MaintenanceFilter};
use super::order::AlertOrder;

/// The fields of the query type about how things are run.
#[derive(Default)]
pub struct Operations;

#[Object]
impl Operations {
    /// What other systems raised.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the API")]
    async fn alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<AlertFilter>,
        #[graphql(desc = "The newest first when absent.")] order_by: Option<AlertOrder>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Alert>> {
        let page = Page::read(first, after)?;
        let (list, place) = AlertOrder::apply(order_by, filter.unwrap_or_default().list()?);
        list.page_by(&*enter(ctx, as_of, wait_for).await?, &page, place, Alert).await
    }

    /// Deployments and changes of configuration, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<ChangeFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Change>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Change::from).await
    }

    /// Windows of planned work, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn maintenance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<MaintenanceFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Maintenance>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Maintenance).await
    }

    /// What was measured of a component over a span of time, and of the calls from and to it, in
    /// at most `points` points a series.
    #[graphql(complexity = "2 * points.unsigned_abs() as usize + child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the API")]
    async fn golden_signals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or global id.")] component: ID,
        #[graphql(desc = "From this moment on.")] from: DateTime,
        #[graphql(desc = "Before this moment, at most seven days after `from`.")] to: DateTime,
        #[graphql(desc = "Most points of a series, 1 to 1,000.", default = 200)] points: i32,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<GoldenSignals> {
        let view = enter(ctx, as_of, wait_for).await?;
        let name = key::<ComponentName>("component", "component", &component)?;
        signals::golden_signals(ctx, &view, name, from.0, to.0, points).await
    }

    /// What was exercised by chaos experiments and what never was: every component that is no
    /// client × every kind of fault that is known, by component, then by kind. Beside it, how
    /// often the same happened for real.
    #[graphql(complexity = "overview_cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the API")]
    async fn coverage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of the cells.")] filter: Option<CoverageFilter>,
        #[graphql(
            desc = "A cell is stale when it was last exercised longer ago than this, 0 to 36,500 \
                    days before now, or before the moment of `asOf`.",
            default = 30
        )]
        stale_after_days: i32,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<CoverageCell>> {
        let page = Page::read(first, after)?;
        let view = enter(ctx, as_of, wait_for).await?;
        coverage::cells(ctx, &view, filter.unwrap_or_default(), stale_after_days, &page).await
    }

    /// Who is affected when a component fails, and whether that was seen.
    #[graphql(complexity = "1_000 + child_complexity")]
    async fn blast_radius(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or global id.")] component: ID,
        #[graphql(desc = "How many calls away, 1 to 50.", default = 3)] depth: i32,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<BlastRadius> {
        let view = enter(ctx, as_of, wait_for).await?;
        let name = key::<ComponentName>("component", "component", &component)?;
        critical::blast_radius(ctx, &view, name, depth).await
    }

    /// The components whose loss takes others with it: articulation points of the call graph,
    /// and those that no request gets round. Those with the most behind them first.
    #[graphql(complexity = "overview_cost(first, child_complexity)")]
    async fn critical_points(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<CriticalPoint>> {
        let page = Page::read(first, after)?;
        critical::points(&*enter(ctx, as_of, wait_for).await?, &page).await
    }

    /// How long it took to notice, to mitigate and to end what a component caused, and what undid
    /// it.
    #[graphql(complexity = "1_000 + child_complexity")]
    async fn recovery(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or global id.")] component: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Recovery> {
        let view = enter(ctx, as_of, wait_for).await?;
        let name = key::<ComponentName>("component", "component", &component)?;
        recovery::recovery(ctx, &view, name).await
    }
}
