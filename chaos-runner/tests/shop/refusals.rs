//! What the control API refuses, and how a fault's life is told.

use chaos_runner::shop::control::{ControlError, FaultSpec, FaultState, LoadShape};
use events::FaultId;
use events::catalogue::experiment::ClearedBy;
use events::catalogue::fault_kind::*;
use serde_json::json;

use crate::harness::{Running, kind, name, spec, start};

async fn code(shop: &Running, spec: &FaultSpec) -> (u16, String) {
    match shop.control.inject(spec).await {
        Err(ControlError::Refused { status, refusal }) => (status, refusal.code),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_act_is_refused_and_nothing_acts() {
    let shop = start().await;
    let misspelt = json!({ "arguments": { "delay": 10 } });
    let refused = [
        (spec("gremlins", "payments", json!({})), "unknown_fault_kind"),
        (spec(LATENCY, "warehouse", json!({})), "unknown_component"),
        (spec(LATENCY, "payments", misspelt), "invalid_argument"),
        (spec(LATENCY, "payments", json!({ "peer": "catalog" })), "invalid_argument"),
        (spec(PROCESS_KILL, "payments", json!({ "peer": "checkout" })), "not_applicable"),
        (spec(PROCESS_KILL, "users", json!({})), "not_applicable"),
        (spec(HTTP_ERROR, "database", json!({})), "not_applicable"),
        (spec(POOL_EXHAUSTION, "cart", json!({})), "not_applicable"),
        (spec(DATABASE_CONNECTION_FAILURE, "cart", json!({})), "not_applicable"),
    ];
    for (spec, expected) in refused {
        assert_eq!(code(&shop, &spec).await, (422, expected.to_owned()), "{spec:?}");
    }
    let negative = shop.control.set_load(&LoadShape::Steady { rps: -1.0 }).await;
    assert!(matches!(negative, Err(ControlError::Refused { status: 422, .. })), "{negative:?}");
    assert_eq!(shop.control.faults().await.unwrap(), []);
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_faults_exclude_each_other_and_an_id_is_used_once() {
    let shop = start().await;
    let fault = FaultId::new("first").unwrap();
    let mut paused = spec(PROCESS_PAUSE, "cart", json!({}));
    paused.fault = Some(fault.clone());
    shop.control.inject(&paused).await.unwrap();
    assert_eq!(code(&shop, &paused).await, (409, "duplicate_fault".to_owned()));
    let killed = spec(PROCESS_KILL, "cart", json!({}));
    assert_eq!(code(&shop, &killed).await, (409, "fault_conflict".to_owned()));
    // Connections are another matter, and so are other components.
    shop.control.inject(&spec(LATENCY, "cart", json!({}))).await.unwrap();
    shop.control.inject(&spec(PROCESS_PAUSE, "payments", json!({}))).await.unwrap();
    let once = shop.control.clear(&fault, ClearedBy::Rollback).await.unwrap();
    assert_eq!(shop.control.clear(&fault, ClearedBy::Interrupt).await.unwrap(), once);
    let unknown = shop.control.fault(&FaultId::new("never").unwrap()).await;
    assert!(matches!(unknown, Err(ControlError::Refused { status: 404, .. })), "{unknown:?}");
    let cleared = shop.shop.stop().await.cleared;
    assert_eq!(cleared.len(), 2);
    assert!(cleared.iter().all(|c| c.verified && c.cleared_by == ClearedBy::Interrupt));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_ends_at_its_deadline_by_itself() {
    let shop = start().await;
    let spec = FaultSpec { duration_ms: Some(1_500), ..spec(PROCESS_KILL, "payments", json!({})) };
    let injected = shop.control.inject(&spec).await.unwrap();
    assert_eq!((&injected.kind, &injected.component), (&kind(PROCESS_KILL), &name("payments")));
    let state = shop.control.fault(&injected.fault).await.unwrap();
    assert_eq!(state, FaultState::Active(injected.clone()));
    shop.calm("payments").await;
    let FaultState::Cleared(cleared) = shop.control.fault(&injected.fault).await.unwrap() else {
        panic!("payments serves again, so the fault is gone");
    };
    assert_eq!((cleared.cleared_by, cleared.verified), (ClearedBy::Deadline, true));
    shop.end().await;
}
