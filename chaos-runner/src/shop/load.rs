//! Synthetic users. Arrivals follow a schedule and wait for no answer, as those of real users
//! do: a slow shop gets the same requests as a fast one.

mod schedule;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use super::control::LoadShape;
use super::otlp::Calls;
use super::service::PRODUCTS;
use super::topology::{CART, CATALOG, CHECKOUT, GATEWAY, ORDERS, PAYMENTS};
use schedule::{Next, Schedule};

/// How long a user waits.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Requests of one source on their way at the same time. An arrival beyond it is lost, as a
/// load generator's machine has an end too; the shop refuses long before.
const MAX_IN_FLIGHT: usize = 1_024;
/// Users of the shop.
const USERS: u32 = 500;

/// What a source asks for.
#[derive(Clone, Debug)]
pub(crate) enum Demand {
    /// What users do: look around, fill carts, buy.
    Shopping,
    /// One request again and again.
    Endpoint(Endpoint),
}

/// A method, a path and what the request carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Endpoint {
    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: String::new() }
    }

    fn post(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.to_string() }
    }

    /// The request to a service that makes it do its own work and nobody else's.
    pub(crate) fn cheapest(service: &str) -> Option<Self> {
        Some(match service {
            GATEWAY => Self::get("/"),
            CATALOG => Self::get("/catalog/1"),
            CART => Self::get("/cart/1/count"),
            CHECKOUT => Self::get("/checkout/shipping/100"),
            PAYMENTS => Self::post("/payments", json!({ "user": 1, "amount_cents": 100 })),
            ORDERS => Self::get("/orders/1"),
            _ => return None,
        })
    }

    /// Reads `GET /catalog`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (method, path) = text.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        path.starts_with('/').then(|| Self { method, path: path.to_owned(), body: String::new() })
    }
}

/// What one user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    LookAround,
    LookAtProduct,
    OpenCart,
    FillCart,
    Buy,
}

/// What the users do next. Actions are dealt like cards, so that every half second has nearly
/// the same mix and a short window is comparable with the next.
struct Deck(Vec<Action>);

impl Deck {
    /// How many of each are in a deck.
    const MIX: [(Action, usize); 5] = [
        (Action::LookAround, 6),
        (Action::LookAtProduct, 4),
        (Action::OpenCart, 2),
        (Action::FillCart, 2),
        (Action::Buy, 6),
    ];

    fn deal(&mut self, dice: &mut ChaCha8Rng) -> Endpoint {
        if self.0.is_empty() {
            let mix = Self::MIX.iter();
            self.0 = mix.flat_map(|(action, count)| vec![*action; *count]).collect();
        }
        let action = self.0.swap_remove(dice.random_range(0..self.0.len()));
        let user = dice.random_range(1..=USERS);
        let product = dice.random_range(1..=PRODUCTS);
        match action {
            Action::LookAround => Endpoint::get("/catalog"),
            Action::LookAtProduct => Endpoint::get(format!("/catalog/{product}")),
            Action::OpenCart => Endpoint::get(format!("/cart/{user}")),
            Action::FillCart => {
                let item = json!({ "product": product, "quantity": dice.random_range(1..=3) });
                Endpoint::post(format!("/cart/{user}/items"), item)
            }
            Action::Buy => Endpoint::post("/checkout", json!({ "user": user })),
        }
    }
}

/// A source of requests. Dropping it ends it.
pub(crate) struct Source {
    shape: watch::Sender<LoadShape>,
    _running: JoinSet<()>,
}

impl Source {
    /// Starts to send `demand` to `target` in the given shape. `calls` tells of the requests.
    pub(crate) fn start(
        target: SocketAddr,
        calls: Calls,
        demand: Demand,
        shape: LoadShape,
        seed: u64,
    ) -> Self {
        let (shape, shapes) = watch::channel(shape);
        let mut running = JoinSet::new();
        let client = Arc::new(Http::new(target, calls));
        running.spawn(run(client, demand, shapes, ChaCha8Rng::seed_from_u64(seed)));
        Self { shape, _running: running }
    }

    /// Changes the shape, from now on.
    pub(crate) fn reshape(&self, shape: LoadShape) {
        self.shape.send_replace(shape);
    }

    /// The shape now.
    pub(crate) fn shape(&self) -> LoadShape {
        self.shape.borrow().clone()
    }
}

async fn run(
    client: Arc<Http>,
    demand: Demand,
    mut shapes: watch::Receiver<LoadShape>,
    mut dice: ChaCha8Rng,
) {
    let room = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut sent = JoinSet::new();
    let mut deck = Deck(Vec::new());
    loop {
        let shape = shapes.borrow_and_update().clone();
        let flood = matches!(shape, LoadShape::Flood { .. });
        let mut schedule = Schedule::new(shape);
        let began = Instant::now();
        loop {
            let next = schedule.next(&mut dice);
            let (Next::Arrival(at) | Next::Quiet(at)) = next;
            tokio::select! {
                () = tokio::time::sleep_until(began + at) => {}
                changed = shapes.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
            while sent.try_join_next().is_some() {}
            if matches!(next, Next::Quiet(_)) {
                continue;
            }
            let endpoint = match &demand {
                Demand::Endpoint(endpoint) => endpoint.clone(),
                Demand::Shopping if flood => Endpoint::get("/"),
                Demand::Shopping => deck.deal(&mut dice),
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                debug!(path = endpoint.path, "an arrival was lost: too many are on their way");
                continue;
            };
            let client = Arc::clone(&client);
            sent.spawn(async move {
                client.send(endpoint).await;
                drop(place);
            });
        }
    }
}

struct Http {
    target: SocketAddr,
    client: Client<HttpConnector, Body>,
    calls: Calls,
}

impl Http {
    fn new(target: SocketAddr, calls: Calls) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .build(connector);
        Self { target, client, calls }
    }

    /// What becomes of the request is for those to see who observe it.
    async fn send(&self, endpoint: Endpoint) {
        let calling = self.calls.begin(&endpoint.method, &endpoint.path);
        let request = Request::builder()
            .method(endpoint.method)
            .uri(format!("http://{}{}", self.target, endpoint.path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(endpoint.body));
        let Ok(mut request) = request else { return };
        calling.inject(request.headers_mut());
        let exchange = async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status();
            answer.into_body().collect().await.ok()?;
            Some(status)
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Some(status)) => calling.answered(status),
            Ok(None) => calling.failed("connection"),
            Err(_) => calling.failed("timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_do_everything_the_shop_offers_and_the_seed_decides_what() {
        let requests = |seed| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            let mut deck = Deck(Vec::new());
            (0..20).map(|_| deck.deal(&mut dice).path).collect::<Vec<_>>()
        };
        assert_eq!(requests(1), requests(1));
        assert_ne!(requests(1), requests(2));
        for (start, count) in [("/catalog", 10), ("/cart/", 4), ("/checkout", 6)] {
            let paths = requests(1);
            assert_eq!(paths.iter().filter(|path| path.starts_with(start)).count(), count);
        }
    }

    #[test]
    fn endpoints_are_a_method_and_a_path() {
        assert_eq!(Endpoint::parse("GET /cart/1"), Some(Endpoint::get("/cart/1")));
        assert_eq!(Endpoint::parse("/cart/1"), None);
        assert_eq!(Endpoint::parse("GET cart"), None);
    }
}
