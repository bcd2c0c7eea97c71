//! Who makes a request.

use std::net::IpAddr;

use events::TokenId;
use events::value::Line;

use super::scope::{Scope, Scopes};

/// Who makes a request, and what they may.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token they showed.
    pub(crate) token: Option<TokenId>,
    /// Its name; `anonymous` without one.
    pub(crate) name: Line,
    /// What they may.
    pub(crate) scopes: Scopes,
    /// Where they call from, when the operator wants it kept.
    pub(crate) peer: Option<IpAddr>,
    /// The request.
    pub(crate) request: Option<Line>,
}

impl Caller {
    /// Someone without a token, where none is asked for.
    pub(crate) fn anonymous(scopes: Scopes) -> Self {
        let name = Line::clipped("anonymous");
        Self { token: None, name, scopes, peer: None, request: None }
    }

    /// Whether they may do what needs `scope`.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }
}
