//! What this process has used.

use procfs::process::Process;

/// CPU time of all threads so far, in seconds, user and kernel. The kernel counts it in ticks of
/// 10 ms.
pub fn cpu_seconds() -> f64 {
    let stat = Process::myself().unwrap().stat().unwrap();
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

/// Memory in use, in bytes. Nothing here maps files, so it is memory of the program's own.
pub fn resident_bytes() -> u64 {
    Process::myself().unwrap().statm().unwrap().resident * procfs::page_size()
}
