//! The folder where the program keeps what must outlive it: events on their way, faults that
//! act, schedules.
//!
//! Several runners may share a folder. Whoever writes a file holds its lock for as long as the
//! file is its own; the kernel lets go of it when the process ends, however it ends. What is
//! there and not locked belongs to nobody, and whoever locks it takes it over.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::experiment::Environment;

/// Why there is no state folder.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Nothing says where it is.
    #[error("neither XDG_STATE_HOME nor HOME says where to keep state; give --state FOLDER")]
    Nowhere,
    /// It could not be made or written.
    #[error("could not use the state folder {}; --state FOLDER names another", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The state folder.
#[derive(Clone, Debug)]
pub struct StateFolder {
    root: PathBuf,
}

impl StateFolder {
    /// The folder at `given`, or else `chaos-runner` in the user's folder for state.
    pub fn open(given: Option<&Path>, environment: &Environment<'_>) -> Result<Self, StateError> {
        let absolute =
            |name: &str| environment(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let root = match given {
            Some(given) => given.to_owned(),
            None => absolute("XDG_STATE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
                .ok_or(StateError::Nowhere)?
                .join("chaos-runner"),
        };
        let state = Self { root };
        state.folder("")?;
        Ok(state)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A folder in it, made when it is missing. Nobody else may read it: journals of other
    /// tools carry what they like.
    pub fn folder(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = if name.is_empty() { self.root.clone() } else { self.root.join(name) };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StateError::Unusable { path: path.clone(), source })?;
        Ok(path)
    }
}

/// Makes a file of one's own, locked. `None` when the name is taken.
pub(crate) fn create_locked(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let created = options.read(true).append(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(file) => Ok(lock(path, &file)?.then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes over a file whose owner is gone. `None` when it has an owner, or is no longer there.
pub(crate) fn adopt(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => Ok(lock(path, &file)?.then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the lock was free and `path` still names the file: its former owner may have removed
/// it between opening and locking.
fn lock(path: &Path, file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let same = std::fs::metadata(path).map(|now| Some(now.ino()));
    let same = same.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    })?;
    Ok(same == Some(file.metadata()?.ino()))
}

/// Writes a file whole or not at all, and returns when it would survive a loss of power.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_folder_of(path)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A name for a file of this process that sorts by time.
pub(crate) fn own_name(number: u32) -> String {
    let now = events::Timestamp::now().as_millisecond();
    format!("{now:013}-{}-{number:04}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_given_one_or_that_of_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let at_home = |name: &str| (name == "HOME").then(|| home.clone());
        let state = StateFolder::open(None, &at_home).unwrap();
        assert_eq!(state.path(), folder.path().join(".local/state/chaos-runner"));
        let given = folder.path().join("given");
        assert_eq!(StateFolder::open(Some(&given), &at_home).unwrap().path(), given);
        assert!(matches!(StateFolder::open(None, &|_| None), Err(StateError::Nowhere)));
        let relative = |name: &str| (name == "HOME").then(|| "home".to_owned());
        assert!(matches!(StateFolder::open(None, &relative), Err(StateError::Nowhere)));
    }

    #[test]
    fn a_file_has_one_owner_and_is_taken_over_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let owned = create_locked(&path).unwrap().unwrap();
        assert!(create_locked(&path).unwrap().is_none(), "the name is taken");
        assert!(adopt(&path).unwrap().is_none(), "it has an owner");
        drop(owned);
        let adopted = adopt(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        drop(adopted);
        assert!(adopt(&path).unwrap().is_none(), "it is gone");
    }
}
