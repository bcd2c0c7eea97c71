//! What was measured of a component over a span of time, in a bounded number of points.
//!
//! The span is cut into at most so many equal slots, and a window counts in the slot in which it
//! begins. When every window has a slot of its own, it is answered as it was measured. Otherwise
//! of the windows of a slot:
//! - counts are summed;
//! - the mean latency is weighted by requests;
//! - quantiles, saturation, processor time and memory are the largest: quantiles of several
//!   windows cannot be joined into one, and the worst window is what one looks for.
//!
//! A slot without a window is left out, so that a gap is seen as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use events::catalogue::telemetry::{CallStatistics, Latency};
use events::{ComponentName, EventId, Timestamp};
use jiff::SignedDuration;
use serde::Deserialize;

use super::component::Component;
use super::error::{ApiError, ApiResult};
use super::load::Loaders;
use super::provenance::event_ids;
use super::read;
use super::retention::pruned_until;
use super::scalar::DateTime;
use super::view::View;
use crate::rows::RowWindow;
use crate::value;

const MAX_POINTS: i32 = 1_000;
const MAX_SPAN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most event ids that a point names.
const MAX_EVENTS: usize = 8;

/// The rows of a table of windows lie in the order of time, so a span is a range of keys.
const SNAPSHOTS: &str = "SELECT id, window_start, window_ms, requests, errors, latency, saturation,
    cpu_cores, memory_bytes FROM snapshot:[$from]..[$to]
    WHERE component = $component";
const OUTGOING: &str = "SELECT id, caller, window_start, window_ms, edges
    FROM edge_window:[$from]..[$to] WHERE caller = $component";
const INCOMING: &str = "SELECT id, caller, window_start, window_ms,
    edges[WHERE callee = $component] AS edges
    FROM edge_window:[$from]..[$to] WHERE $component IN edges.callee";

#[derive(Deserialize)]
struct SnapshotRow {
    id: EventId,
    #[serde(flatten)]
    window: RowWindow,
    requests: Option<u64>,
    errors: Option<u64>,
    latency: Option<Latency>,
    saturation: Option<f64>,
    cpu_cores: Option<f64>,
    memory_bytes: Option<f64>,
}

#[derive(Deserialize)]
struct EdgeRow {
    id: EventId,
    caller: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    edges: Vec<CallStatistics>,
}

/// One point of a series: a window, or the windows that begin in one slot of the span.
#[derive(SimpleObject, Clone)]
pub struct SignalPoint {
    /// When the first window begins.
    pub at: DateTime,
    /// From there to the end of the last window, in milliseconds.
    pub duration_ms: f64,
    /// How many windows it stands for.
    pub windows: i32,
    /// Requests, or calls, that ended; null when nothing counted them.
    pub requests: Option<f64>,
    /// Those of them that failed.
    pub errors: Option<f64>,
    /// Share of requests that failed; null without requests.
    pub error_ratio: Option<f64>,
    /// Time to answer that half of the requests stayed below, in the worst window.
    pub p50_ms: Option<f64>,
    /// Time to answer that 95 % of the requests stayed below, in the worst window.
    pub p95_ms: Option<f64>,
    /// Time to answer that 99 % of the requests stayed below, in the worst window.
    pub p99_ms: Option<f64>,
    /// Mean time to answer.
    pub mean_ms: Option<f64>,
    /// Largest share of the tightest resource in use, 0 to 1.
    pub saturation: Option<f64>,
    /// Largest processor time per wall time; 1 is one core.
    pub cpu_cores: Option<f64>,
    /// Largest resident memory.
    pub memory_bytes: Option<f64>,
    /// The events that recorded it: the first eight, by time.
    pub events: Vec<ID>,
}

/// The calls between two components.
pub struct EdgeSignals {
    caller: ComponentName,
    callee: ComponentName,
    points: Vec<SignalPoint>,
}

/// What was measured of the calls from one component to another.
#[Object]
impl EdgeSignals {
    /// Who calls.
    async fn caller(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.caller).await
    }

    /// Who is called.
    async fn callee(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.callee).await
    }

    /// The series, by time.
    async fn points(&self) -> &[SignalPoint] {
        &self.points
    }
}

/// What was measured of a component, and of the calls from and to it.
#[derive(SimpleObject)]
pub struct GoldenSignals {
    /// The component.
    pub component: Component,
    /// Length of a slot, in milliseconds: what is shorter than that is joined.
    pub slot_ms: f64,
    /// Windows that were recorded up to here may be missing, because retention took their
    /// measurements out; null when none of the span can be.
    pub pruned_until: Option<DateTime>,
    /// What it measured of itself, by time.
    pub points: Vec<SignalPoint>,
    /// What it measured of its calls to others, by callee.
    pub outgoing: Vec<EdgeSignals>,
    /// What others measured of their calls to it, by caller.
    pub incoming: Vec<EdgeSignals>,
}

