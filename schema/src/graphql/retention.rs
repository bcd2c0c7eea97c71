//! What was taken out of the log on purpose.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use events::Timestamp;
use events::catalogue::retention::PrunedTelemetry as Pruned;
use events::catalogue::telemetry;
use serde::Deserialize;

use super::error::ApiResult;
use super::list::List;
use super::page::{Nodes, Page, cost};
use super::provenance::Provenance;
use super::read;
use super::scalar::{DateTime, Position};
use super::view::{AsOf, View, enter};
use crate::rows;

/// A kind of telemetry.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "telemetry::TelemetryKind")]
pub enum TelemetryKind {
    /// Snapshots of golden signals.
    Metrics,
    /// Windows of calls.
    Traces,
    /// Windows of log patterns.
    Logs,
}

/// What the policy for one kind of telemetry came to.
#[derive(SimpleObject)]
pub struct PrunedTelemetry {
    /// Which kind.
    kind: TelemetryKind,
    /// Nothing behind this position was pruned.
    until_position: Position,
    /// Nothing that was recorded later was pruned.
    recorded_until: DateTime,
    /// Events that lost their measurements.
    events: f64,
    /// Bytes of their records before that, uncompressed.
    bytes: f64,
    /// Events that were old enough and stayed whole, because an incident needs them or another
    /// event cites them.
    pinned_events: f64,
}

impl From<&Pruned> for PrunedTelemetry {
    fn from(pruned: &Pruned) -> Self {
        Self {
            kind: pruned.kind.into(),
            until_position: Position(pruned.until_position),
            recorded_until: DateTime(pruned.recorded_until),
            events: pruned.events as f64,
            bytes: pruned.bytes as f64,
            pinned_events: pruned.pinned_events as f64,
        }
    }
}

#[derive(Clone)]
pub struct Retention(pub Arc<rows::Retention>);

/// The measurements of old telemetry were taken out of the log.
#[Object]
impl Retention {
    /// The id of the event that recorded it.
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// What, by kind.
    async fn pruned(&self) -> Vec<PrunedTelemetry> {
        self.0.pruned.iter().map(Into::into).collect()
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// The field of the query type that lists what was pruned.
#[derive(Default)]
pub struct Retentions;

#[Object]
impl Retentions {
    /// When the measurements of old telemetry were taken out of the log, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn retentions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Retention>> {
        let page = Page::read(first, after)?;
        let list = List::newest("retention", "at");
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Retention).await
    }
}

/// Up to when recorded windows of metrics and calls may be missing. Of the store as it is, also
/// in an answer as of earlier: what was pruned since is missing there too.
pub async fn pruned_until(view: &View) -> ApiResult<Option<Timestamp>> {
    #[derive(Deserialize)]
    struct Row {
        pruned: Vec<Pruned>,
    }
    let rows: Vec<Row> = read::rows(view, "SELECT pruned FROM retention", Vec::new()).await?;
    let pruned = rows.into_iter().flat_map(|row| row.pruned);
    let charted = pruned.filter(|pruned| pruned.kind != telemetry::TelemetryKind::Logs);
    Ok(charted.map(|pruned| pruned.recorded_until).max())
}
