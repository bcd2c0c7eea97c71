//! How a request enters a service: refused when too many are inside, worked on by one of few
//! workers, and through the flaws of a bad version.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use tokio::sync::Semaphore;

use super::failure::Failure;
use super::flaw::Flaw;
use crate::shop::topology::Capacity;

/// A path that answers without work, for the supervisor to see a service through its proxies.
pub(crate) const PING_PATH: &str = "/-/ping";

/// The bounds of one service.
pub(super) struct Admission {
    capacity: Capacity,
    in_flight: AtomicUsize,
    workers: Semaphore,
    flaw: Flaw,
}

impl Admission {
    pub(super) fn new(capacity: Capacity, flaw: Flaw) -> Self {
        let workers = Semaphore::new(capacity.workers);
        Self { capacity, in_flight: AtomicUsize::new(0), workers, flaw }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.capacity.in_flight
    }

    fn enter(&self) -> Option<Inside<'_>> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(self);
        (before < self.capacity.in_flight).then_some(inside)
    }

    /// The service's own share of a request.
    async fn work(&self) {
        let (shortest, longest) = self.capacity.work;
        let length = rand::rng().random_range(shortest..=longest);
        let _worker = self.workers.acquire().await;
        tokio::time::sleep(length).await;
    }
}

/// A request in the service. Dropped with the request's future, also when its caller gives up.
struct Inside<'a>(&'a Admission);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes a request through the bounds of the service.
pub(super) async fn admit(
    State(admission): State<Arc<Admission>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == PING_PATH {
        return "pong".into_response();
    }
    let Some(_inside) = admission.enter() else {
        return Failure::Overloaded.into_response();
    };
    admission.work().await;
    let flaw = admission.flaw.act(request.method(), request.uri().path());
    if flaw.delay > Duration::ZERO {
        tokio::time::sleep(flaw.delay).await;
    }
    if flaw.fails {
        return Failure::Defect.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(in_flight: usize) -> Admission {
        let work = (Duration::from_millis(1), Duration::from_millis(1));
        let patience = Duration::from_secs(1);
        Admission::new(Capacity { workers: 1, work, in_flight, patience }, Flaw::default())
    }

    #[test]
    fn one_more_than_the_limit_is_refused_and_leaves_no_trace() {
        let admission = admission(2);
        let first = admission.enter();
        let second = admission.enter();
        assert!(first.is_some() && second.is_some());
        assert!(admission.enter().is_none());
        assert_eq!(admission.in_flight(), 2);
        drop(second);
        assert!(admission.enter().is_some());
    }
}
