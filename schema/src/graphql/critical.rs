//! Critical components and failure points of the mapped system.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use diagnosis::topology::{self, CallGraph};
use diagnosis::verdict::verdict;
use events::{ComponentName, IncidentId};
use futures::future::try_join_all;

use super::component::Component;
use super::error::{ApiError, ApiResult};
use super::incident::Incident;
use super::list::List;
use super::load::Loaders;
use super::page::{Cursor, Listed, Nodes, Page, cost};
use super::read::Link;
use super::view::View;
use crate::rows;

const MAX_DEPTH: i32 = 50;
/// Most incidents of a component that are looked at, the newest.
pub(super) const INCIDENTS: usize = 200;

/// The call graph with what is known of its components.
struct System {
    components: BTreeMap<ComponentName, Arc<rows::Component>>,
    graph: CallGraph,
    entrances: Vec<ComponentName>,
}

impl System {
    /// Everything that is mapped, in two statements.
    async fn read(view: &View) -> ApiResult<Self> {
        let (components, calls) = futures::try_join!(
            List::by_key("component").all::<rows::Component>(view, "*"),
            List::by_key("calls")
                .when("until = NONE")
                .all::<Link<ComponentName, ComponentName>>(view, "id, in, out"),
        )?;
        let components: BTreeMap<_, _> =
            components.into_iter().map(|row| (row.id.clone(), Arc::new(row))).collect();
        let calls = calls.into_iter().map(|call| (call.from, call.to));
        let graph = CallGraph::new(components.keys().cloned(), calls);
        let is_client = |name: &ComponentName| {
            components.get(name).is_some_and(|row| row.kind.as_deref() == Some("client"))
        };
        let entrances = graph.entrances(is_client);
        Ok(Self { components, graph, entrances })
    }

    fn component(&self, name: &ComponentName) -> Option<Component> {
        self.components.get(name).cloned().map(Component)
    }

    fn known(&self, name: &ComponentName) -> ApiResult<Component> {
        self.component(name).ok_or_else(|| ApiError::not_found("component", "component", name))
    }
}

/// What a component takes with it when it fails.
pub struct BlastRadius {
    component: Component,
    depth: i32,
    radius: topology::BlastRadius,
    affected: Vec<Arc<AffectedRow>>,
    entrances: Vec<Component>,
}

struct AffectedRow {
    component: Component,
    distance: u32,
    path: Vec<ComponentName>,
    /// The newest first.
    observed: Vec<Arc<rows::Incident>>,
}

/// What a component takes with it when it fails: those that call it, and their callers.
#[Object]
impl BlastRadius {
    /// The component.
    async fn component(&self) -> &Component {
        &self.component
    }

    /// How many calls away was looked.
    async fn depth(&self) -> i32 {
        self.depth
    }

    /// How many components are affected.
    async fn affected_count(&self) -> i32 {
        count(self.affected.len())
    }

    /// The affected components: the nearest first, then by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn affected(
        &self,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<AffectedComponent>> {
        let page = Page::read(first, after)?;
        let place =
            |row: &AffectedRow| Cursor::ranked(row.distance.into(), None, &row.component.0.id);
        Ok(page.cut(&self.affected, false, place, AffectedComponent))
    }

    /// Where requests come in: what a client calls, and what nobody calls but which calls others.
    #[graphql(complexity = "20 * child_complexity")]
    async fn entrances(&self) -> &[Component] {
        &self.entrances
    }

    /// How many entrances are affected, the component itself counted when it is one.
    async fn entrances_affected(&self) -> i32 {
        count(self.radius.entrances_affected)
    }

    /// The share of entrances that is affected; null when there are none.
    async fn entrance_share(&self) -> Option<f64> {
        let (hit, all) = (self.radius.entrances_affected, self.radius.entrances);
        (all > 0).then(|| hit as f64 / all as f64)
    }
}

pub struct AffectedComponent(Arc<AffectedRow>);

/// A component that depends on the failing one.
#[Object]
impl AffectedComponent {
    /// The component.
    async fn component(&self) -> &Component {
        &self.0.component
    }

    /// How many calls away, from 1.
    async fn distance(&self) -> u32 {
        self.0.distance
    }

    /// The names along the shortest chain of calls, from it to the failing component, both
    /// included.
    async fn path(&self) -> Vec<&str> {
        self.0.path.iter().map(|name| name.as_str()).collect()
    }

    /// In how many of the newest 200 incidents that the failing component caused it showed
    /// symptoms.
    async fn observed_count(&self) -> i32 {
        count(self.0.observed.len())
    }

    /// Those incidents, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn observed_in(
        &self,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Incident>> {
        Ok(Page::read(first, after)?.of(&self.0.observed, Incident))
    }
}

