//! The control API's server side.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use events::FaultId;
use events::catalogue::experiment::ClearedBy;
use serde::Deserialize;

use super::{
    ClearedFault, ComponentState, FaultSpec, FaultState, InjectedFault, LoadShape, Refusal,
    ShopStatus, Topology, TopologyComponent, TopologyEdge, WindowSignals,
};
use crate::shop::faults::{FaultError, Faults};
use crate::shop::load::Source;
use crate::shop::observation::Signals;
use crate::shop::premises::Premises;
use crate::shop::topology::{COMPONENTS, EDGES, component_name};

/// Most requests a second that users can be told to make.
const MAX_RPS: f64 = 5_000.0;

/// What the routes act on.
pub(crate) struct Desk {
    pub(crate) premises: Arc<Premises>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) users: Arc<Source>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) window: Duration,
}

type Shared = State<Arc<Desk>>;

/// The routes of [the module](super).
pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/topology", get(topology))
        .route("/signals", get(signals))
        .route("/load", get(load).put(set_load))
        .route("/faults", get(faults).post(inject))
        .route("/faults/{id}", get(fault).delete(clear))
        .fallback(|| async { ControlRefusal::Route })
        .with_state(Arc::new(desk))
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum ControlRefusal {
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("{}", .0.body_text())]
    Body(#[from] JsonRejection),
    #[error("{}", .0.body_text())]
    Query(#[from] QueryRejection),
    #[error("rates must be 0 to {MAX_RPS} requests a second")]
    Rate,
    #[error("no such route")]
    Route,
    #[error("the work on the fault ended before its answer")]
    Lost,
}

impl IntoResponse for ControlRefusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::Fault(error) => fault_code(error),
            Self::Body(_) | Self::Query(_) => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::Rate => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_load"),
            Self::Route => (StatusCode::NOT_FOUND, "unknown_route"),
            Self::Lost => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        // The whole chain: the client runs on the same machine, for the same person.
        let mut message = self.to_string();
        let mut source = std::error::Error::source(&self);
        while let Some(error) = source {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = error.source();
        }
        (status, Json(Refusal { code: code.to_owned(), message })).into_response()
    }
}

fn fault_code(error: &FaultError) -> (StatusCode, &'static str) {
    match error {
        FaultError::UnknownKind { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_fault_kind"),
        FaultError::UnknownComponent(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_component"),
        FaultError::InvalidArgument { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid_argument")
        }
        FaultError::NotApplicable { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "not_applicable"),
        FaultError::Conflict { .. } => (StatusCode::CONFLICT, "fault_conflict"),
        FaultError::Duplicate(_) => (StatusCode::CONFLICT, "duplicate_fault"),
        FaultError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown_fault"),
        FaultError::Ending => (StatusCode::SERVICE_UNAVAILABLE, "shop_ending"),
        FaultError::Driver { .. } | FaultError::Process(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "driver_failed")
        }
    }
}

type Answer<T> = Result<Json<T>, ControlRefusal>;

async fn status(State(desk): Shared) -> Json<ShopStatus> {
    let mut components = Vec::new();
    for process in desk.premises.processes.iter() {
        components.push(ComponentState {
            component: process.component().id(),
            version: process.deployment().await.version,
            pid: process.live().map(|live| live.pid),
        });
    }
    Json(ShopStatus {
        components,
        window_ms: u64::try_from(desk.window.as_millis()).unwrap_or(u64::MAX),
        load: desk.users.shape(),
        active_faults: desk.faults.active().len(),
    })
}

async fn topology() -> Json<Topology> {
    let components = COMPONENTS.iter().map(|component| TopologyComponent {
        name: component.id(),
        kind: component.kind.as_str().to_owned(),
    });
    let edges = EDGES.iter().map(|edge| TopologyEdge {
        caller: component_name(edge.caller),
        callee: component_name(edge.callee),
        protocol: edge.protocol().to_owned(),
    });
    Json(Topology { components: components.collect(), edges: edges.collect() })
}

#[derive(Deserialize)]
struct Newest {
    #[serde(default = "one")]
    windows: usize,
}

fn one() -> usize {
    1
}

async fn signals(
    State(desk): Shared,
    newest: Result<Query<Newest>, QueryRejection>,
) -> Answer<Vec<WindowSignals>> {
    Ok(Json(desk.signals.newest(newest?.windows)))
}

async fn load(State(desk): Shared) -> Json<LoadShape> {
    Json(desk.users.shape())
}

async fn set_load(
    State(desk): Shared,
    shape: Result<Json<LoadShape>, JsonRejection>,
) -> Answer<LoadShape> {
    let Json(shape) = shape?;
    let rates = match shape {
        LoadShape::Steady { rps } | LoadShape::Flood { rps } => [rps, rps],
        LoadShape::Ramp { from_rps, to_rps, .. } => [from_rps, to_rps],
        LoadShape::Burst { base_rps, burst_rps, .. } => [base_rps, burst_rps],
    };
    if !rates.iter().all(|rate| (0.0..=MAX_RPS).contains(rate)) {
        return Err(ControlRefusal::Rate);
    }
    desk.users.reshape(shape.clone());
    Ok(Json(shape))
}

async fn faults(State(desk): Shared) -> Json<Vec<InjectedFault>> {
    Json(desk.faults.active())
}

async fn inject(
    State(desk): Shared,
    spec: Result<Json<FaultSpec>, JsonRejection>,
) -> Answer<InjectedFault> {
    let Json(spec) = spec?;
    // In a task of its own: a client that hangs up must not leave a driver halfway.
    let injecting = tokio::spawn(async move { desk.faults.inject(spec).await });
    Ok(Json(injecting.await.map_err(|_| ControlRefusal::Lost)??))
}

async fn fault(State(desk): Shared, Path(fault): Path<FaultId>) -> Answer<FaultState> {
    Ok(Json(desk.faults.state(&fault)?))
}

#[derive(Deserialize)]
struct Clearing {
    #[serde(default = "rollback")]
    by: ClearedBy,
}

fn rollback() -> ClearedBy {
    ClearedBy::Rollback
}

async fn clear(
    State(desk): Shared,
    Path(fault): Path<FaultId>,
    clearing: Result<Query<Clearing>, QueryRejection>,
) -> Answer<ClearedFault> {
    let Query(Clearing { by }) = clearing?;
    let clearing = tokio::spawn(async move { desk.faults.clear(&fault, by).await });
    Ok(Json(clearing.await.map_err(|_| ControlRefusal::Lost)??))
}
