//! Faults on disk, from before they act until they are undone.
//!
//! A runner that is killed cannot undo anything. So it writes down a fault before it injects it,
//! with the shop that it acts on and the run that it belongs to, and strikes it out when it is
//! undone and, where a server is to be told, the telling is safe on disk. The next runner finds
//! what is left and [recovers](super::recovery).
//!
//! Every fault is a file of its own, locked by its runner. Its first line is the intent; the
//! second, if it came to that, is what the shop answered.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::value::Line;
use events::{EventId, ExperimentId, FaultId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::shop::control::{FaultSpec, InjectedFault};
use crate::shop::faults::MAX_DURATION;
use crate::state::{self, StateError, StateFolder};

/// Why a fault could not be written down; it is not injected then.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// There is no place for it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The disk does not take it.
    #[error("could not write down the fault in {}, which is done before it is injected", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The faults of runners on this machine.
#[derive(Clone, Debug)]
pub struct FaultBook {
    folder: PathBuf,
    server: Option<String>,
    /// Undone, and not yet told safely.
    undone: Arc<Mutex<BTreeMap<FaultId, Entry>>>,
}

/// What is written down of a fault before it acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// Control address of the shop.
    pub(super) shop: String,
    /// Where the events of the run go.
    pub(super) server: Option<String>,
    pub(super) title: Line,
    pub(super) experiment: ExperimentId,
    /// The first event of the run.
    pub(super) root: EventId,
    pub(super) fault: FaultId,
    pub(super) spec: FaultSpec,
    pub(super) at: Timestamp,
}

/// A fault that is written down; its file is locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Entry {
    path: PathBuf,
    file: File,
    pub(super) intent: Intent,
    pub(super) injected: Option<InjectedFault>,
}

impl FaultBook {
    /// The book in the state folder, for runs whose events go to `server`. With one, a fault that
    /// was undone stays in the book until [`Self::told`] says that the server will know.
    pub fn open(state: &StateFolder, server: Option<&str>) -> Result<Self, BookError> {
        let server = server.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self { folder: state.folder("faults")?, server, undone: Arc::default() })
    }

    pub(super) fn server(&self) -> Option<String> {
        self.server.clone()
    }

    /// Takes note that a fault was undone.
    pub(super) fn undone(&self, entry: Entry) {
        if self.server.is_none() {
            entry.strike_out();
        } else {
            self.waiting().insert(entry.intent.fault.clone(), entry);
        }
    }

    /// Strikes a fault out that was undone: the event that says so is safe on disk.
    pub fn told(&self, fault: &FaultId) {
        if let Some(entry) = self.waiting().remove(fault) {
            entry.strike_out();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<FaultId, Entry>> {
        // A map is whole between two of its calls, whoever panics.
        self.undone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a fault down; it survives a loss of power when this returns.
    pub(super) async fn write(&self, intent: Intent) -> Result<Entry, BookError> {
        let folder = self.folder.clone();
        let name = crate::run::slug(intent.fault.as_str());
        let write = move || {
            let mut number = 0;
            loop {
                number += 1;
                let name = format!("{}-{name}", state::own_name(number));
                let path = folder.join(name).with_extension("fault");
                let error = |source| BookError::Io { path: path.clone(), source };
                let Some(mut file) = state::create_locked(&path).map_err(error)? else { continue };
                append(&mut file, &intent).map_err(error)?;
                state::sync_folder_of(&path).map_err(error)?;
                return Ok(Entry { path, file, intent, injected: None });
            }
        };
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|error| {
            let path = self.folder.clone();
            Err(BookError::Io { path, source: io::Error::other(error) })
        })
    }

    /// The faults whose runners are gone, in the order in which they were written down. What
    /// cannot be read was not injected: the intent is durable before that.
    pub(super) fn left_behind(&self) -> Result<Vec<Entry>, BookError> {
        let error = |path: &Path, source| BookError::Io { path: path.to_owned(), source };
        let entries = std::fs::read_dir(&self.folder).map_err(|it| error(&self.folder, it))?;
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "fault"));
        paths.sort();
        let mut left = Vec::new();
        for path in paths {
            let Some(file) = state::adopt(&path).map_err(|it| error(&path, it))? else { continue };
            let text = std::fs::read_to_string(&path).map_err(|it| error(&path, it))?;
            let mut lines = text.lines();
            let intent = lines.next().and_then(|line| serde_json::from_str(line).ok());
            let injected = lines.next().and_then(|line| serde_json::from_str(line).ok());
            match intent {
                Some(intent) => left.push(Entry { path, file, intent, injected }),
                None => std::fs::remove_file(&path).map_err(|it| error(&path, it))?,
            }
        }
        Ok(left)
    }
}

impl Intent {
    /// The fault as the shop was asked for it, for when nobody knows what it answered.
    pub(super) fn as_injected(&self) -> InjectedFault {
        let spec = &self.spec;
        InjectedFault {
            fault: self.fault.clone(),
            kind: spec.kind.clone(),
            component: spec.component.clone(),
            peer: spec.peer.clone(),
            parameters: spec.arguments.clone(),
            injected_at: self.at,
            duration_ms: spec
                .duration_ms
                .unwrap_or_else(|| u64::try_from(MAX_DURATION.as_millis()).unwrap_or(u64::MAX)),
            description: format!("{} on {}, the answer got lost", spec.kind, spec.component),
        }
    }
}

impl Entry {
    /// Adds what the shop answered. Only the words of a later recovery depend on it.
    pub(super) fn acts(&mut self, injected: &InjectedFault) {
        if let Err(error) = append(&mut self.file, injected) {
            tracing::warn!(%error, "could not add to the book of faults");
        }
        self.injected = Some(injected.clone());
    }

    /// Strikes the fault out.
    pub(super) fn strike_out(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not remove an undone fault");
        }
    }
}

fn append(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}
