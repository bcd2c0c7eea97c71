//! Where journals go.

use std::path::PathBuf;

use crate::run::RunIdentity;

/// Where journals go.
pub(super) enum Journals {
    /// This file.
    File(PathBuf),
    /// A file a run in this folder.
    Folder(PathBuf),
}

impl Journals {
    pub(super) fn path(&self, identity: &RunIdentity) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(format!("{}.json", identity.experiment)),
        }
    }

    /// A folder's default for several runs.
    pub(super) fn default_folder() -> PathBuf {
        PathBuf::from("journals")
    }
}
