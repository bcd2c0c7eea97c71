//! How the SDK's exporters reach the receiver: by the client that also sends events, with its
//! rules of trust and its token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use reqwest::Method;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::submit::Destination;

/// Longest wait for an answer. A queue fills meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer that is read: a partial success with its message.
const MAX_ANSWER: usize = 64 * 1024;

/// Posts the requests of one signal.
#[derive(Clone, Debug)]
pub(super) struct Post {
    destination: Destination,
    path: &'static str,
    /// The SDK exports on threads of its own, which have no runtime.
    runtime: Handle,
    away: Arc<AtomicBool>,
}

impl Post {
    /// Call it inside the runtime that is to send. All signals share `away`, so that a receiver
    /// that is gone is told once.
    pub(super) fn new(
        destination: &Destination,
        path: &'static str,
        away: &Arc<AtomicBool>,
    ) -> Self {
        let (destination, away) = (destination.clone(), Arc::clone(away));
        Self { destination, path, runtime: Handle::current(), away }
    }

    /// Where it posts to.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.destination.url(), self.path)
    }

    async fn exchange(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = self.destination.request(Method::POST, self.path);
        let request = request.timeout(PATIENCE).headers(head.headers).body(body);
        let mut answer = request.send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let mut read = BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            if read.len() + chunk.len() > MAX_ANSWER {
                return Err(Box::new(ResponseBodyTooLarge::new()));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(response.body(read.freeze())?)
    }

    /// Says that the receiver is away, or back, when that is news.
    fn tell(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let url = self.destination.url();
        let why = match outcome {
            Ok(response) if response.status().is_success() => {
                if self.away.swap(false, Ordering::Relaxed) {
                    info!("{url} takes telemetry again");
                }
                return;
            }
            Ok(response) => format!("it answered {}", response.status()),
            Err(error) => innermost(error.as_ref()),
        };
        if !self.away.swap(true, Ordering::Relaxed) {
            warn!("{url} takes no telemetry ({why}); the shop goes on without");
        }
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = match self.runtime.spawn(self.clone().exchange(request)).await {
            Ok(outcome) => outcome,
            // The runtime ends, and with it the process.
            Err(error) => return Err(Box::new(error)),
        };
        self.tell(&outcome);
        outcome
    }
}

fn innermost(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
