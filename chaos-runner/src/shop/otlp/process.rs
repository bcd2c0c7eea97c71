//! What a process uses, by its own look at `/proc`.

use opentelemetry::KeyValue;
use procfs::process::Process;

use super::Instruments;

/// Watches this process: its processor time and its memory.
pub(crate) fn watch_process(instruments: &Instruments) {
    let mode = |mode: &'static str| [KeyValue::new("cpu.mode", mode)];
    let (user, system) = (mode("user"), mode("system"));
    instruments
        .meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_callback(move |observer| {
            if let Ok(stat) = Process::myself().and_then(|process| process.stat()) {
                let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
                observer.observe(seconds(stat.utime), &user);
                observer.observe(seconds(stat.stime), &system);
            }
        })
        .build();
    instruments
        .meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_callback(|observer| {
            if let Ok(memory) = Process::myself().and_then(|process| process.statm()) {
                let bytes = memory.resident * procfs::page_size();
                observer.observe(i64::try_from(bytes).unwrap_or(i64::MAX), &[]);
            }
        })
        .build();
}
