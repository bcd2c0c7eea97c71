//! The tokens there are: those of the configuration, and those of a file that `faultline token`
//! writes and a running server reads again when it changes.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use events::value::Line;
use events::{Timestamp, TokenId};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::scope::Scopes;
use super::token::{SecretHash, Shown};
use crate::whole_file;

/// A token as it is kept: everything but its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// Its public part.
    pub id: TokenId,
    /// Who or what uses it; the audit names it.
    pub name: Line,
    /// What it is good for.
    pub scopes: Scopes,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Until when it is good; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// Why the file of tokens could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("the tokens in {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what `faultline token` writes.
    #[error("the tokens in {path:?} are not readable")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    tokens: Vec<TokenRecord>,
}

/// The file of tokens in the data folder.
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

/// Tells two contents of a file apart: a new one is renamed into place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp(u64, i64, i64, u64);

impl TokenFile {
    /// Its name in the data folder.
    pub(crate) const NAME: &str = "tokens.json";

    /// The one in this data folder; it need not exist.
    pub fn of(data: &Path) -> Self {
        Self(data.join(Self::NAME))
    }

    /// All tokens, those that are no longer good included.
    pub fn read(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let text = match std::fs::read(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| self.failed(source))?,
        };
        let kept: Kept = serde_json::from_slice(&text)
            .map_err(|source| StoreError::Malformed { path: self.0.clone(), source })?;
        Ok(kept.tokens)
    }

    /// Changes the tokens: whole or not at all, one change at a time, readable by the owner alone.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<TokenRecord>) -> T,
    ) -> Result<T, StoreError> {
        let failed = |source| self.failed(source);
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut open = std::fs::OpenOptions::new();
        open.create(true).truncate(false).write(true).mode(0o600);
        let lock = open.open(self.0.with_extension("lock")).map_err(failed)?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, errno)| self.failed(errno.into()))?;
        let mut kept = Kept { tokens: self.read()? };
        let answer = change(&mut kept.tokens);
        let text = serde_json::to_vec_pretty(&kept)
            .map_err(|source| StoreError::Malformed { path: self.0.clone(), source })?;
        whole_file::replace(&self.0, &text).map_err(failed)?;
        Ok(answer)
    }

    fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::Io { path: self.0.clone(), source }
    }

    fn stamp(&self) -> Stamp {
        std::fs::metadata(&self.0).map_or_else(
            |_| Stamp::default(),
            |data| Stamp(data.ino(), data.mtime(), data.mtime_nsec(), data.len()),
        )
    }
}

/// Why a token does not open anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It is none, it is not known, its secret is wrong, or it was taken back.
    Invalid,
    /// It was good until then.
    Expired(Timestamp),
}

type Known = HashMap<TokenId, TokenRecord>;

/// The tokens that a running server accepts.
pub(crate) struct Tokens {
    configured: Vec<TokenRecord>,
    file: TokenFile,
    known: ArcSwap<Known>,
    read: Mutex<Option<Stamp>>,
}

impl Tokens {
    pub(crate) fn new(configured: Vec<TokenRecord>, file: TokenFile) -> Self {
        let known = ArcSwap::from_pointee(Known::new());
        Self { configured, file, known, read: Mutex::new(None) }
    }

    /// All tokens, as the file is now: a token that was taken back is refused by the very next
    /// request. A file that cannot be read makes none of its tokens good.
    pub(crate) fn current(&self) -> Arc<Known> {
        let stamp = self.file.stamp();
        let mut read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *read != Some(stamp) {
            let kept = self.file.read().unwrap_or_else(|error| {
                tracing::error!(
                    error = crate::http::error::chain(&error),
                    "no token of it is good"
                );
                Vec::new()
            });
            // The configuration wins: it is what the operator can see.
            let all = kept.into_iter().chain(self.configured.iter().cloned());
            self.known.store(Arc::new(all.map(|token| (token.id.clone(), token)).collect()));
            *read = Some(stamp);
        }
        drop(read);
        self.known.load_full()
    }

