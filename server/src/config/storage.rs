//! Where the log and the graph are kept.

use std::path::PathBuf;

use events::log::Backup;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

/// The log in the data folder.
const EMBEDDED: &str = "embedded://";
/// What a KurrentDB's connection string begins with.
const KURRENT: [&str; 8] = [
    "kurrentdb://",
    "kurrentdb+discover://",
    "kurrent://",
    "kurrent+discover://",
    "kdb://",
    "kdb+discover://",
    "esdb://",
    "esdb+discover://",
];

/// `[storage]`: where the log and the graph are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Folder of everything that is kept: `log/` is the ground state, the rest can be rebuilt
    /// from it. Default `faultline-data`.
    pub data: PathBuf,
    /// The event log: `embedded://` (in the data folder), or the connection string of a KurrentDB
    /// or EventStoreDB, such as `kurrentdb://USER@HOST:2113`. Default `embedded://`.
    pub log: String,
    /// The password of the user in `log`, so that it need not stand there. Default none.
    pub log_password: Option<String>,
    /// The Zstandard level, 1 to 19, at which full segments of the embedded log are compressed
    /// behind its writer. Default none: they stay as they were written.
    pub log_compression: Option<i32>,
    /// The graph store: `surrealkv://` (in the data folder), `surrealkv://PATH`, `mem://`
    /// (rebuilt from the log at every start), `ws://HOST:PORT/NAMESPACE` or `wss://…` (a SurrealDB
    /// server, which several servers of one log may share; the namespace is `faultline` unless
    /// it is named).
    /// Default `surrealkv://`.
    pub graph: String,
    /// Of servers that share a graph store, the one that projects is replaced by another when it
    /// has not been heard of for so long. Default 10,000 ms.
    pub lease_ms: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("faultline-data"),
            log: EMBEDDED.to_owned(),
            log_password: None,
            log_compression: None,
            graph: "surrealkv://".to_owned(),
            lease_ms: 10_000,
        }
    }
}

impl StorageConfig {
    /// Whether the log is the one in the data folder.
    pub fn log_is_embedded(&self) -> bool {
        self.log == EMBEDDED
    }

    /// Where the log is, without credentials.
    pub fn shown_log(&self) -> String {
        redacted(&self.log)
    }

    /// Folder of the embedded log.
    pub fn log_dir(&self) -> PathBuf {
        self.data.join("log")
    }

    /// The graph's URL with the data folder filled in.
    pub fn graph_url(&self) -> String {
        if self.graph == "surrealkv://" {
            format!("surrealkv://{}", self.data.join("graph").display())
        } else {
            self.graph.clone()
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.data.as_os_str().is_empty() {
            return Err(invalid("storage.data", "a folder", "an empty path"));
        }
        if !self.log_is_embedded() && !KURRENT.iter().any(|scheme| self.log.starts_with(scheme)) {
            return Err(invalid(
                "storage.log",
                "embedded:// or a URL that begins with kurrentdb:// or esdb://",
                format!("{:?}", redacted(&self.log)),
            ));
        }
        if self.log_is_embedded() && self.log_password.is_some() {
            return Err(invalid(
                "storage.log_password",
                "none, because the embedded log has no user",
                "a password",
            ));
        }
        if let Some(level) = self.log_compression {
            if !self.log_is_embedded() {
                let expected = "none, because KurrentDB keeps its files itself";
                return Err(invalid("storage.log_compression", expected, level));
            }
            if !(1..=19).contains(&level) {
                return Err(invalid("storage.log_compression", "a level of 1 to 19", level));
            }
        }
        if self.data.join(Backup::RESTORING).exists() {
            let got = format!("{} with an interrupted restoration", self.data.display());
            return Err(invalid("storage.data", "a whole base: empty it and restore again", got));
        }
        if self.lease_ms < 500 {
            return Err(invalid("storage.lease_ms", "500 or more", self.lease_ms));
        }
        let schemes = ["mem://", "surrealkv://", "ws://", "wss://"];
        if !schemes.iter().any(|scheme| self.graph.starts_with(scheme)) {
            return Err(invalid(
                "storage.graph",
                "a URL that begins with mem://, surrealkv://, ws:// or wss://",
                format!("{:?}", redacted(&self.graph)),
            ));
        }
        if let Some(namespace) = namespace(&self.graph)
            && !namespace.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return Err(invalid(
                "storage.graph",
                "a namespace of letters, digits and underscores",
                format!("{namespace:?}"),
            ));
        }
        Ok(())
    }
}

/// What stands behind the address of a SurrealDB server.
fn namespace(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"))?;
    let host = rest.rfind('@').map_or(rest, |at| &rest[at + 1..]);
    Some(host.split_once('/')?.1)
}

/// `url` with its user and password replaced.
pub(super) fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://redacted@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_compression_is_one_that_there_is_and_of_the_embedded_log() {
        let with = |level, log: &str| StorageConfig {
            log_compression: level,
            log: log.to_owned(),
            ..StorageConfig::default()
        };
        assert!(with(Some(3), EMBEDDED).check().is_ok());
        let refusals = [(Some(0), EMBEDDED), (Some(20), EMBEDDED), (Some(3), "esdb://db:2113")];
        for (level, log) in refusals {
            let refusal = with(level, log).check().unwrap_err().to_string();
            assert!(refusal.starts_with("storage.log_compression: expected"), "{refusal}");
        }
    }

    #[test]
    fn credentials_are_redacted_and_the_rest_is_kept() {
        assert_eq!(redacted("ws://root:s@cret@db:8000/rpc?x=@"), "ws://redacted@db:8000/rpc?x=@");
        assert_eq!(redacted("surrealkv:///var/lib/a@b"), "surrealkv:///var/lib/a@b");
        assert_eq!(redacted("mem://"), "mem://");
    }
}