/// The signals of `component` from `from` to before `to`.
pub async fn golden_signals(
    ctx: &Context<'_>,
    view: &Arc<View>,
    name: ComponentName,
    from: Timestamp,
    to: Timestamp,
    points: i32,
) -> ApiResult<GoldenSignals> {
    let slots = Slots::read(from, to, points)?;
    let component = Loaders::of(ctx).component(&name).await?;
    let component =
        component.ok_or_else(|| ApiError::not_found("component", "component", &name))?;
    let (snapshots, outgoing, incoming, pruned) = futures::try_join!(
        windows::<SnapshotRow>(view, SNAPSHOTS, &name, from, to),
        windows::<EdgeRow>(view, OUTGOING, &name, from, to),
        windows::<EdgeRow>(view, INCOMING, &name, from, to),
        pruned_until(view),
    )?;
    let measured = snapshots.iter().map(Measured::of_snapshot).collect();
    Ok(GoldenSignals {
        component,
        slot_ms: slots.length_ms,
        pruned_until: pruned.filter(|until| *until >= from).map(DateTime),
        points: slots.series(measured),
        outgoing: edges(&slots, &outgoing),
        incoming: edges(&slots, &incoming),
    })
}

async fn windows<R: serde::de::DeserializeOwned>(
    view: &View,
    statement: &str,
    name: &ComponentName,
    from: Timestamp,
    to: Timestamp,
) -> ApiResult<Vec<R>> {
    let known = if view.position().is_some() { " AND since <= $position" } else { "" };
    let bound = [
        ("from", value::time(from)),
        ("to", value::time(to)),
        ("component", value::text(name.as_str())),
    ];
    let bindings = bound.map(|(name, value)| (name.to_owned(), value)).to_vec();
    read::rows(view, &format!("{statement}{known}"), bindings).await
}

fn edges(slots: &Slots, rows: &[EdgeRow]) -> Vec<EdgeSignals> {
    let mut pairs: BTreeMap<(&ComponentName, &ComponentName), Vec<Measured>> = BTreeMap::new();
    for row in rows {
        for edge in &row.edges {
            let measured = Measured::of_edge(row, edge);
            pairs.entry((&row.caller, &edge.callee)).or_default().push(measured);
        }
    }
    let signals = pairs.into_iter().map(|((caller, callee), measured)| EdgeSignals {
        caller: caller.clone(),
        callee: callee.clone(),
        points: slots.series(measured),
    });
    signals.collect()
}

/// What one window says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Measured {
    start: Timestamp,
    duration_ms: u64,
    event: Option<EventId>,
    requests: Option<f64>,
    errors: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    mean: Option<f64>,
    saturation: Option<f64>,
    cpu: Option<f64>,
    memory: Option<f64>,
}

impl Measured {
    fn of_snapshot(row: &SnapshotRow) -> Self {
        Self {
            requests: row.requests.map(|count| count as f64),
            errors: row.errors.map(|count| count as f64),
            saturation: row.saturation,
            cpu: row.cpu_cores,
            memory: row.memory_bytes,
            ..Self::of(row.id, &row.window, row.latency.as_ref())
        }
    }

    fn of_edge(row: &EdgeRow, edge: &CallStatistics) -> Self {
        Self {
            requests: Some(edge.calls as f64),
            errors: Some(edge.errors as f64),
            ..Self::of(row.id, &row.window, edge.latency.as_ref())
        }
    }

    fn of(event: EventId, window: &RowWindow, latency: Option<&Latency>) -> Self {
        Self {
            start: window.start,
            duration_ms: window.duration_ms,
            event: Some(event),
            p50: latency.map(|it| it.p50_ms.get()),
            p95: latency.map(|it| it.p95_ms.get()),
            p99: latency.map(|it| it.p99_ms.get()),
            mean: latency.and_then(|it| it.mean_ms).map(|ms| ms.get()),
            ..Self::default()
        }
    }
}

/// How a span is cut.
struct Slots {
    from: Timestamp,
    length_ms: f64,
    count: usize,
}

impl Slots {
    fn read(from: Timestamp, to: Timestamp, points: i32) -> ApiResult<Self> {
        if !(1..=MAX_POINTS).contains(&points) {
            let message = format!("expected 1 to {MAX_POINTS}, got {points}");
            return Err(ApiError::invalid("points", message));
        }
        let span = to.duration_since(from);
        if span <= SignedDuration::ZERO || span > MAX_SPAN {
            let message = format!("expected a time up to seven days after {from}, got {to}");
            return Err(ApiError::invalid("to", message));
        }
        let count = points.unsigned_abs() as usize;
        Ok(Self { from, length_ms: span.as_secs_f64() * 1_000.0 / count as f64, count })
    }

    fn slot(&self, at: Timestamp) -> usize {
        let offset_ms = at.duration_since(self.from).as_secs_f64() * 1_000.0;
        ((offset_ms / self.length_ms) as usize).min(self.count - 1)
    }

