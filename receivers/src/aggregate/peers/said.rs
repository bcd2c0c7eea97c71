//! What a span says of the other side, by the semantic conventions, older names included.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::aggregate::components::Kind;
use crate::otlp::attributes::{is_true, text, whole};

/// The attributes of a span that tell of its peer and of its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    peer_service: Option<&'a str>,
    db_system: Option<&'a str>,
    db_namespace: Option<&'a str>,
    messaging_system: Option<&'a str>,
    destination: Option<&'a str>,
    /// A destination that one client made for itself.
    passing: bool,
    operation: Option<&'a str>,
    rpc_system: Option<&'a str>,
    http: bool,
    host: Option<&'a str>,
    /// The address of the next hop: used where no other is told.
    hop: Option<&'a str>,
    port: Option<i64>,
    url: Option<&'a str>,
    /// Of the answer.
    pub http_status: Option<i64>,
}

impl<'a> Said<'a> {
    /// Reads the attributes of a span.
    pub fn read(attributes: &'a [KeyValue]) -> Self {
        let mut said = Self::default();
        for attribute in attributes {
            let value = text(attribute);
            match attribute.key.as_str() {
                "peer.service" => said.peer_service = value,
                "db.system.name" => said.db_system = value,
                "db.system" => said.db_system = said.db_system.or(value),
                "db.namespace" => said.db_namespace = value,
                "db.name" => said.db_namespace = said.db_namespace.or(value),
                "messaging.system" => said.messaging_system = value,
                "messaging.destination.name" => said.destination = value,
                "messaging.destination" => said.destination = said.destination.or(value),
                "messaging.destination.temporary" | "messaging.destination.anonymous" => {
                    said.passing |= is_true(attribute);
                }
                "messaging.operation.type" => said.operation = value,
                "messaging.operation" => said.operation = said.operation.or(value),
                "rpc.system" | "rpc.system.name" => said.rpc_system = value,
                "server.address" => said.host = value,
                "net.peer.name" => said.host = said.host.or(value),
                "network.peer.address" | "net.sock.peer.addr" | "net.peer.ip" => {
                    said.hop = said.hop.or(value);
                }
                "server.port" => said.port = whole(attribute),
                "net.peer.port" => said.port = said.port.or(whole(attribute)),
                "url.full" => said.url = value,
                "http.url" => said.url = said.url.or(value),
                "http.request.method" | "http.method" => said.http = true,
                "http.response.status_code" => said.http_status = whole(attribute),
                "http.status_code" => said.http_status = said.http_status.or(whole(attribute)),
                _ => {}
            }
        }
        said
    }

    /// What the callee is called by: `http`, `grpc`, `postgresql`, `kafka`.
    pub fn protocol(&self) -> Option<&'a str> {
        let http = (self.http || self.http_status.is_some()).then_some("http");
        self.db_system.or(self.messaging_system).or(self.rpc_system).or(http)
    }

    /// Whether a consumer's span is about fetching messages, not about working on one.
    pub fn receives(&self) -> bool {
        matches!(self.operation, Some("receive" | "poll" | "settle" | "ack"))
    }

    /// The host that a URL names, with its port.
    fn authority(&self) -> Option<&'a str> {
        let (_, rest) = self.url?.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        (!authority.is_empty()).then_some(authority)
    }

    /// `host:port`, or the host alone, in lower case.
    pub fn address(&self) -> Option<String> {
        let host = match (self.host, self.authority()) {
            (Some(host), _) => host,
            (None, Some(authority)) => return Some(authority.to_ascii_lowercase()),
            (None, None) => self.hop?,
        };
        let host = host.to_ascii_lowercase();
        Some(self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    }

    /// The name that the span gives its peer, and what it is then. A queue's own name wins over
    /// `peer.service`, because producers and consumers have to mean the same one.
    pub fn name(&self) -> Option<(Kind, String)> {
        if let (Some(system), Some(destination), false) =
            (self.messaging_system, self.destination, self.passing)
        {
            return Some((Kind::Queue, format!("{system}/{destination}")));
        }
        if let Some(service) = self.peer_service {
            let kind = if self.db_system.is_some() { Kind::Database } else { Kind::External };
            return Some((kind, service.to_owned()));
        }
        if let Some(system) = self.db_system {
            let name = match (self.db_namespace, self.address()) {
                (Some(namespace), _) => format!("{system}/{namespace}"),
                (None, Some(address)) => format!("{system}/{address}"),
                (None, None) => system.to_owned(),
            };
            return Some((Kind::Database, name));
        }
        let system = self.messaging_system?;
        Some((Kind::Queue, system.to_owned()))
    }

    /// Whether [`Self::name`] is the peer's `peer.service`, which names it as `service.name` does.
    pub fn names_service(&self) -> bool {
        self.peer_service.is_some() && !matches!(self.name(), Some((Kind::Queue, _)))
    }

    /// What tells this peer from others; `None` if nothing is said.
    pub fn hash(&self) -> Option<u64> {
        let texts = [
            self.peer_service,
            self.db_system,
            self.db_namespace,
            self.messaging_system,
            self.destination.filter(|_| !self.passing),
            self.host.or(self.authority()).or(self.hop),
        ];
        if texts.iter().all(Option::is_none) {
            return None;
        }
        let port = self.port.unwrap_or(-1).unsigned_abs();
        let seed = texts.iter().fold(port, |seed, text| match text {
            Some(text) => xxh3_64_with_seed(text.as_bytes(), seed.wrapping_add(1)),
            None => seed.rotate_left(7),
        });
        Some(seed)
    }
}
