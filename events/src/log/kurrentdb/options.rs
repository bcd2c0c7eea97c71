//! Where the server is and how to reach it, and why the log may not open.

use std::path::PathBuf;
use std::time::Duration;

use eventstore::{ClientSettings, Credentials, NodePreference};

/// Where the log is.
#[derive(Clone)]
pub struct KurrentOptions {
    /// The connection string: `kurrentdb://`, `esdb://` and their `+discover` forms, with the
    /// client's parameters (`tls`, `tlsVerifyCert`, `tlsCaFile`, `userCertFile`, …).
    pub url: String,
    /// The user's password, so that it need not stand in the URL; as it is, not percent-encoded.
    pub password: Option<String>,
    /// Folder of the index: derived, and begun anew when it does not belong to the database.
    pub index: PathBuf,
    /// How long one operation keeps trying before it fails.
    pub patience: Duration,
}

impl KurrentOptions {
    /// The server at `url`, the index in `folder`.
    pub fn new(url: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            password: None,
            index: folder.into(),
            patience: Duration::from_secs(15),
        }
    }

    /// The client's settings, and who it says it is. Only the leader is asked: a follower may
    /// not know yet what was acknowledged.
    pub(super) fn settings(
        &self,
    ) -> Result<(ClientSettings, Option<Credentials>), KurrentOpenError> {
        let parsed = |url: &str| {
            url.parse::<ClientSettings>()
                .map_err(|error| KurrentOpenError::Url { why: error.message().to_owned() })
        };
        let mut settings = parsed(&self.url)?;
        if settings.node_preference() != NodePreference::Leader {
            if self.url.to_ascii_lowercase().contains("nodepreference=") {
                return Err(KurrentOpenError::NotTheLeader);
            }
            let glue = if self.url.contains('?') { '&' } else { '?' };
            settings = parsed(&format!("{}{glue}nodePreference=leader", self.url))?;
        }
        let (user, in_url) = user_info(&self.url);
        let password = self.password.clone().or(in_url);
        let credentials = match (user, password) {
            (None, None) => None,
            (None, Some(_)) => return Err(KurrentOpenError::NoUser),
            (Some(user), password) => Some(Credentials::new(user, password.unwrap_or_default())),
        };
        Ok((settings, credentials))
    }
}

/// User and password of a URL, decoded: the client sends them as they stand there.
fn user_info(url: &str) -> (Option<String>, Option<String>) {
    let Some((_, rest)) = url.split_once("://") else { return (None, None) };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let Some((info, _)) = authority.rsplit_once('@') else { return (None, None) };
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    (Some(decoded(user)).filter(|user| !user.is_empty()), password.map(decoded))
}

/// Percent-decoded; what is no valid escape stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escape = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why the log in KurrentDB cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KurrentOpenError {
    /// The connection string is not one.
    #[error("expected a connection string such as \"kurrentdb://host:2113\": {why}")]
    Url {
        /// What the client says.
        why: String,
    },
    /// A preference for another node than the leader.
    #[error(
        "expected no nodePreference or nodePreference=leader: another node may not know yet what \
         was acknowledged"
    )]
    NotTheLeader,
    /// A password alone.
    #[error(
        "a password was given and no user: put the user into the URL, as in kurrentdb://USER@host:2113"
    )]
    NoUser,
    /// The client could not be made: certificates that cannot be read, for instance.
    #[error("setting up the client failed: {why}")]
    Client {
        /// What the client says.
        why: String,
    },
    /// The server did not answer in time, or refused.
    #[error("the server cannot be used: {why}")]
    Server {
        /// The last error.
        why: String,
    },
    /// The index could not be opened or begun. It may be deleted while the log is closed.
    #[error("opening the index in {folder} failed")]
    Index {
        /// Its folder.
        folder: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The subscription ended while the log was opened; it has said why.
    #[error("the subscription that feeds the index ended")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_decoded() {
        let info = |url| user_info(url);
        let both = (Some("admin".to_owned()), Some("p@ss:w%rd".to_owned()));
        assert_eq!(info("esdb://admin:p%40ss:w%25rd@host:2113?x=a@b"), both);
        assert_eq!(info("esdb://admin@host"), (Some("admin".to_owned()), None));
        assert_eq!(info("esdb://host?a=b@c"), (None, None));
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn only_the_leader_is_asked() {
        let of = |url: &str| KurrentOptions::new(url, "unused").settings();
        let (settings, credentials) = of("kurrentdb://a:1,b:2,c:3?tls=false").unwrap();
        assert_eq!(settings.node_preference(), NodePreference::Leader);
        assert_eq!(settings.hosts().len(), 3);
        assert_eq!(credentials, None);
        let refused = of("esdb://a?nodePreference=follower").unwrap_err();
        assert!(matches!(refused, KurrentOpenError::NotTheLeader), "{refused}");
        assert!(matches!(of("http://a").unwrap_err(), KurrentOpenError::Url { .. }));
    }

    #[test]
    fn a_password_needs_a_user() {
        let mut options = KurrentOptions::new("kurrentdb://host", "unused");
        options.password = Some("secret".to_owned());
        assert!(matches!(options.settings().unwrap_err(), KurrentOpenError::NoUser));
        options.url = "kurrentdb://ops@host".to_owned();
        let (_, credentials) = options.settings().unwrap();
        assert_eq!(credentials, Some(Credentials::new("ops", "secret")));
    }
}
