//! What the disk does with the same bytes: one write and one `fdatasync` a batch.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::stores::Work;

/// Appends to a file that grows: every sync writes the new length too. This is what "raw append"
/// means in all ratios.
pub fn growing(folder: &Path, bytes: usize, times: usize) -> Duration {
    let file = File::create(folder.join("raw")).unwrap();
    let time = write(&file, bytes, times);
    std::fs::remove_file(folder.join("raw")).unwrap();
    time
}

/// The same into a file whose blocks were written before, which is the harder one to keep up
/// with.
pub fn preallocated(folder: &Path, bytes: usize, times: usize) -> Duration {
    let file = File::create(folder.join("raw")).unwrap();
    file.write_all_at(&vec![0; bytes * times], 0).unwrap();
    file.sync_all().unwrap();
    let time = write(&file, bytes, times);
    std::fs::remove_file(folder.join("raw")).unwrap();
    time
}

/// The same into a growing file, behind what a log of JSON whose records are hashed cannot do
/// without: whoever writes makes each event JSON and hashes it.
pub fn of_events(folder: &Path, bytes: usize, work: &Work) -> Duration {
    let file = File::create(folder.join("raw")).unwrap();
    let block = vec![0x5a; bytes];
    let batches = work.first().map_or(0, Vec::len);
    let started = Instant::now();
    for batch in 0..batches {
        for event in work.iter().flat_map(|writer| &writer[batch]) {
            let json = serde_json::to_vec(&event.data).unwrap();
            black_box(blake3::hash(&json));
        }
        file.write_all_at(&block, (batch * bytes) as u64).unwrap();
        file.sync_data().unwrap();
    }
    let time = started.elapsed();
    std::fs::remove_file(folder.join("raw")).unwrap();
    time
}

fn write(file: &File, bytes: usize, times: usize) -> Duration {
    let block = vec![0x5a; bytes];
    let started = Instant::now();
    for at in 0..times {
        file.write_all_at(&block, (at * bytes) as u64).unwrap();
        file.sync_data().unwrap();
    }
    started.elapsed()
}
