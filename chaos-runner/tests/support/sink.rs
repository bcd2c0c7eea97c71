//! A server that takes events and can be told how to answer. Not every test uses all of it.

#![allow(dead_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use events::{Event, Timestamp};
use serde_json::{Value, json};

/// How to answer one request, in turn; without one, the batch is accepted.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Value,
}

#[derive(Debug, Default)]
pub struct Collected {
    /// Accepted events, each once, in the order of their first arrival.
    pub events: Vec<Event>,
    /// The number of events and when, of every request.
    pub requests: Vec<(usize, std::time::Instant)>,
    pub script: VecDeque<Reply>,
    /// A batch that has one of these types is refused for it.
    pub refused_types: Vec<&'static str>,
    /// A batch of more events is too large.
    pub most: Option<usize>,
}

/// A running sink.
#[derive(Clone, Debug)]
pub struct Sink {
    pub url: String,
    pub collected: Arc<Mutex<Collected>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    pub fn on(listener: tokio::net::TcpListener) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collected = Arc::<Mutex<Collected>>::default();
        let router = Router::new().route("/v1/events", post(take)).with_state(collected.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, collected }
    }

    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.collected.lock().unwrap().script.extend(replies);
    }

    /// The accepted events.
    pub fn events(&self) -> Vec<Event> {
        self.collected.lock().unwrap().events.clone()
    }
}

async fn take(
    State(collected): State<Arc<Mutex<Collected>>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    assert_eq!(headers[header::CONTENT_TYPE], "application/cloudevents-batch+json");
    let batch: Vec<Value> = serde_json::from_str(&body).unwrap();
    let mut collected = collected.lock().unwrap();
    collected.requests.push((batch.len(), std::time::Instant::now()));
    if let Some(reply) = collected.script.pop_front() {
        let status = StatusCode::from_u16(reply.status).unwrap();
        let mut response = (status, axum::Json(reply.body)).into_response();
        if let Some(after) = reply.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        return response;
    }
    if let Some(most) = collected.most.filter(|most| batch.len() > *most) {
        let error = json!({"code": "batch_too_large", "message": format!("at most {most}")});
        let body = json!({"error": error});
        return (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(body)).into_response();
    }
    let events: Vec<Event> = batch
        .into_iter()
        .map(|document| Event::from_cloud_event(document, Timestamp::now()).unwrap())
        .collect();
    let refused: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| collected.refused_types.contains(&event.data.event_type()))
        .map(|(index, _)| json!({"index": index, "code": "invalid_value", "pointer": "/data", "message": "no"}))
        .collect();
    if !refused.is_empty() {
        let error = json!({"code": "invalid_value", "message": "no", "pointer": "/0/data"});
        let body = json!({"error": error, "events": refused});
        return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
    }
    for event in events {
        if collected.events.iter().all(|known| known.id != event.id) {
            collected.events.push(event);
        }
    }
    axum::Json(json!({"events": [], "position": collected.events.len()})).into_response()
}
