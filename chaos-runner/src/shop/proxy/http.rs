//! The proxy of an HTTP edge.
//!
//! hyper reads the caller's requests and writes its answers; behind it each caller's connection
//! has one of its own to the callee. A call that fails below HTTP is answered with a broken
//! connection, as the caller would have had it without a proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::TRANSFER_ENCODING;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::debug;

use super::Shared;
use super::link::{self, Untapped, pause};

/// Paths below it are the supervisor's own and no calls of the shop.
const UNOBSERVED_PREFIX: &str = "/-/";
/// Largest body in either direction.
const MAX_BODY: usize = 1 << 20;
/// Buffer between hyper and the link.
const LINK_BUFFER: usize = 64 * 1024;

/// The call failed below HTTP; the caller's connection breaks.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
struct Broken;

/// Serves one connection of a caller until either side ends it.
pub(super) async fn serve(caller: TcpStream, shared: Arc<Shared>) {
    let session = Arc::new(Session { shared, callee: Mutex::default() });
    let service = service_fn(move |request| {
        let session = Arc::clone(&session);
        async move { session.call(request).await }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(caller), service).await
    {
        debug!(%error, "a caller's connection ended");
    }
}

/// A caller's connection.
struct Session {
    shared: Arc<Shared>,
    callee: Mutex<Option<Callee>>,
}

/// The connection to the callee that belongs to a caller's.
struct Callee {
    address: SocketAddr,
    requests: SendRequest<Full<Bytes>>,
    _carrying: JoinSet<()>,
}

impl Session {
    async fn call(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let call = self.shared.tally.begin();
        let own = request.uri().path().starts_with(UNOBSERVED_PREFIX);
        let exchanged = self.exchange(request).await;
        let failed = match &exchanged {
            Ok(response) => response.status().is_server_error(),
            Err(Broken) => true,
        };
        if own {
            call.forget()
        } else {
            call.end(failed)
        }
        exchanged
    }

    async fn exchange(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let (head, body) = request.into_parts();
        let body = collect(body).await?;
        let mut callee = self.callee.lock().await;
        // Taken out for the time of the exchange: one that is given up halfway leaves the
        // connection unusable.
        let mut kept = callee.take();
        if let Some(connection) = &mut kept
            && !connection.usable(&self.shared).await
        {
            kept = None;
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => Callee::connect(&self.shared).await.map_err(|_| Broken)?,
        };
        let answer = connection.requests.send_request(Request::from_parts(head, Full::new(body)));
        let (mut head, body) = answer.await.map_err(|_| Broken)?.into_parts();
        let body = collect(body).await?;
        *callee = Some(connection);

        let disturbance = self.shared.disturbances.now();
        if self.shared.roll(disturbance.reset_probability) {
            return Err(Broken);
        }
        if let Some((probability, hold)) = disturbance.slow
            && self.shared.roll(probability)
        {
            pause(hold).await;
        }
        if let Some((probability, status)) = disturbance.http_error
            && self.shared.roll(probability)
        {
            return Ok(replaced(status));
        }
        head.headers.remove(TRANSFER_ENCODING);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

impl Callee {
    async fn connect(shared: &Arc<Shared>) -> io::Result<Self> {
        let (socket, address) = shared.connect().await?;
        let (near, far) = tokio::io::duplex(LINK_BUFFER);
        let mut carrying = JoinSet::new();
        let shared = Arc::clone(shared);
        carrying.spawn(async move {
            if let Err(error) = link::carry(far, socket, &shared, &mut Untapped).await {
                debug!(%error, "a callee's connection ended");
            }
        });
        let (requests, connection) =
            handshake(TokioIo::new(near)).await.map_err(io::Error::other)?;
        carrying.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a callee's HTTP connection ended");
            }
        });
        Ok(Self { address, requests, _carrying: carrying })
    }

    /// Whether the next request can use it: it is open, and still leads to the callee's process.
    async fn usable(&mut self, shared: &Shared) -> bool {
        *shared.target.borrow() == Some(self.address) && self.requests.ready().await.is_ok()
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Broken> {
    let collected = Limited::new(body, MAX_BODY).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|_| Broken)
}

fn replaced(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"error\":\"injected\"}")));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response
}
