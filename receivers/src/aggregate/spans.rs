//! Spans: requests that a component served, calls that it made, messages it worked on.
//!
//! A call has two halves, in two components, that arrive in any order, in different requests, or
//! one of them never. Halves are kept until the window of the caller's is closed; only then is
//! it decided whom the call went to.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::Aggregator;
use super::components::{ComponentNo, ResourceNo};
use super::dropped::{Absorbed, Reason};
use super::peers::{PeerNo, Said};
use super::span_index::{Seen, SpanKey};
use super::window::{self, Number};

/// A call as the caller saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub key: SpanKey,
    /// The span around it, if there is one.
    pub parent: Option<SpanKey>,
    pub caller: ComponentNo,
    pub peer: PeerNo,
    pub protocol: u16,
    pub took_ns: u64,
    pub failed: bool,
}

/// A request or a message as the component saw that worked on it, where the other side's span
/// may be no call: a span around code, or a queue.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub key: SpanKey,
    pub from: From,
    pub component: ComponentNo,
    pub protocol: u16,
    pub took_ns: u64,
    pub failed: bool,
    /// A span of fetching messages, which counts where none of working on one does.
    pub receives: bool,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub enum From {
    Span(SpanKey),
    Queue(PeerNo),
}

/// Most links of a consumer's span that are followed: a batch of messages has one each.
const MOST_LINKS: usize = 128;

impl Aggregator {
    /// Takes the spans of a request.
    pub(super) fn absorb_spans(&mut self, request: &ExportTraceServiceRequest) -> Absorbed {
        let mut absorbed = Absorbed::default();
        for of_resource in &request.resource_spans {
            let spans = || of_resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            let seen = self.grid.number(self.now_ns);
            let (place, component) =
                match self.components.resource(of_resource.resource.as_ref(), seen) {
                    Ok(known) => known,
                    Err(reason) => {
                        absorbed.drop(reason, spans().count() as u64);
                        continue;
                    }
                };
            for span in spans() {
                match self.absorb_span(place, component, span) {
                    Ok(true) => absorbed.accepted += 1,
                    Ok(false) => absorbed.repeated += 1,
                    Err(reason) => absorbed.drop(reason, 1),
                }
            }
        }
        self.totals.spans += absorbed.accepted;
        absorbed
    }

    /// Takes one span; `false` if it was taken before.
    fn absorb_span(
        &mut self,
        place: ResourceNo,
        component: ComponentNo,
        span: &Span,
    ) -> Result<bool, Reason> {
        let key = SpanKey::read(&span.trace_id, &span.span_id).ok_or(Reason::InvalidId)?;
        let parent = match span.parent_span_id.len() {
            0 => None,
            8 => key.sibling(&span.parent_span_id),
            _ => return Err(Reason::InvalidId),
        };
        let start = window::sent(span.start_time_unix_nano).ok_or(Reason::InvalidTime)?;
        let end = window::sent(span.end_time_unix_nano).ok_or(Reason::InvalidTime)?;
        let took_ns = u64::try_from(end - start).map_err(|_| Reason::InvalidTime)?;
        let number = self.accepts(end)?;
        if span.attributes.len() > self.settings.limits.attributes {
            return Err(Reason::TooManyAttributes);
        }
        let kind = span.kind();
        let outgoing = matches!(kind, SpanKind::Client | SpanKind::Producer);
        if !self.spans.insert(key, Seen { component, outgoing }) {
            return Ok(false);
        }
        self.note(number, place, component, end);
        if matches!(kind, SpanKind::Internal | SpanKind::Unspecified) {
            return Ok(true);
        }
        let said = Said::read(&span.attributes);
        let half = Half { number, component, key, parent, took_ns, failed: failed(span, &said) };
        match kind {
            SpanKind::Server => self.served(&half, &said),
            SpanKind::Consumer => self.consumed(&half, &said, span),
            // New conventions make fetching messages a call of the client's.
            _ if said.receives() => self.consumed(&half, &said, span),
            _ => self.called(&half, &said),
        }
        Ok(true)
    }

