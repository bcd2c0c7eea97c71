//! What the disk does with the same bytes: one write and one `fdatasync` a batch.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

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

fn write(file: &File, bytes: usize, times: usize) -> Duration {
    let block = vec![0x5a; bytes];
    let started = Instant::now();
    for at in 0..times {
        file.write_all_at(&block, (at * bytes) as u64).unwrap();
        file.sync_data().unwrap();
    }
    started.elapsed()
}
