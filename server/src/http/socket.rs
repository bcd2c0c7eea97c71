//! `GET /graphql/ws`: operations over a WebSocket, in the protocol `graphql-transport-ws`.

use std::any::TypeId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_graphql::http::{ClientMessage, WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request, Response as Answer, ServerError};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::stream::{self, BoxStream, SplitSink};
use futures::{SinkExt, Stream, StreamExt};
use schema::graphql::WithoutAudit;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::App;
use super::error::ApiError;
use super::graphql::authorise;
use super::guard::{Peer, identify};
use crate::auth::{Caller, Scope};
use crate::observed::on_behalf_of;

const PROTOCOL: &str = "graphql-transport-ws";
/// Pings without an answer after which a connection is given up.
const MISSED: u32 = 3;
/// How long a client may take for one message.
const SEND_LIMIT: Duration = Duration::from_secs(20);
/// How long the last message may take.
const GOODBYE: Duration = Duration::from_secs(2);

// Close codes of graphql-transport-ws, and of RFC 6455.
const UNAUTHORISED: u16 = 4401;
const NO_INIT: u16 = 4408;
const GOING_AWAY: u16 = 1001;

/// Opens a connection.
pub(super) async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    same_origin(&headers)?;
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offers = |value: &str| value.split(',').any(|offer| offer.trim() == PROTOCOL);
    if !offered.iter().filter_map(|value| value.to_str().ok()).any(offers) {
        return Err(ApiError::bad_request(
            "unsupported_protocol",
            format!("expected the WebSocket subprotocol {PROTOCOL}"),
        ));
    }
    let Ok(place) = app.sockets.clone().try_acquire_owned() else {
        return Err(ApiError::unavailable(
            "too_many_connections",
            format!("at most {} WebSocket connections at once", app.config.graphql.max_sockets),
        ));
    };
    let peer = peer.map(|Extension(peer)| peer.0.ip());
    let largest = usize::try_from(app.config.ingest.max_body_bytes).unwrap_or(usize::MAX);
    Ok(upgrade.protocols([PROTOCOL]).max_message_size(largest).max_frame_size(largest).on_upgrade(
        move |socket| {
            let tracked = app.open_sockets.clone();
            let connection = Connection { app, caller, peer, _place: place };
            tracked.track_future(connection.serve(socket))
        },
    ))
}

/// A browser opens a WebSocket to anywhere for any page, and tells which page it is: only ours
/// may, or every page that someone looks at could ask a server on their machine.
fn same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (origin, host) {
        (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "expected a page of this server's own, or no Origin header",
        )),
    }
}

struct Connection {
    app: App,
    /// By the header; the first message may name another.
    caller: Caller,
    peer: Option<std::net::IpAddr>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, socket: WebSocket) {
        let (mut sink, stream) = socket.split();
        let heard = Arc::new(Mutex::new(Instant::now()));
        let input = messages(stream, heard.clone());
        let who = Arc::new(Mutex::new(None::<Caller>));
        let executor = Operations {
            app: self.app.clone(),
            peer: self.peer,
            running: Arc::new(Semaphore::new(self.app.config.graphql.max_subscriptions)),
        };
        let app = self.app.clone();
        let (told, by_header) = (who.clone(), self.caller.clone());
        let mut answers =
            Protocol::from_message_stream(executor, input, WebSocketProtocols::GraphQLWS)
                .on_connection_init(move |payload| async move {
                    let caller = introduced(&app, by_header, &payload)?;
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(caller.clone());
                    let mut data = Data::default();
                    if !caller.may(Scope::Admin) {
                        data.insert(WithoutAudit);
                    }
                    data.insert(caller);
                    Ok(data)
                });
        let interval = Duration::from_millis(self.app.config.graphql.ping_ms);
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        let end = loop {
            let known = || who.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tokio::select! {
                answer = answers.next() => match answer {
                    Some(WsMessage::Text(text)) => {
                        if !self.sent(&mut sink, Message::Text(text.into())).await {
                            return;
                        }
                    }
                    // The library has one code for all that goes wrong before the first answer.
                    Some(WsMessage::Close(1002 | 1011, reason)) if known().is_none() => {
                        break Some((UNAUTHORISED, reason));
                    }
                    Some(WsMessage::Close(code, reason)) => break Some((code, reason)),
                    None => break None,
                },
                _ = ping.tick() => {
                    let silent = heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
                    match known() {
                        None => break Some((NO_INIT, "expected connection_init".to_owned())),
                        Some(caller) if !self.still_welcome(&caller) => {
                            let reason = "the token is no longer good".to_owned();
                            break Some((UNAUTHORISED, reason));
                        }
                        Some(_) if silent > interval * MISSED => return,
                        Some(_) => {}
                    }
                    if !self.sent(&mut sink, Message::Ping(Vec::new().into())).await {
                        return;
                    }
                }
                () = self.app.draining.cancelled() => {
                    break Some((GOING_AWAY, "the server stops".to_owned()));
                }
            }
        };
        let goodbye = async {
            if let Some((code, reason)) = end {
                let frame = CloseFrame { code, reason: shortened(&reason).into() };
                // A client that is gone needs no goodbye.
                let _ = sink.send(Message::Close(Some(frame))).await;
            }
            let _ = sink.close().await;
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    /// Whether the client took a message. One that reads nothing is given up after a ping's
    /// time, or when the server stops: nothing else is looked at meanwhile, its token neither.
    async fn sent(&self, sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
        let limit = Duration::from_millis(self.app.config.graphql.ping_ms).min(SEND_LIMIT);
        tokio::select! {
            biased;
            sent = tokio::time::timeout(limit, sink.send(message)) => matches!(sent, Ok(Ok(()))),
            () = self.app.draining.cancelled() => false,
        }
    }

    /// A token that expired or was taken back ends what it opened.
    fn still_welcome(&self, caller: &Caller) -> bool {
        let now = (self.app.clock)();
        caller.token.as_ref().is_none_or(|token| self.app.tokens.still_good(token, now))
    }
}

/// What the client sends, noting when.
fn messages(
    stream: impl Stream<Item = Result<Message, axum::Error>> + Send + 'static,
    heard: Arc<Mutex<Instant>>,
) -> BoxStream<'static, serde_json::Result<ClientMessage>> {
    stream
        .take_while(|message| std::future::ready(message.is_ok()))
        .filter_map(move |message| {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            std::future::ready(match message {
                Ok(Message::Text(text)) => Some(serde_json::from_str(text.as_str())),
                Ok(Message::Binary(bytes)) => Some(serde_json::from_slice(&bytes)),
                _ => None,
            })
        })
        .boxed()
}

