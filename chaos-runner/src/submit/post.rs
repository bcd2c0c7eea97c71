//! One request to the server and what its answer means.

use std::time::Duration;

use events::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::destination::Destination;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Where events go.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    destination: Destination,
    url: String,
}

/// What the server made of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has all of it.
    Accepted,
    /// Another attempt may succeed.
    Later {
        /// Why it did not.
        why: String,
        /// When to try, if the server said so.
        after: Option<Duration>,
    },
    /// It will never accept the named events (by their place in the batch). The rest was not
    /// written and may be sent again without them.
    Refused {
        /// Place and reason.
        events: Vec<(usize, String)>,
    },
    /// It will never accept this batch, and does not say because of which event.
    RefusedWhole {
        /// Why.
        why: String,
    },
    /// It will not accept anything.
    Closed {
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
    #[serde(default)]
    events: Vec<RejectedEvent>,
}

#[derive(Deserialize)]
struct ErrorText {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct RejectedEvent {
    index: usize,
    #[serde(default)]
    code: String,
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    message: String,
}

impl Endpoint {
    pub(super) fn new(destination: &Destination) -> Self {
        let url = format!("{}/v1/events", destination.url());
        Self { destination: destination.clone(), url }
    }

    /// Sends a batch of CloudEvents, each as JSON, once.
    pub(super) async fn post(&self, batch: &[String]) -> Answer {
        let request = self
            .destination
            .request(reqwest::Method::POST, "/v1/events")
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/cloudevents-batch+json")
            .body(format!("[{}]", batch.join(",")));
        match request.send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => Answer::Later { why: self.unreachable(&error), after: None },
        }
    }

    async fn judge(&self, response: Response) -> Answer {
        let status = response.status();
        if status.is_success() {
            return Answer::Accepted;
        }
        let after =
            response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        let body: Option<ErrorBody> = response.json().await.ok();
        let said =
            body.as_ref().map(|body| format!(" ({}: {})", body.error.code, body.error.message));
        let why = format!("{} answered {}{}", self.url, status, said.unwrap_or_default());
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Answer::Later { why, after }
            }
            status if status.is_server_error() => Answer::Later { why, after },
            StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => {
                let events = body.map(|body| body.events).unwrap_or_default();
                let events: Vec<_> =
                    events.into_iter().map(|event| (event.index, event.reason())).collect();
                if events.is_empty() {
                    Answer::RefusedWhole { why }
                } else {
                    Answer::Refused { events }
                }
            }
            _ => Answer::Closed { why },
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> String {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        format!("no answer from {}: {innermost}", self.url)
    }
}

impl RejectedEvent {
    fn reason(&self) -> String {
        format!("{} at {:?}: {}", self.code, self.pointer, self.message)
    }
}

/// A `Retry-After`, in seconds or as a date, bounded.
fn retry_after(text: &str) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let wait = at.duration_since(Timestamp::now());
            Duration::try_from(wait).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("86400"), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
