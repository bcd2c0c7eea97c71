//! How a service calls another: one attempt, a bounded wait, connections kept open.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::shop::otlp::Calls;

/// A callee, reached through its proxy. Cheap to clone.
#[derive(Clone)]
pub(super) struct Upstream {
    name: &'static str,
    address: SocketAddr,
    patience: Duration,
    http: Client<HttpConnector, Body>,
    calls: Calls,
}

/// What the callee said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Upstream {
    pub(super) fn new(
        name: &'static str,
        address: SocketAddr,
        patience: Duration,
        calls: Calls,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .build(connector);
        Self { name, address, patience, http, calls }
    }

    /// The callee's answer, whatever its status.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let calling = self.calls.begin(&method, path);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|_| Failure::NotFound("path"))?;
        calling.inject(request.headers_mut());
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|_| ())?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|_| ())?.to_bytes();
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(self.patience, exchange).await {
            Ok(Ok(answer)) => {
                calling.answered(answer.status);
                Ok(answer)
            }
            Ok(Err(())) => {
                calling.failed("connection");
                Err(Failure::CalleeUnreachable(self.name))
            }
            Err(_) => {
                calling.failed("timeout");
                Err(Failure::CalleeTimeout(self.name))
            }
        }
    }

    /// The callee's answer if it is a success and has the form of `T`.
    pub(super) async fn ask_for<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let answer = self.ask(method, path, body).await?;
        if !answer.status.is_success() {
            return Err(Failure::CalleeFailed(self.name, answer.status));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| Failure::CalleeFailed(self.name, StatusCode::BAD_GATEWAY))
    }
}
