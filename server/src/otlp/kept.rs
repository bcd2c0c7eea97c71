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

/// What a stop left behind; nothing after a crash, which closes no window early.
pub(super) fn read(path: &Path) -> Kept {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            tracing::warn!(%error, ?path, "which windows were told is not known");
            return Kept::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, ?path, "which windows were told is not known");
        Kept::default()
    })
}

pub(super) fn write(path: &Path, aggregator: &Aggregator) -> io::Result<()> {
    let versions = aggregator.versions().map(|(name, version)| (name.clone(), version.to_owned()));
    let kept = Kept { told_until: Some(aggregator.told_until()), versions: versions.collect() };
    whole_file::replace(path, &serde_json::to_vec(&kept)?)
}
