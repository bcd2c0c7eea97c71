//! The ledger, its book on disk and a shop that answers as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, post};
use axum::{Json, Router};
use events::{Event, EventData};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::run::{RunEvent, recover};
use crate::state::StateFolder;

/// A shop that answers an injection so, and undoes whatever it is asked to. And how often it was.
async fn shop(status: u16, injected: Value) -> (ControlClient, Arc<AtomicUsize>) {
    let cleared = Arc::new(AtomicUsize::new(0));
    let counted = cleared.clone();
    let status = StatusCode::from_u16(status).unwrap();
    let inject = move || async move { (status, Json(injected)).into_response() };
    let clear = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        Json(json!({
            "fault": "f-1", "cleared_at": "2026-01-01T00:00:09Z", "cleared_by": "rollback",
            "action": "removed the delay", "verified": true,
        }))
    };
    let router =
        Router::new().route("/faults", post(inject)).route("/faults/{fault}", delete(clear));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (ControlClient::new(url), cleared)
}

fn injected() -> Value {
    json!({
        "fault": "f-1", "kind": "latency", "component": "payments", "peer": null,
        "parameters": {"delay_ms": 250}, "injected_at": "2026-01-01T00:00:05Z",
        "duration_ms": 20_000, "description": "slow",
    })
}

fn ledger(shop: ControlClient, book: &FaultBook) -> (Ledger, UnboundedReceiver<RunEvent>) {
    let (reporter, events) = Reporter::channel();
    let title = Line::new("T").unwrap();
    (Ledger::new(shop, reporter, book.clone(), RunIdentity::new("T"), title), events)
}

async fn inject(ledger: &Ledger) -> Result<FaultId, ActivityError> {
    let fault = FaultId::new("f-1").unwrap();
    let spec = json!({"fault": "f-1", "kind": "latency", "component": "payments"});
    let spec = serde_json::from_value(spec).unwrap();
    ledger.inject(&Line::new("delay").unwrap(), &fault, &spec).await.map(|injected| injected.fault)
}

fn book(folder: &tempfile::TempDir, server: Option<&str>) -> FaultBook {
    let state = StateFolder::open(Some(folder.path()), &|_| None).unwrap();
    FaultBook::open(&state, server).unwrap()
}

/// The faults in the book, whoever holds them.
fn written(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path().join("faults")).unwrap().count()
}

async fn recovered(book: &FaultBook) -> Vec<Event> {
    let recovered = recover(book, |_| true).await.unwrap();
    recovered.into_iter().flat_map(|one| one.events).collect()
}

const SERVER: Option<&str> = Some("http://127.0.0.1:7700");

#[tokio::test]
async fn a_fault_whose_end_was_not_told_safely_is_told_by_the_next_start_once() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, _) = shop(200, injected()).await;
    let own = book(&folder, SERVER);
    let (ledger, told) = ledger(shop, &own);
    let fault = inject(&ledger).await.unwrap();
    ledger.clear(&fault, ClearedBy::Rollback).await.unwrap();
    assert_eq!(recovered(&book(&folder, None)).await, [], "its runner lives");
    // Killed with the event on its way to the disk.
    drop((ledger, own, told));
    let next = book(&folder, SERVER);
    let events = recovered(&next).await;
    let cleared = |event: &&Event| matches!(event.data, EventData::FaultCleared(_));
    assert_eq!(events.iter().filter(cleared).count(), 1);
    assert_eq!(recovered(&next).await, []);
    assert_eq!(written(&folder), 0);
}

#[tokio::test]
async fn a_fault_is_struck_out_when_it_is_told_or_when_nobody_is_to_know() {
    for server in [None, SERVER] {
        let folder = tempfile::tempdir().unwrap();
        let (shop, _) = shop(200, injected()).await;
        let book = book(&folder, server);
        let (ledger, _told) = ledger(shop, &book);
        let fault = inject(&ledger).await.unwrap();
        book.told(&fault);
        assert_eq!(written(&folder), 1, "it acts");
        ledger.clear(&fault, ClearedBy::Rollback).await.unwrap();
        assert_eq!(written(&folder), usize::from(server.is_some()));
        book.told(&fault);
        assert_eq!(written(&folder), 0);
    }
}

#[tokio::test]
async fn a_fault_that_acted_though_its_answer_got_lost_is_told_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, undone) = shop(500, json!("no answer in any form of the shop")).await;
    let book = book(&folder, SERVER);
    let (ledger, mut told) = ledger(shop, &book);
    inject(&ledger).await.unwrap_err();
    assert_eq!(undone.load(Ordering::Relaxed), 1);
    let RunEventKind::FaultInjected { fault } = told.recv().await.unwrap().kind else {
        panic!("it began first")
    };
    let RunEventKind::FaultCleared { cleared } = told.recv().await.unwrap().kind else {
        panic!("it ended then")
    };
    assert_eq!(fault.fault, cleared.fault);
    assert!(ledger.acting().is_empty());
    assert_eq!(written(&folder), 1, "until it is told safely");
    book.told(&fault.fault);
    assert_eq!(written(&folder), 0);
}