    fn series(&self, mut windows: Vec<Measured>) -> Vec<SignalPoint> {
        windows.sort_by_key(|window| (window.start, window.event));
        let mut slots: Vec<(usize, Vec<Measured>)> = Vec::new();
        for window in windows {
            let slot = self.slot(window.start);
            match slots.last_mut() {
                Some((last, windows)) if *last == slot => windows.push(window),
                _ => slots.push((slot, vec![window])),
            }
        }
        slots.iter().map(|(_, windows)| point(windows)).collect()
    }
}

/// The windows of one slot as a point; there is at least one.
fn point(windows: &[Measured]) -> SignalPoint {
    let sum = |of: fn(&Measured) -> Option<f64>| windows.iter().filter_map(of).reduce(|a, b| a + b);
    let largest = |of: fn(&Measured) -> Option<f64>| windows.iter().filter_map(of).reduce(f64::max);
    let weight = |window: &Measured| window.requests.unwrap_or(1.0);
    let means = windows.iter().filter_map(|window| Some((window.mean?, weight(window))));
    let (total, weights) =
        means.fold((0.0, 0.0), |(total, weights), (mean, w)| (total + mean * w, weights + w));
    let start = windows.iter().map(|window| window.start).min().unwrap_or_default();
    let end = |window: &Measured| {
        window.start.duration_since(start).as_secs_f64() * 1_000.0 + window.duration_ms as f64
    };
    let requests = sum(|window| window.requests);
    let errors = sum(|window| window.errors);
    let events: Vec<_> = windows.iter().filter_map(|it| it.event).take(MAX_EVENTS).collect();
    SignalPoint {
        at: DateTime(start),
        duration_ms: windows.iter().map(end).fold(0.0, f64::max),
        windows: i32::try_from(windows.len()).unwrap_or(i32::MAX),
        requests,
        errors,
        error_ratio: requests.filter(|&all| all > 0.0).zip(errors).map(|(all, bad)| bad / all),
        p50_ms: largest(|window| window.p50),
        p95_ms: largest(|window| window.p95),
        p99_ms: largest(|window| window.p99),
        mean_ms: (weights > 0.0).then(|| total / weights),
        saturation: largest(|window| window.saturation),
        cpu_cores: largest(|window| window.cpu),
        memory_bytes: largest(|window| window.memory),
        events: event_ids(&events),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(second: i64, requests: f64, p95: f64, mean: f64) -> Measured {
        Measured {
            start: Timestamp::from_second(second).unwrap(),
            duration_ms: 10_000,
            requests: Some(requests),
            errors: Some(1.0),
            p95: Some(p95),
            mean: Some(mean),
            ..Measured::default()
        }
    }

    fn slots(seconds: i64, points: i32) -> Slots {
        let at = |second| Timestamp::from_second(second).unwrap();
        Slots::read(at(0), at(seconds), points).unwrap()
    }

    #[test]
    fn windows_that_fit_are_answered_as_they_were_measured() {
        let series =
            slots(60, 6).series(vec![window(30, 10.0, 5.0, 4.0), window(0, 20.0, 7.0, 6.0)]);
        let told: Vec<_> = series.iter().map(|it| (it.windows, it.requests, it.mean_ms)).collect();
        assert_eq!(told, [(1, Some(20.0), Some(6.0)), (1, Some(10.0), Some(4.0))]);
        assert_eq!(series[0].duration_ms, 10_000.0);
    }

    #[test]
    fn windows_of_a_slot_are_summed_weighted_and_the_worst() {
        let windows =
            vec![window(0, 10.0, 5.0, 4.0), window(10, 30.0, 9.0, 8.0), window(50, 1.0, 1.0, 1.0)];
        let series = slots(60, 2).series(windows);
        assert_eq!(series.len(), 2);
        let first = &series[0];
        assert_eq!((first.windows, first.requests, first.errors), (2, Some(40.0), Some(2.0)));
        assert_eq!((first.p95_ms, first.mean_ms), (Some(9.0), Some(7.0)));
        assert_eq!((first.error_ratio, first.duration_ms), (Some(0.05), 20_000.0));
        assert_eq!(first.saturation, None);
    }

    #[test]
    fn a_span_is_bounded() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let refused = |from, to, points| match Slots::read(at(from), at(to), points) {
            Err(error) => error.field().map(str::to_owned),
            Ok(_) => None,
        };
        assert_eq!(refused(5, 5, 10).as_deref(), Some("to"));
        assert_eq!(refused(0, 8 * 24 * 3600, 10).as_deref(), Some("to"));
        assert_eq!(refused(0, 5, 0).as_deref(), Some("points"));
        assert_eq!(refused(0, 5, 1_001).as_deref(), Some("points"));
        assert_eq!(refused(0, 5, 1_000), None);
    }
}
