//! Where the log and the graph are kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

/// `[storage]`: where the log and the graph are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Folder of everything that is kept: `log/` is the ground state, the rest can be rebuilt
    /// from it. Default `faultline-data`.
    pub data: PathBuf,
    /// The graph store: `surrealkv://` (in the data folder), `surrealkv://PATH`, `mem://`
    /// (rebuilt from the log at every start), `ws://…` or `wss://…` (a SurrealDB server).
    /// Default `surrealkv://`.
    pub graph: String,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { data: PathBuf::from("faultline-data"), graph: "surrealkv://".to_owned() }
    }
}

impl StorageConfig {
    /// Folder of the event log.
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
        let schemes = ["mem://", "surrealkv://", "ws://", "wss://"];
        if !schemes.iter().any(|scheme| self.graph.starts_with(scheme)) {
            return Err(invalid(
                "storage.graph",
                "a URL that begins with mem://, surrealkv://, ws:// or wss://",
                format!("{:?}", redacted(&self.graph)),
            ));
        }
        Ok(())
    }
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
    fn credentials_are_redacted_and_the_rest_is_kept() {
        assert_eq!(redacted("ws://root:s@cret@db:8000/rpc?x=@"), "ws://redacted@db:8000/rpc?x=@");
        assert_eq!(redacted("surrealkv:///var/lib/a@b"), "surrealkv:///var/lib/a@b");
        assert_eq!(redacted("mem://"), "mem://");
    }
}
