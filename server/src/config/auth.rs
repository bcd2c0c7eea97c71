//! Who may use the server, how often, and whether the line is encrypted.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};
use crate::auth::TokenRecord;

/// `[auth]`: who may use the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether requests need a token. Absent: everywhere but on a loopback address.
    pub required: Option<bool>,
    /// Accept an address that other machines reach without asking for tokens: whoever reaches
    /// the port may read and write everything. Default `false`.
    pub allow_anonymous: bool,
    /// Whether the audit keeps the address of who did something. Default `false`.
    pub audit_peer: bool,
    /// Tokens beside those of `tokens.json` in the data folder, with the hashes of their
    /// secrets: what `faultline token create --print-entry` prints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenRecord>,
}

impl AuthConfig {
    /// Whether requests to this address need a token.
    pub fn required_on(&self, listen: SocketAddr) -> bool {
        self.required.unwrap_or(!listen.ip().is_loopback() && !self.allow_anonymous)
    }

    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if !listen.ip().is_loopback() && !self.required_on(listen) && !self.allow_anonymous {
            return Err(invalid(
                "auth.required",
                format!(
                    "true on {listen}, which other machines reach, or auth.allow_anonymous = true \
                     (--allow-anonymous): without tokens whoever reaches the port may read and \
                     write everything"
                ),
                false,
            ));
        }
        for (index, token) in self.tokens.iter().enumerate() {
            if self.tokens[..index].iter().any(|other| other.id == token.id) {
                return Err(invalid("auth.tokens", "every id once", &token.id));
            }
            if token.scopes.is_empty() {
                return Err(invalid("auth.tokens", "a scope at least", &token.id));
            }
        }
        Ok(())
    }
}

/// `[rate]`: how often one token, or one address without a token, may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Requests a second that one caller may make for long; 0 for any number. Default 1,000.
    pub requests_per_s: u32,
    /// Requests that one caller may make at once. Default 5,000.
    pub burst: u32,
    /// Callers that are told apart; those beyond share one allowance. Default 10,000.
    pub max_callers: usize,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { requests_per_s: 1_000, burst: 5_000, max_callers: 10_000 }
    }
}

impl RateConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.burst == 0 {
            return Err(invalid("rate.burst", "1 or more", 0));
        }
        if !(1..=1_000_000).contains(&self.max_callers) {
            return Err(invalid("rate.max_callers", "1 to 1000000", self.max_callers));
        }
        Ok(())
    }
}

/// `[tls]`: an encrypted line. Without it the line is plain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those between it and the root, PEM.
    pub cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    pub key: Option<PathBuf>,
}

impl TlsConfig {
    /// The two files, when the line shall be encrypted.
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert.as_ref().zip(self.key.as_ref())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match (&self.cert, &self.key) {
            (Some(cert), None) => Err(invalid("tls.key", "a PEM file", format!("only {cert:?}"))),
            (None, Some(key)) => Err(invalid("tls.cert", "a PEM file", format!("only {key:?}"))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(required: Option<bool>, allow_anonymous: bool, listen: &str) -> Option<bool> {
        let auth = AuthConfig { required, allow_anonymous, ..AuthConfig::default() };
        let listen = listen.parse().expect("an address");
        auth.check(listen).ok().map(|()| auth.required_on(listen))
    }

    #[test]
    fn tokens_are_asked_for_where_other_machines_reach() {
        for (required, allow, on_loopback, elsewhere) in [
            (None, false, Some(false), Some(true)),
            (None, true, Some(false), Some(false)),
            (Some(true), false, Some(true), Some(true)),
            (Some(true), true, Some(true), Some(true)),
            (Some(false), false, Some(false), None),
            (Some(false), true, Some(false), Some(false)),
        ] {
            let case = format!("required {required:?}, allow_anonymous {allow}");
            assert_eq!(checked(required, allow, "127.0.0.1:1"), on_loopback, "{case}");
            assert_eq!(checked(required, allow, "[::1]:1"), on_loopback, "{case}");
            assert_eq!(checked(required, allow, "0.0.0.0:1"), elsewhere, "{case}");
        }
    }
}
