//! A proxy on every edge of the shop: callers connect to it, it connects to the callee, one
//! connection for one. It sees every call as the caller does, and can disturb it.

mod disturbance;
mod http;
mod link;
mod postgres;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use super::topology::Edge;
pub(crate) use disturbance::Disturbance;
use disturbance::Disturbances;
pub(crate) use tally::{Observed, Tally};

/// Longest wait for the callee to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// Where a callee's process listens now; `None` while there is none. A redeployment moves it.
pub(crate) type Target = watch::Receiver<Option<SocketAddr>>;

/// The proxy of one edge. Dropping it closes its listener and all its connections.
pub(crate) struct Proxy {
    edge: Edge,
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

/// What all connections of a proxy share.
struct Shared {
    target: Target,
    disturbances: Disturbances,
    tally: Tally,
    dice: Mutex<ChaCha8Rng>,
}

impl Proxy {
    /// Opens the proxy of `edge`, in front of `target`.
    pub(crate) async fn open(edge: Edge, target: Target, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            disturbances: Disturbances::default(),
            tally: Tally::default(),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(edge, listener, Arc::clone(&shared)));
        Ok(Self { edge, address, shared, _accepting: accepting })
    }

    /// The edge it stands on.
    pub(crate) fn edge(&self) -> Edge {
        self.edge
    }

    /// Where callers connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was observed since the last call of this.
    pub(crate) fn take_observed(&self) -> Observed {
        self.shared.tally.take()
    }

    /// What disturbs the edge.
    pub(crate) fn disturbances(&self) -> &Disturbances {
        &self.shared.disturbances
    }
}

impl Shared {
    /// True with the given probability.
    fn roll(&self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        self.dice().random_bool(probability.min(1.0))
    }

    /// A duration between zero and `longest`.
    fn random_up_to(&self, longest: Duration) -> Duration {
        if longest.is_zero() {
            return Duration::ZERO;
        }
        self.dice().random_range(Duration::ZERO..=longest)
    }

    fn dice(&self) -> std::sync::MutexGuard<'_, ChaCha8Rng> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the callee, unless the edge is cut.
    async fn connect(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.disturbances.now().cut {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let address = *self.target.borrow();
        let address = address.ok_or(io::ErrorKind::ConnectionRefused)?;
        let connected = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await;
        let socket = connected.map_err(|_| io::ErrorKind::TimedOut)??;
        socket.set_nodelay(true)?;
        Ok((socket, address))
    }
}

async fn accept(edge: Edge, listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let caller = match accepted {
            Ok((caller, _)) => caller,
            Err(error) => {
                warn!(%error, ?edge, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Callers close the connections that they no longer want. When the proxy closes one, a
        // fault or the callee broke it, and the caller is to see that: RST instead of FIN.
        if caller.set_zero_linger().and_then(|()| caller.set_nodelay(true)).is_err() {
            continue;
        }
        let shared = Arc::clone(&shared);
        if edge.protocol() == "postgresql" {
            connections.spawn(postgres::serve(caller, shared));
        } else {
            connections.spawn(http::serve(caller, shared));
        }
    }
}
