//! What a token is good for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Append events of machines: telemetry, experiments, changes, alerts.
    Ingest,
    /// Ask.
    Read,
    /// Say what an incident was and how it goes on. Whoever may label may read.
    Label,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Self::Ingest, Self::Read, Self::Label, Self::Admin];

    /// Its name, as tokens and answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Label => "label",
            Self::Admin => "admin",
        }
    }

    fn implies(self, other: Self) -> bool {
        self == other || self == Self::Admin || (self, other) == (Self::Label, Self::Read)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no scope.
#[derive(Debug, thiserror::Error)]
#[error("expected ingest, read, label or admin, got {0:?}")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// The scopes of one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// In their order, each once.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Whether they suffice for what needs `scope`.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.iter().any(|own| own.implies(scope))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_allow_what_they_imply_and_nothing_else() {
        let allowed = |scope: Scope| -> Vec<&str> {
            let own = Scopes::new([scope]);
            Scope::ALL.into_iter().filter(|it| own.allow(*it)).map(Scope::as_str).collect()
        };
        assert_eq!(allowed(Scope::Ingest), ["ingest"]);
        assert_eq!(allowed(Scope::Read), ["read"]);
        assert_eq!(allowed(Scope::Label), ["read", "label"]);
        assert_eq!(allowed(Scope::Admin), ["ingest", "read", "label", "admin"]);
        assert!(!Scopes::default().allow(Scope::Read));
    }
}
