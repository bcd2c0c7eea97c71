//! What of the windows outlives the process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use events::{ComponentName, Timestamp};
use receivers::Aggregator;
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// Up to where windows were told, and the versions that were live.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) told_until: Option<Timestamp>,
    pub(super) versions: BTreeMap<ComponentName, String>,
}

pub(super) fn path(data: &Path) -> PathBuf {
    data.join("otlp.json")
}

/// What a stop left behind. It is taken away, so that after a crash, which closes no window early,
/// nothing of an earlier stop is believed.
pub(super) fn take(path: &Path) -> Kept {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            tracing::warn!(%error, ?path, "which windows were told is not known");
            return Kept::default();
        }
    };
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, ?path, "what a stop left behind could not be removed");
    }
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, ?path, "which windows were told is not known");
        Kept::default()
    })
}

/// Remembers what was told, up to `most`: a client's clock that is ahead must not make late what
/// others send after the next start. What is told twice has the same ids.
pub(super) fn write(path: &Path, aggregator: &Aggregator, most: Timestamp) -> io::Result<()> {
    let versions = aggregator.versions().map(|(name, version)| (name.clone(), version.to_owned()));
    let told_until = Some(aggregator.told_until().min(most));
    whole_file::replace(
        path,
        &serde_json::to_vec(&Kept { told_until, versions: versions.collect() })?,
    )
}
