//! Whom a call went to when the callee sends no span: by what the caller says of it, and by what
//! was learned from other calls to the same address.

mod said;

use ahash::AHashMap;
use events::ComponentName;

use super::components::{ComponentNo, Components, Kind, printable};
use super::dropped::Reason;
use super::settings::{PeerRule, Settings};
use super::window::Number;
pub use said::Said;

/// A peer's number in this process; 0 is nobody.
pub type PeerNo = u32;

/// A callee as its callers see it.
#[derive(Debug)]
struct Peer {
    /// The name that its callers give it, and what it then is.
    named: Option<(Kind, String)>,
    /// The name is one that a service may have given itself.
    service: bool,
    /// `host:port` or `host`.
    address: Option<String>,
    last: Number,
}

/// Who answers at an address.
#[derive(Debug)]
struct Address {
    first: Number,
    /// Components that were seen to answer there, each since a window. More than one is a load
    /// balancer, and says nothing.
    answered: Vec<(ComponentNo, Number)>,
}

/// All peers that are known.
#[derive(Debug)]
pub struct Peers {
    rules: AHashMap<String, ComponentName>,
    externals: bool,
    external_after: i64,
    most: usize,
    by_hash: AHashMap<u64, PeerNo>,
    list: Vec<Option<Peer>>,
    free: Vec<PeerNo>,
    addresses: AHashMap<(ComponentNo, PeerNo), Address>,
}

/// Whom a call went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A component.
    Known(ComponentNo),
    /// Not to be told yet, or ever.
    Unknown,
    /// A component for which there is no room.
    NoRoom(Reason),
}

/// Windows for which a peer that nobody calls is remembered when there is no room.
const REMEMBERED: i64 = 60;
/// More components than this at one address are not told apart.
const MOST_ANSWERED: usize = 2;

impl Peers {
    pub fn new(settings: &Settings) -> Self {
        let rule = |rule: &PeerRule| (rule.peer.to_ascii_lowercase(), rule.component.clone());
        Self {
            rules: settings.peers.iter().map(rule).collect(),
            externals: settings.external_hosts,
            external_after: settings.external_after_windows.into(),
            most: settings.limits.resources,
            by_hash: AHashMap::new(),
            list: vec![None],
            free: Vec::new(),
            addresses: AHashMap::new(),
        }
    }

    /// The number of what a span says of its peer.
    pub fn number(&mut self, said: &Said<'_>, seen: Number) -> Result<PeerNo, Reason> {
        let Some(hash) = said.hash() else { return Ok(0) };
        if let Some(number) = self.by_hash.get(&hash)
            && let Some(peer) = &mut self.list[*number as usize]
        {
            peer.last = peer.last.max(seen);
            return Ok(*number);
        }
        if self.by_hash.len() >= self.most {
            self.forget(seen);
        }
        if self.by_hash.len() >= self.most {
            return Err(Reason::TooManyResources);
        }
        let (named, address) = (said.name(), said.address());
        let peer = Peer { named, service: said.names_service(), address, last: seen };
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.list.push(None);
                u32::try_from(self.list.len() - 1).map_err(|_| Reason::TooManyResources)?
            }
        };
        self.list[number as usize] = Some(peer);
        self.by_hash.insert(hash, number);
        Ok(number)
    }

    /// Makes room by forgetting peers that nobody calls any more.
    fn forget(&mut self, now: Number) {
        let (list, free) = (&mut self.list, &mut self.free);
        self.by_hash.retain(|_, number| {
            let slot = &mut list[*number as usize];
            let stays = slot.as_ref().is_some_and(|peer| peer.last + REMEMBERED >= now);
            if !stays {
                *slot = None;
                free.push(*number);
            }
            stays
        });
        let list = &self.list;
        self.addresses.retain(|(_, peer), _| list[*peer as usize].is_some());
    }

    /// A callee answered at a peer's address with a span of its own.
    pub fn learn(&mut self, caller: ComponentNo, peer: PeerNo, callee: ComponentNo, seen: Number) {
        if peer == 0 {
            return;
        }
        let address = self.addresses.entry((caller, peer));
        let address = address.or_insert(Address { first: seen, answered: Vec::new() });
        let known = address.answered.iter().any(|(it, _)| *it == callee);
        if !known && address.answered.len() < MOST_ANSWERED {
            address.answered.push((callee, seen));
        }
    }

    /// A queue that both producers and consumers name stands between them.
    pub fn queue(&self, peer: PeerNo) -> bool {
        let peer = self.list.get(peer as usize).and_then(Option::as_ref);
        peer.is_some_and(|peer| matches!(peer.named, Some((Kind::Queue, _))))
    }

    /// Whom a call of `caller` to `peer` in the window `seen` went to, if no span of the callee
    /// tells it. Windows have to be asked for in their order.
    pub fn resolve(
        &mut self,
        components: &mut Components,
        caller: ComponentNo,
        number: PeerNo,
        seen: Number,
    ) -> Callee {
        let Some(Some(peer)) = self.list.get(number as usize) else { return Callee::Unknown };
        let keys = [peer.named.as_ref().map(|(_, name)| name), peer.address.as_ref()];
        let host = peer.address.as_deref().map(host_of);
        let mut rules = keys.into_iter().flatten().map(String::as_str).chain(host);
        if let Some(name) = rules.find_map(|key| self.rules.get(&key.to_ascii_lowercase())) {
            return known(components.inferred(name, Kind::External, seen));
        }
        let address = self.addresses.entry((caller, number));
        let address = address.or_insert(Address { first: seen, answered: Vec::new() });
        let mut answered = address.answered.iter().filter(|(_, since)| *since <= seen);
        if let (Some((one, _)), None) = (answered.next(), answered.next()) {
            return Callee::Known(*one);
        }
        if let Some((kind, name)) = &peer.named {
            if peer.service
                && let Some(service) = components.service(name, seen)
            {
                return Callee::Known(service);
            }
            return match ComponentName::new(printable(name.clone())) {
                Ok(name) => known(components.inferred(&name, *kind, seen)),
                Err(_) => Callee::NoRoom(Reason::NameTooLong),
            };
        }
        let Some(host) = host else { return Callee::Unknown };
        if let Some(service) = cluster_name(host).and_then(|name| components.service(name, seen)) {
            return Callee::Known(service);
        }
        let waited = seen - address.first >= self.external_after;
        if !self.externals || !waited || address.answered.len() > 1 || is_local(host) {
            return Callee::Unknown;
        }
        match ComponentName::new(printable(host.to_owned())) {
            Ok(name) => known(components.inferred(&name, Kind::External, seen)),
            Err(_) => Callee::NoRoom(Reason::NameTooLong),
        }
    }
}

fn known(number: Result<ComponentNo, Reason>) -> Callee {
    number.map_or_else(Callee::NoRoom, Callee::Known)
}

fn host_of(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    }
}

/// The service that a name within a cluster or on a network of containers stands for. Names of
/// the internet do not stand for services of ours, whatever they begin with.
fn cluster_name(host: &str) -> Option<&str> {
    match host.split_once('.') {
        None => Some(host),
        Some((name, rest)) => {
            let inside = rest.ends_with(".svc") || rest.contains(".svc.") || rest == "internal";
            inside.then_some(name)
        }
    }
}

/// Whether a host is a number, or this machine: which component it is depends on who asks.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || host.ends_with(".local")
        || !host.bytes().any(|byte| byte.is_ascii_alphabetic())
}
