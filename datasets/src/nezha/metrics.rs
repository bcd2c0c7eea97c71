//! Metrics of the pods, a row each minute, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use events::catalogue::telemetry::{MetricSnapshotRecorded, Window};
use events::value::{Finite, NonNegative, Ratio};
use events::{ComponentName, Timestamp};
use jiff::SignedDuration;

use super::{Recorded, pods};
use crate::table::{self, ReadError};

const STEP: SignedDuration = SignedDuration::from_mins(1);
const OF_A_POD: &str = "_metric.csv";

/// Columns that become extras, with their unit last.
const EXTRAS: [(&str, &str); 9] = [
    ("CpuUsageRate(%)", "cpu_utilization_percent"),
    ("MemoryUsageRate(%)", "memory_utilization_percent"),
    ("SyscallRead", "syscall_reads"),
    ("SyscallWrite", "syscall_writes"),
    ("NetworkReceiveBytes", "network_receive_bytes"),
    ("NetworkTransmitBytes", "network_transmit_bytes"),
    ("PodClientLatencyP90(s)", "client_latency_p90_s"),
    ("PodServerLatencyP90(s)", "server_latency_p90_s"),
    ("PodWorkload(Ops)", "workload_per_s"),
];

type Calls = BTreeSet<(ComponentName, ComponentName)>;

/// Records the metrics of every pod; answers the calls that are written down beside them.
pub fn read(folders: &[PathBuf], recorded: &mut Recorded) -> Result<Calls, ReadError> {
    let mut calls = Calls::new();
    for folder in folders {
        let folder = folder.join("metric");
        for file in table::files(&folder)? {
            if let Some(pod) = file.strip_suffix(OF_A_POD) {
                if let Some(component) = pods::component(pod) {
                    recorded.components.entry(component.clone()).or_default();
                    read_pod(&folder.join(&file), &component, recorded)?;
                }
            } else if file == "dependency.csv" {
                read_calls(&folder.join(&file), &mut calls)?;
            }
        }
    }
    Ok(calls)
}

/// Who calls and is not called; the first by name.
pub fn outermost(calls: &Calls) -> Option<ComponentName> {
    let called: BTreeSet<&ComponentName> = calls.iter().map(|(_, callee)| callee).collect();
    calls.iter().map(|(caller, _)| caller).find(|caller| !called.contains(caller)).cloned()
}

fn read_calls(path: &Path, calls: &mut Calls) -> Result<(), ReadError> {
    let Some(rows) = table::rows(path)? else { return Ok(()) };
    for row in rows.into_records().skip(1) {
        let row = row.map_err(|error| ReadError::io(path, error.into()))?;
        let name = |column| row.get(column).and_then(|name| ComponentName::new(name.trim()).ok());
        if let (Some(caller), Some(callee)) = (name(0), name(1))
            && caller != callee
        {
            calls.insert((caller, callee));
        }
    }
    Ok(())
}

fn read_pod(
    path: &Path,
    component: &ComponentName,
    recorded: &mut Recorded,
) -> Result<(), ReadError> {
    let Some(rows) = table::rows(path)? else { return Ok(()) };
    let mut columns: Option<BTreeMap<String, usize>> = None;
    for row in rows.into_records() {
        let row = row.map_err(|error| ReadError::io(path, error.into()))?;
        let Some(columns) = &columns else {
            let named = row.iter().enumerate().map(|(i, name)| (name.trim().to_owned(), i));
            columns = Some(named.collect());
            continue;
        };
        let number = |name: &str| table::number(row.get(*columns.get(name)?)?);
        let second = number("TimeStamp").and_then(|s| Timestamp::from_second(s as i64).ok());
        // What a row says is of the minute before it.
        let Some(end) = second else { continue };
        let window = Window { start: end - STEP, duration_ms: STEP.as_millis() as u64 };
        let what = format!("metrics {component} {}", end.as_second());
        recorded.at(window.start + STEP / 2).record(
            &what,
            end,
            snapshot(component, window, number),
        );
    }
    Ok(())
}

fn snapshot(
    component: &ComponentName,
    window: Window,
    number: impl Fn(&str) -> Option<f64>,
) -> MetricSnapshotRecorded {
    let amount = |number: f64| NonNegative::new(number).ok();
    let extras = EXTRAS.iter().filter_map(|(column, name)| {
        Some(((*name).to_owned(), Finite::new(number(column)?).ok()?))
    });
    let share = |column| number(column).map(|percent| (percent / 100.0).clamp(0.0, 1.0));
    let tightest = [share("CpuUsageRate(%)"), share("MemoryUsageRate(%)")];
    let tightest = tightest.into_iter().flatten().max_by(f64::total_cmp);
    MetricSnapshotRecorded {
        component: component.clone(),
        window,
        requests: None,
        errors: None,
        latency: None,
        saturation: tightest.and_then(|share| Ratio::new(share).ok()),
        cpu_cores: number("CpuUsage(m)").and_then(|milli| amount(milli / 1_000.0)),
        memory_bytes: number("MemoryUsage(Mi)").and_then(|mebi| amount(mebi * 1_048_576.0)),
        extras: extras.collect(),
    }
}
