//! A KurrentDB of the tests' own: a gRPC server on a loopback port that speaks the part of the
//! protocol a log needs, with a state of its own that knows nothing of our code.
//!
//! It is written after the protocol's `.proto` files and the server's documentation: positions,
//! idempotence by expected version, system events between ours, filters, subscriptions with
//! checkpoints, the trailers of errors. And it can fail on purpose, see [`Fault`].
#![allow(clippy::result_large_err, reason = "services of tonic answer with its Status")]

mod faults;
pub mod proto;
mod reading;
mod services;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};

pub use self::faults::{Fault, Faults};
use self::proto::gossip::gossip_server::GossipServer;
use self::proto::server_features::server_features_server::ServerFeaturesServer;
use self::proto::streams::streams_server::StreamsServer;
use self::state::{Database, Refused};
pub use self::state::{Expected, Proposed, Record};

/// As the server's own default.
const MAX_APPEND: usize = 1 << 20;

/// What several nodes share.
struct Cluster {
    database: Mutex<Database>,
    /// How many records there are; wakes subscriptions.
    written: watch::Sender<usize>,
    leader: Mutex<Option<SocketAddr>>,
    nodes: Mutex<Vec<SocketAddr>>,
}

/// What the services of one node see.
struct Node {
    cluster: Arc<Cluster>,
    address: SocketAddr,
    faults: Faults,
    /// The `authorization` header that every call must have.
    authorization: Option<String>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    /// Whether it is away: connections are closed as they come.
    away: Mutex<bool>,
}

/// How a double is set up.
#[derive(Default)]
pub struct Setup {
    /// The `authorization` header that every call must have.
    pub authorization: Option<String>,
    /// Certificate and key in PEM: with them it speaks TLS.
    pub identity: Option<(String, String)>,
    /// The largest append in bytes; 1 MiB when 0.
    pub max_append: usize,
}

/// A node of the double; dropping it closes everything.
pub struct Double {
    node: Arc<Node>,
    accepting: JoinHandle<()>,
    serving: JoinHandle<()>,
    scheme_suffix: &'static str,
}

impl Double {
    /// A database of one node.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// As [`Self::start`], set up otherwise.
    pub async fn start_with(setup: Setup) -> Self {
        let max_append = if setup.max_append == 0 { MAX_APPEND } else { setup.max_append };
        let cluster = Arc::new(Cluster {
            database: Mutex::new(Database::new(max_append)),
            written: watch::Sender::new(0),
            leader: Mutex::new(None),
            nodes: Mutex::new(Vec::new()),
        });
        let node = Self::join(cluster, setup).await;
        node.lead();
        node
    }

    /// Another node of the same database. It is no leader until [`Self::lead`].
    pub async fn another(&self) -> Self {
        Self::join(Arc::clone(&self.node.cluster), Setup::default()).await
    }

    async fn join(cluster: Arc<Cluster>, setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        cluster.nodes.lock().expect("no holder panics").push(address);
        let node = Arc::new(Node {
            cluster,
            address,
            faults: Faults::default(),
            authorization: setup.authorization,
            connections: Arc::default(),
            away: Mutex::new(false),
        });
        let (sender, incoming) = mpsc::channel(16);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&node), sender));
        let mut server = Server::builder();
        let scheme_suffix = if let Some((certificate, key)) = setup.identity {
            let identity = Identity::from_pem(certificate, key);
            server = server
                .tls_config(ServerTlsConfig::new().identity(identity))
                .expect("the test's certificate is one");
            ""
        } else {
            "?tls=false"
        };
        let router = server
            .add_service(StreamsServer::from_arc(Arc::clone(&node)))
            .add_service(ServerFeaturesServer::from_arc(Arc::clone(&node)))
            .add_service(GossipServer::from_arc(Arc::clone(&node)));
        let serving = tokio::spawn(async move {
            router
                .serve_with_incoming(ReceiverStream::new(incoming))
                .await
                .expect("the double serves until it is dropped");
        });
        Self { node, accepting, serving, scheme_suffix }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.node.address
    }

    /// A connection string for it.
    pub fn url(&self) -> String {
        format!("kurrentdb://{}{}", self.node.address, self.scheme_suffix)
    }

    /// What it is to do wrong.
    pub fn faults(&self) -> &Faults {
        &self.node.faults
    }

    /// Makes this node the leader of its cluster.
    pub fn lead(&self) {
        *self.node.cluster.leader.lock().expect("no holder panics") = Some(self.node.address);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.node.cut();
    }

    /// Goes away: every connection is cut, and new ones are closed as they come.
    pub fn leave(&self) {
        *self.node.away.lock().expect("no holder panics") = true;
        self.node.cut();
    }

    /// Comes back.
    pub fn come_back(&self) {
        *self.node.away.lock().expect("no holder panics") = false;
    }

    /// Everything that was written, system events included.
    pub fn records(&self) -> Vec<Record> {
        self.node.cluster.database.lock().expect("no holder panics").records().to_vec()
    }

    /// Writes without a client, as another application would.
    ///
    /// # Panics
    /// When the database refuses.
    pub fn write(&self, stream: &str, events: Vec<Proposed>) {
        let written = self.node.cluster.append(stream, Expected::Any, events);
        assert!(written.is_ok(), "{written:?}");
    }

    /// Deletes a stream for good.
    ///
    /// # Panics
    /// When there is no such stream.
    pub fn tombstone(&self, stream: &str) {
        let mut database = self.node.cluster.database.lock().expect("no holder panics");
        assert!(database.delete(stream, true).is_ok(), "{stream} is a stream");
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.accepting.abort();
        self.serving.abort();
        self.node.cut();
    }
}

impl Cluster {
    fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<(u64, u64), Refused> {
        let mut database = self.database.lock().expect("no holder panics");
        let answer = database.append(stream, expected, events);
        self.written.send_replace(database.records().len());
        answer
    }
}

impl Node {
    fn cut(&self) {
        cut(&self.connections);
    }

    fn cutter(&self) -> reading::Cutter {
        let connections = Arc::clone(&self.connections);
        Box::new(move || cut(&connections))
    }
}

fn cut(connections: &Mutex<Vec<AbortHandle>>) {
    for connection in connections.lock().expect("no holder panics").drain(..) {
        connection.abort();
    }
}

/// Carries bytes between each client and the server; ending the carrier cuts the connection.
async fn accept(
    listener: TcpListener,
    node: Arc<Node>,
    server: mpsc::Sender<std::io::Result<tokio::io::DuplexStream>>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        if *node.away.lock().expect("no holder panics") {
            continue;
        }
        let (inner, outer) = tokio::io::duplex(1 << 16);
        let carrier = tokio::spawn(carry(socket, outer));
        node.connections.lock().expect("no holder panics").push(carrier.abort_handle());
        if server.send(Ok(inner)).await.is_err() {
            return;
        }
    }
}

async fn carry(mut socket: TcpStream, mut server: tokio::io::DuplexStream) {
    // Small answers would wait for each other otherwise.
    let _ = socket.set_nodelay(true);
    // Either end may close at any time; both are the end of it.
    let _ = tokio::io::copy_bidirectional(&mut socket, &mut server).await;
}
