//! The folder with the files of a running shop.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Folders are called this, then the supervisor's process id, then something random.
const PREFIX: &str = "demo-shop-";

/// A new folder, removed when it is dropped. A supervisor that was killed could not remove its
/// own: those of processes that are gone are removed here.
pub(super) fn make() -> io::Result<TempDir> {
    let parent = std::env::temp_dir();
    sweep(&parent);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)
}

fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(owner) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            // Another user's, or removed by another shop just now: not ours to report.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_are_swept_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-abc", std::process::id());
        // Process ids end at 2^22 on Linux.
        let dead = format!("{PREFIX}4194305-abc");
        for name in [own.as_str(), dead.as_str(), "demo-shop-notes", "other-4194305-abc"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        assert!(!parent.path().join(dead).exists());
        for name in [own.as_str(), "demo-shop-notes", "other-4194305-abc"] {
            assert!(parent.path().join(name).exists(), "{name}");
        }
    }
}
