//! Who asks, whether they may, and how often: before any handler.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use events::value::Line;

use super::App;
use super::error::ApiError;
use super::request::RequestId;
use crate::auth::{Access, Caller, Denied, Scope, Scopes, access};
use crate::observed::on_behalf_of;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets a request through whose caller may make it, and tells the handlers who that is.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match admitted(&app, request) {
        Ok(Admitted::Anyone(request)) => next.run(request).await,
        Ok(Admitted::Known(request, caller)) => on_behalf_of(caller, next.run(request)).await,
        Err(error) => error.into_response(),
    }
}

enum Admitted {
    Anyone(Request),
    Known(Request, Caller),
}

fn admitted(app: &App, mut request: Request) -> Result<Admitted, ApiError> {
    // Without a route there is nothing to protect: the answer is 404.
    let Some(route) = request.extensions().get::<MatchedPath>() else {
        return Ok(Admitted::Anyone(request));
    };
    // Not passed on: a handler that the table does not know must not be reached.
    let Some(access) = access(request.method().as_str(), route.as_str()) else {
        return Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("{} does not take {}", request.uri().path(), request.method()),
        ));
    };
    if access == Access::Open {
        return Ok(Admitted::Anyone(request));
    }
    if !app.auth_required && app.config.listens().all(|it| it.ip().is_loopback()) {
        of_this_machine(&request)?;
    }
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let shown = shown(request.headers())?;
    let mut caller = match (shown, access) {
        // Who it is, the first message over the socket says.
        (None, Access::Socket) => Ok(Caller::anonymous(Scopes::default())),
        (shown, _) => identify(app, shown),
    };
    app.rate.take(caller.as_ref().ok(), peer).map_err(|wait| too_often(app, wait))?;
    if let Ok(caller) = &mut caller {
        caller.peer = peer.filter(|_| app.config.auth.audit_peer);
        let id = request.extensions().get::<RequestId>();
        caller.request = id.map(|id| Line::clipped(&id.0));
    }
    let caller = caller?;
    if let Access::Needs(scope) = access {
        require(&caller, scope)?;
    }
    request.extensions_mut().insert(caller.clone());
    Ok(Admitted::Known(request, caller))
}

/// A page of elsewhere whose name is made to lead to this machine is, to a browser, of one origin
/// with a server here. The name that it asked for gives it away.
fn of_this_machine(request: &Request) -> Result<(), ApiError> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = request.uri().authority().map(Authority::as_str).or(header).unwrap_or_default();
    let host = asked.parse().map(|asked: Authority| asked.host().to_ascii_lowercase());
    let host = host.unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if address.is_ok_and(|ip| ip.is_loopback()) || host == "localhost" {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign_host",
        format!(
            "expected the host localhost, 127.0.0.1 or [::1], got {asked:?}: a server that asks for \
             no tokens answers under names of its own machine; with auth.required = true under any"
        ),
    ))
}

/// The token of the `Authorization` header.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(token) if values.next().is_none() => Ok(Some(token)),
        _ => Err(denied(Denied::Invalid)),
    }
}

/// Who shows this token; where none is asked for, whoever shows none may do everything.
pub(super) fn identify(app: &App, shown: Option<&str>) -> Result<Caller, ApiError> {
    match shown {
        Some(token) => app.tokens.verify(token, (app.clock)()).map_err(denied),
        None if app.auth_required => Err(ApiError::unauthorized(
            "token_missing",
            "this needs a token: Authorization: Bearer flt_…; faultline token create makes one",
        )),
        None => Ok(Caller::anonymous(Scopes::new([Scope::Admin]))),
    }
}

fn denied(denied: Denied) -> ApiError {
    match denied {
        Denied::Invalid => ApiError::unauthorized(
            "token_invalid",
            "expected Authorization: Bearer and a token that is known and not taken back",
        ),
        Denied::Expired(at) => {
            ApiError::unauthorized("token_expired", format!("the token was good until {at}"))
        }
    }
}

/// Refuses a caller without the scope.
pub(super) fn require(caller: &Caller, scope: Scope) -> Result<(), ApiError> {
    if caller.may(scope) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "scope_missing",
        format!("this needs a token with the scope {scope}, got one with {}", caller.scopes),
    )
    .with("needed", scope.as_str()))
}

pub(super) fn too_often(app: &App, wait: std::time::Duration) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let per_second = app.config.rate.requests_per_s;
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        format!("expected at most {per_second} requests a second, ask again in {seconds} s"),
    )
    .retry_after(seconds.max(1))
}
