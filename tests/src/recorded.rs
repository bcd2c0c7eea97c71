//! Events from files.
#![allow(clippy::unwrap_used, reason = "part of benchmarks")]

use std::path::{Path, PathBuf};

use events::{Event, Timestamp};

/// Every event of the NDJSON files and folders, by name; nothing when there are none.
///
/// # Panics
/// When a line is not an event.
pub fn from_files(path: &Path) -> Vec<Event> {
    let mut files = Vec::new();
    gather(path, &mut files);
    // `cargo bench` runs in the folder of its crate.
    if files.is_empty() && path.is_relative() {
        gather(&Path::new("..").join(path), &mut files);
    }
    files.sort();
    let mut events = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let document = serde_json::from_str(line).unwrap();
            let event = Event::from_cloud_event(document, Timestamp::now());
            events.push(event.unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        }
    }
    events
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) {
    if path.extension().is_some_and(|it| it == "ndjson") && path.is_file() {
        files.push(path.to_owned());
    } else if let Ok(entries) = std::fs::read_dir(path) {
        entries.flatten().for_each(|entry| gather(&entry.path(), files));
    }
}
