//! The file that says that pruning was begun and the graph not yet made anew.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::whole_file;

/// Where it stands: `retention.unfinished` in the data folder.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// Of the base in `data`.
    pub(crate) fn of(data: &Path) -> Self {
        Self(data.join("retention.unfinished"))
    }

    /// Whether there is something to bring to its end.
    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Survives a crash from when it returns.
    pub(crate) fn begin(&self) -> io::Result<()> {
        whole_file::replace(&self.0, b"the log is being pruned, then the graph made anew\n")
    }

    /// The graph is the fold of the log again.
    pub(crate) fn end(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