    /// Who shows this token.
    pub(crate) fn verify(&self, shown: &str, now: Timestamp) -> Result<Caller, Denied> {
        let shown: Shown = shown.parse().map_err(|_| Denied::Invalid)?;
        let known = self.current();
        let record = known.get(&shown.id);
        // An unknown id costs a comparison too.
        let hash = record.map_or_else(SecretHash::of_nobody, |record| record.hash.clone());
        let matches = shown.secret.matches(&hash);
        match record {
            Some(record) if matches => good(record, now),
            _ => Err(Denied::Invalid),
        }
    }

    /// Whether a token that was good before still is.
    pub(crate) fn still_good(&self, id: &TokenId, now: Timestamp) -> bool {
        self.current().get(id).is_some_and(|record| good(record, now).is_ok())
    }
}

fn good(record: &TokenRecord, now: Timestamp) -> Result<Caller, Denied> {
    if record.revoked_at.is_some() {
        return Err(Denied::Invalid);
    }
    match record.expires_at {
        Some(until) if until <= now => Err(Denied::Expired(until)),
        _ => Ok(Caller {
            token: Some(record.id.clone()),
            name: record.name.clone(),
            scopes: record.scopes.clone(),
            peer: None,
            request: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::super::token::NewToken;
    use super::*;

    fn record(token: &NewToken, expires_at: Option<Timestamp>) -> TokenRecord {
        TokenRecord {
            id: token.id.clone(),
            name: Line::clipped("ada"),
            scopes: Scopes::new([Scope::Read]),
            hash: token.hash.clone(),
            created_at: None,
            expires_at,
            revoked_at: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_changed_file_is_read_again_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let tokens = Tokens::new(Vec::new(), file.clone());
        let token = NewToken::generate();
        assert_eq!(tokens.verify(&token.reveal(), at(0)).err(), Some(Denied::Invalid));
        file.change(|all| all.push(record(&token, None))).unwrap();
        let caller = tokens.verify(&token.reveal(), at(0)).unwrap();
        assert_eq!((caller.token.as_ref(), caller.name.as_str()), (Some(&token.id), "ada"));
        assert!(caller.may(Scope::Read) && !caller.may(Scope::Label));
        assert!(tokens.still_good(&token.id, at(0)));
        file.change(|all| all[0].revoked_at = Some(at(1))).unwrap();
        assert_eq!(tokens.verify(&token.reveal(), at(0)).err(), Some(Denied::Invalid));
        assert!(!tokens.still_good(&token.id, at(0)));
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let token = NewToken::generate();
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let tokens = Tokens::new(vec![record(&token, Some(at(10)))], file);
        assert!(tokens.verify(&token.reveal(), at(9)).is_ok());
        assert_eq!(tokens.verify(&token.reveal(), at(10)).err(), Some(Denied::Expired(at(10))));
        // A wrong secret does not learn that the token has expired.
        let wrong = NewToken::generate().reveal().replace("flt_", "");
        let wrong = format!("flt_{}_{}", token.id, wrong.split_once('_').unwrap().1);
        assert_eq!(tokens.verify(&wrong, at(10)).err(), Some(Denied::Invalid));
    }

    #[test]
    fn the_file_keeps_no_secret_and_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let token = NewToken::generate();
        file.change(|all| all.push(record(&token, None))).unwrap();
        let text = std::fs::read_to_string(folder.path().join("tokens.json")).unwrap();
        let secret = token.reveal().rsplit('_').next().unwrap().to_owned();
        assert!(text.contains(token.id.as_str()) && !text.contains(&secret), "{text}");
        let mode = std::fs::metadata(folder.path().join("tokens.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_read_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let token = NewToken::generate();
        file.change(|all| all.push(record(&token, None))).unwrap();
        let tokens = Tokens::new(Vec::new(), file.clone());
        assert!(tokens.verify(&token.reveal(), at(0)).is_ok());
        std::fs::write(folder.path().join("tokens.json"), "{").unwrap();
        assert!(tokens.verify(&token.reveal(), at(0)).is_err());
        assert!(file.change(|_| ()).is_err(), "and is not written over");
    }
}
