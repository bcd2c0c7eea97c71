//! What an incident is called and how bad it is, from the anomalies that opened it.

use events::catalogue::diagnosis::AnomalyPart;
use events::catalogue::incident::{Severity, Signal};
use events::value::Line;

use super::{Anomaly, Topology};

/// An entrance that fails for this share of requests is unusable.
const UNUSABLE: f64 = 0.5;

/// How bad: what users notice at the entrances decides.
pub fn severity(cluster: &[&Anomaly], topology: &Topology) -> Severity {
    let at_the_entrance = cluster.iter().filter(|a| topology.depth(&a.component) <= 1);
    let parts: Vec<&AnomalyPart> = at_the_entrance.flat_map(|a| &a.parts).collect();
    let felt = [Signal::Errors, Signal::Latency, Signal::Availability];
    if parts.iter().any(|p| p.signal == Signal::Errors && p.observed.get() >= UNUSABLE) {
        Severity::Critical
    } else if parts.iter().any(|part| felt.contains(&part.signal)) {
        Severity::Error
    } else {
        Severity::Warning
    }
}

/// The strongest signal where it was noticed, in a line.
pub fn title(noticed: &Anomaly, components: usize) -> Line {
    let component = &noticed.component;
    let said = noticed.parts.first().map_or_else(
        || format!("{component} is unusual"),
        |part| {
            let (now, usual) = (part.observed.get(), part.baseline.get());
            match part.signal {
                Signal::Errors => format!(
                    "{component} fails {:.0} % of requests, usually {:.1} %",
                    now * 100.0,
                    usual * 100.0
                ),
                Signal::Latency => {
                    format!("{component} takes {now:.0} ms, usually {usual:.0} ms")
                }
                Signal::Traffic => {
                    format!("{component} gets {now:.0} requests/s, usually {usual:.0}")
                }
                Signal::Availability => format!("{component} does not answer"),
                Signal::Saturation => format!(
                    "{component} uses {:.0} % of a resource, usually {:.0} %",
                    now * 100.0,
                    usual * 100.0
                ),
                Signal::Cpu => format!("{component} uses {now:.2} cores, usually {usual:.2}"),
                Signal::Memory => format!(
                    "{component} uses {:.0} MB of memory, usually {:.0} MB",
                    now / 1e6,
                    usual / 1e6
                ),
                Signal::Logs => format!("{component} logs what it did not log before"),
                Signal::Alert => format!("{component} has an alert"),
            }
        },
    );
    match components {
        0 | 1 => Line::clipped(&said),
        n => Line::clipped(&format!("{said}; {} more affected", n - 1)),
    }
}
