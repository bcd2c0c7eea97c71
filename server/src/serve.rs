//! From connections to requests: TLS, limits that a slow or greedy client meets, and the drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::{HttpConfig, TlsConfig};
use crate::http::Peer;

/// How long to wait when the system has no more sockets for us.
const BREATHER: Duration = Duration::from_millis(50);
/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 200;

/// The certificate could not be used.
#[derive(Debug, thiserror::Error)]
#[error("reading the certificate {cert:?} and its key {key:?}")]
pub struct TlsError {
    cert: PathBuf,
    key: PathBuf,
    source: std::io::Error,
}

/// The encrypted line, whose certificate can be replaced while it is used.
#[derive(Clone)]
pub(crate) struct Tls {
    config: RustlsConfig,
    cert: PathBuf,
    key: PathBuf,
}

impl Tls {
    /// By the configuration; `None` for a plain line.
    pub(crate) async fn of(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        static PROVIDER: Once = Once::new();
        let Some((cert, key)) = config.files() else { return Ok(None) };
        PROVIDER.call_once(|| {
            // Someone else in this process may have chosen one: then it is that.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        });
        let (cert, key) = (cert.clone(), key.clone());
        match RustlsConfig::from_pem_file(&cert, &key).await {
            Ok(config) => Ok(Some(Self { config, cert, key })),
            Err(source) => Err(TlsError { cert, key, source }),
        }
    }

    /// Takes the certificate from its files anew; the old one stays when they are not good.
    pub(crate) async fn reload(&self) {
        match self.config.reload_from_pem_file(&self.cert, &self.key).await {
            Ok(()) => tracing::info!(cert = ?self.cert, "took the new certificate"),
            Err(error) => {
                tracing::error!(cert = ?self.cert, %error, "kept the certificate there was");
            }
        }
    }

    /// When the files were last changed.
    pub(crate) fn stamp(&self) -> [Option<std::time::SystemTime>; 2] {
        [&self.cert, &self.key]
            .map(|file| std::fs::metadata(file).and_then(|it| it.modified()).ok())
    }
}

/// What is spoken on a plain line, and on an encrypted one that settles nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte.
    Http2,
}

/// Answers requests until `draining`; then finishes those that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    version: Version,
    config: HttpConfig,
    draining: CancellationToken,
) {
    let patience = Duration::from_millis(config.header_timeout_ms);
    let acceptor = tls.map(|tls| RustlsAcceptor::new(tls.config).handshake_timeout(patience));
    let places = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = draining.cancelled() => break,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let line = Line { router: router.clone(), peer, patience, draining: draining.clone() };
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let _place = place;
            let http2 = version == Version::Http2;
            if http2 && !speaks(&stream, patience).await {
                return;
            }
            let Some(acceptor) = acceptor else { return line.serve(stream, http2).await };
            let accepted = tokio::select! {
                () = line.draining.cancelled() => return,
                accepted = acceptor.accept(stream, ()) => accepted,
            };
            match accepted {
                Ok((stream, ())) => {
                    let settled = stream.get_ref().1.alpn_protocol().map(|it| it == b"h2");
                    line.serve(stream, settled.unwrap_or(http2)).await;
                }
                Err(error) => tracing::debug!(%error, "a client did not finish the TLS handshake"),
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Whether a connection of HTTP/2 begins in time: nothing else bounds the wait for its preface.
async fn speaks(stream: &TcpStream, patience: Duration) -> bool {
    const PREFACE: usize = 24;
    const AGAIN: Duration = Duration::from_millis(20);
    let begun = async {
        let mut begin = [0; PREFACE];
        loop {
            match stream.peek(&mut begin).await {
                Ok(PREFACE) => return true,
                Ok(0) | Err(_) => return false,
                // The rest of a few bytes is told by no event.
                Ok(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    };
    tokio::time::timeout(patience, begun).await.unwrap_or(false)
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is a place for it: those before wait in the system's queue.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(BREATHER).await;
            None
        }
    }
}

/// One connection.
struct Line {
    router: Router,
    peer: SocketAddr,
    patience: Duration,
    draining: CancellationToken,
}

impl Line {
    async fn serve<S>(self, stream: S, http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, peer, patience, draining } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        let io = TokioIo::new(stream);
        // The version is settled before the first byte: to find it out from the bytes would
        // wait for them without a limit.
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(patience)
                .keep_alive_timeout(patience)
                .max_concurrent_streams(MAX_STREAMS)
                .serve_connection(io, service);
            drained(connection, http2::Connection::graceful_shutdown, draining).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(patience)
                .serve_connection(io, service)
                .with_upgrades();
            drained(connection, http1::UpgradeableConnection::graceful_shutdown, draining).await;
        }
    }
}

/// Serves a connection to its end, which the drain brings nearer.
async fn drained<C>(connection: C, finish: fn(Pin<&mut C>), draining: CancellationToken)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut told = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
                }
                return;
            }
            () = draining.cancelled(), if !told => {
                finish(connection.as_mut());
                told = true;
            }
        }
    }
}