    fn served(&mut self, half: &Half, said: &Said<'_>) {
        self.requested(half);
        let Some(parent) = half.parent else { return };
        self.spans.answer(parent, half.component);
        let protocol = self.protocols.number(said.protocol());
        let inbound = half.inbound(From::Span(parent), protocol, false);
        self.open_window(half.number).inbound.push(inbound);
    }

    fn consumed(&mut self, half: &Half, said: &Said<'_>, span: &Span) {
        let receives = said.receives();
        if !receives {
            self.requested(half);
        }
        let protocol = self.protocols.number(said.protocol());
        let peer = self.peer(said, half.number);
        if self.peers.queue(peer) {
            let inbound = half.inbound(From::Queue(peer), protocol, receives);
            self.open_window(half.number).inbound.push(inbound);
            return;
        }
        let links = span.links.iter().take(MOST_LINKS);
        let links = links.filter_map(|link| SpanKey::read(&link.trace_id, &link.span_id));
        for from in half.parent.into_iter().chain(links) {
            self.spans.answer(from, half.component);
        }
        if let Some(parent) = half.parent {
            let inbound = half.inbound(From::Span(parent), protocol, receives);
            self.open_window(half.number).inbound.push(inbound);
        }
    }

    fn called(&mut self, half: &Half, said: &Said<'_>) {
        let call = Call {
            key: half.key,
            parent: half.parent,
            caller: half.component,
            peer: self.peer(said, half.number),
            protocol: self.protocols.number(said.protocol()),
            took_ns: half.took_ns,
            failed: half.failed,
        };
        self.open_window(half.number).calls.push(call);
    }

    fn peer(&mut self, said: &Said<'_>, seen: Number) -> PeerNo {
        self.peers.number(said, seen).unwrap_or_else(|reason| {
            self.totals.drop(reason, 1);
            0
        })
    }

    fn requested(&mut self, half: &Half) {
        let window = self.open_window(half.number);
        window.component(half.component).served.add(half.took_ns, half.failed);
    }
}

/// What the two halves of a call have in common.
struct Half {
    number: Number,
    component: ComponentNo,
    key: SpanKey,
    parent: Option<SpanKey>,
    took_ns: u64,
    failed: bool,
}

impl Half {
    fn inbound(&self, from: From, protocol: u16, receives: bool) -> Inbound {
        let (component, took_ns) = (self.component, self.took_ns);
        Inbound { key: self.key, from, component, protocol, took_ns, failed: self.failed, receives }
    }
}

/// Whether a call failed. The conventions set an error on a caller's span for every status from
/// 400 on; that somebody asked for what is not there is no failure of who answered.
fn failed(span: &Span, said: &Said<'_>) -> bool {
    match said.http_status {
        Some(429 | 408 | 500..) => true,
        Some(400..500) => false,
        _ => span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
    }
}

/// Names of protocols, which are few.
#[derive(Debug, Default)]
pub struct Protocols {
    list: Vec<Box<str>>,
}

/// More names than this are not told apart.
const MOST_PROTOCOLS: usize = 200;

impl Protocols {
    /// The number of a protocol; 0 for none.
    pub fn number(&mut self, name: Option<&str>) -> u16 {
        let Some(name) = name else { return 0 };
        let index = self.list.iter().position(|known| **known == *name).or_else(|| {
            (self.list.len() < MOST_PROTOCOLS && name.len() <= 100).then(|| {
                self.list.push(name.into());
                self.list.len() - 1
            })
        });
        index.map_or(0, |index| u16::try_from(index + 1).expect("at most 200 are kept"))
    }

    /// The name of a number.
    pub fn name(&self, number: u16) -> Option<&str> {
        self.list.get(usize::from(number).checked_sub(1)?).map(|name| &**name)
    }
}