/// Who is affected when `name` fails.
pub async fn blast_radius(
    ctx: &Context<'_>,
    view: &Arc<View>,
    name: ComponentName,
    depth: i32,
) -> ApiResult<BlastRadius> {
    if !(1..=MAX_DEPTH).contains(&depth) {
        let message = format!("expected 1 to {MAX_DEPTH}, got {depth}");
        return Err(ApiError::invalid("depth", message));
    }
    let (system, incidents) = futures::try_join!(System::read(view), caused_by(ctx, view, &name))?;
    let component = system.known(&name)?;
    let loaders = Loaders::of(ctx);
    let symptoms = incidents.iter().map(|incident| loaders.affected_by(&incident.id));
    let mut observed: BTreeMap<ComponentName, Vec<Arc<rows::Incident>>> = BTreeMap::new();
    for (incident, affected) in incidents.iter().zip(try_join_all(symptoms).await?) {
        for affects in affected.iter() {
            observed.entry(affects.to.clone()).or_default().push(incident.clone());
        }
    }
    let radius = system.graph.blast_radius(&name, depth.unsigned_abs(), &system.entrances);
    let affected = radius.affected.iter().filter_map(|hit| {
        Some(Arc::new(AffectedRow {
            component: system.component(&hit.component)?,
            distance: hit.distance,
            path: hit.path.clone(),
            observed: observed.remove(&hit.component).unwrap_or_default(),
        }))
    });
    let affected = affected.collect();
    let entrances =
        system.entrances.iter().take(topology::NAMED).filter_map(|it| system.component(it));
    let entrances = entrances.collect();
    Ok(BlastRadius { component, depth, radius, affected, entrances })
}

/// The incidents whose root cause is `name` by the labels that count, the newest first, at most
/// [`INCIDENTS`].
pub(super) async fn caused_by(
    ctx: &Context<'_>,
    view: &Arc<View>,
    name: &ComponentName,
) -> ApiResult<Vec<Arc<rows::Incident>>> {
    let newest = Page { first: INCIDENTS, after: None };
    let named = List::newest("label", "at")
        .when("claim = 'root_cause'")
        .when("until = NONE")
        .filter("component = $component", "component", Some(name.as_str()));
    let labels: Vec<Arc<rows::Label>> = named.rows(view, &newest).await?;
    let incidents: BTreeSet<IncidentId> =
        labels.iter().map(|label| label.incident.clone()).collect();
    let loaders = Loaders::of(ctx);
    let judged = incidents.iter().map(|incident| {
        let loaders = &loaders;
        async move {
            let labels = loaders.labels_on(incident).await?;
            let verdict = verdict(labels.iter().filter_map(|label| label.opinion()));
            match verdict.root_cause() == Some(name) {
                true => loaders.incident(incident).await,
                false => Ok(None),
            }
        }
    });
    let found: Vec<Option<Incident>> = try_join_all(judged).await?;
    let mut incidents: Vec<_> = found.into_iter().flatten().map(|incident| incident.0).collect();
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.place()));
    Ok(incidents)
}

#[derive(Clone)]
pub struct CriticalPoint {
    component: Component,
    cut: Option<topology::Cut>,
    gate: Option<topology::Gate>,
}

/// A component whose loss takes others with it.
#[Object]
impl CriticalPoint {
    /// The component.
    async fn component(&self) -> &Component {
        &self.component
    }

    /// Whether the map of calls falls apart without it.
    async fn is_articulation_point(&self) -> bool {
        self.cut.is_some()
    }

    /// What the map falls apart into without it, the largest part first, at most 20; empty when
    /// it does not.
    async fn separates(&self) -> Vec<SeparatedPart> {
        let parts = self.cut.iter().flat_map(|cut| &cut.parts).take(topology::NAMED);
        parts
            .map(|part| SeparatedPart { size: count(part.size), members: named(&part.members) })
            .collect()
    }

    /// How many parts there are.
    async fn parts(&self) -> i32 {
        count(self.cut.as_ref().map_or(0, |cut| cut.parts.len()))
    }

    /// Whether every path from the entrances to some other component leads through it.
    async fn is_single_point_of_failure(&self) -> bool {
        self.gate.is_some()
    }

    /// How many components no request reaches without it.
    async fn behind(&self) -> i32 {
        count(self.gate.as_ref().map_or(0, |gate| gate.behind))
    }

    /// The names of those components, at most 20, the nearest to it.
    async fn members_behind(&self) -> Vec<String> {
        self.gate.as_ref().map(|gate| named(&gate.members)).unwrap_or_default()
    }
}

/// Components that still hang together when an articulation point is gone.
#[derive(SimpleObject)]
pub struct SeparatedPart {
    /// How many components.
    pub size: i32,
    /// Their names, at most 20.
    pub members: Vec<String>,
}

/// A page of the critical points: those with the most behind them first, then by name.
pub async fn points(view: &View, page: &Page) -> ApiResult<Nodes<CriticalPoint>> {
    let system = System::read(view).await?;
    let mut points: BTreeMap<ComponentName, (Option<topology::Cut>, Option<topology::Gate>)> =
        BTreeMap::new();
    for cut in system.graph.cuts() {
        let name = cut.component.clone();
        points.entry(name).or_default().0 = Some(cut);
    }
    for gate in system.graph.gates(&system.entrances) {
        let name = gate.component.clone();
        points.entry(name).or_default().1 = Some(gate);
    }
    let points = points.into_iter().filter_map(|(name, (cut, gate))| {
        Some(Arc::new(CriticalPoint { component: system.component(&name)?, cut, gate }))
    });
    let place = |point: &CriticalPoint| {
        let behind = point.gate.as_ref().map_or(0, |gate| gate.behind);
        let behind = i64::try_from(behind).unwrap_or(i64::MAX);
        Cursor::ranked(-behind, None, &point.component.0.id)
    };
    Ok(page.cut(&points.collect::<Vec<_>>(), false, place, |point| (*point).clone()))
}

/// A number of things as GraphQL's `Int`.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn named(names: &[ComponentName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