/// Who opens the connection: the token of the first message counts, then that of the header.
fn introduced(app: &App, by_header: Caller, payload: &Value) -> async_graphql::Result<Caller> {
    let token = ["authorization", "Authorization", "token"]
        .iter()
        .find_map(|name| payload.get(name)?.as_str())
        .map(|text| text.strip_prefix("Bearer ").unwrap_or(text).trim());
    if token.is_none() && by_header.token.is_some() {
        return Ok(by_header);
    }
    let caller = identify(app, token).map_err(|error| {
        async_graphql::Error::new(format!("{}: {}", error.code(), error.message()))
    })?;
    Ok(Caller { peer: by_header.peer, request: by_header.request, ..caller })
}

/// A close frame takes 123 bytes of text.
fn shortened(reason: &str) -> String {
    let end = (0..=reason.len().min(120)).rev().find(|at| reason.is_char_boundary(*at));
    reason[..end.unwrap_or(0)].to_owned()
}

/// Carries out the operations of one connection, each as if it came by itself.
#[derive(Clone)]
struct Operations {
    app: App,
    peer: Option<std::net::IpAddr>,
    running: Arc<Semaphore>,
}

impl Operations {
    fn admitted(
        &self,
        caller: &Caller,
        request: &mut Request,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        self.app
            .rate
            .take(Some(caller), self.peer)
            .map_err(|wait| super::guard::too_often(&self.app, wait))?;
        authorise(&self.app, caller, request)?;
        self.running.clone().try_acquire_owned().map_err(|_| {
            let most = self.app.config.graphql.max_subscriptions;
            ApiError::unavailable(
                "too_many_subscriptions",
                format!("at most {most} operations at once on one connection"),
            )
        })
    }
}

impl Executor for Operations {
    async fn execute(&self, request: Request) -> Answer {
        self.execute_stream(request, None)
            .next()
            .await
            .unwrap_or_else(|| refused(&ApiError::internal_without_cause()))
    }

    fn execute_stream(
        &self,
        mut request: Request,
        data: Option<Arc<Data>>,
    ) -> BoxStream<'static, Answer> {
        let data = data.unwrap_or_default();
        let caller = data
            .get(&TypeId::of::<Caller>())
            .and_then(|caller| caller.downcast_ref::<Caller>())
            .cloned();
        let Some(caller) = caller else {
            return stream::once(async { refused(&ApiError::internal_without_cause()) }).boxed();
        };
        let permit = match self.admitted(&caller, &mut request) {
            Ok(permit) => permit,
            Err(error) => return stream::once(async move { refused(&error) }).boxed(),
        };
        let answers = self.app.schema.execute_stream_with_session_data(request, data);
        // Each answer is made on behalf of the caller: a mutation over the socket is audited.
        stream::unfold((answers, caller, permit), |(mut answers, caller, permit)| async move {
            let answer = on_behalf_of(caller.clone(), answers.next()).await?;
            Some((answer, (answers, caller, permit)))
        })
        .boxed()
    }
}

fn refused(error: &ApiError) -> Answer {
    let mut refusal = ServerError::new(error.message(), None);
    refusal.extensions.get_or_insert_default().set("code", error.code());
    Answer::from_errors(vec![refusal])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_server_itself_may_connect() {
        let of = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            same_origin(&headers).is_ok()
        };
        assert!(of(None, "localhost:7700"));
        assert!(of(Some("http://localhost:7700"), "localhost:7700"));
        assert!(of(Some("https://Faultline.example"), "faultline.example"));
        assert!(!of(Some("http://localhost:3000"), "localhost:7700"));
        assert!(!of(Some("https://evil.example"), "localhost:7700"));
        assert!(!of(Some("null"), "localhost:7700"));
    }

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        assert_eq!(shortened("gone"), "gone");
        let long = shortened(&"é".repeat(100));
        assert!(long.len() <= 123 && long.len() >= 119, "{}", long.len());
    }
}
