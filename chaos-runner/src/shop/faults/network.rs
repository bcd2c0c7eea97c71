//! Faults on the connections to a component.

use std::time::Duration;

use events::catalogue::fault_kind as kind;
use events::{ComponentName, FaultId};

use super::FaultError;
use super::arguments::Arguments;
use super::driver::Undone;
use super::probe;
use crate::shop::control::FaultSpec;
use crate::shop::premises::Premises;
use crate::shop::proxy::Disturbance;
use crate::shop::topology::Component;

/// A disturbance of all edges to a component, or of one.
pub(super) struct Network {
    component: &'static Component,
    peer: Option<ComponentName>,
    disturbance: Disturbance,
    what: String,
    remedy: &'static str,
    fault: Option<FaultId>,
}

impl Network {
    /// The kinds of this driver; all of them take a peer.
    pub(super) const KINDS: [&'static str; 9] = [
        kind::LATENCY,
        kind::JITTER,
        kind::BANDWIDTH,
        kind::CONNECTION_RESET,
        kind::BLACK_HOLE,
        kind::PARTITION,
        kind::HTTP_ERROR,
        kind::SLOW_RESPONSE,
        kind::DATABASE_CONNECTION_FAILURE,
    ];

    pub(super) fn plan(
        spec: &FaultSpec,
        component: &'static Component,
        arguments: &mut Arguments,
    ) -> Result<Self, FaultError> {
        let (disturbance, what, remedy) = disturbance(spec.kind.as_str(), arguments)?;
        let peer = spec.peer.clone();
        Ok(Self { component, peer, disturbance, what, remedy, fault: None })
    }

    fn place(&self) -> String {
        match &self.peer {
            Some(peer) => format!("{peer} to {}", self.component.name),
            None => format!("all callers to {}", self.component.name),
        }
    }

    pub(super) fn description(&self) -> String {
        format!("{}: {}", self.place(), self.what)
    }

    pub(super) fn act(mut self, fault: &FaultId, premises: &Premises) -> Self {
        for proxy in premises.inbound(self.component.name, self.peer.as_ref()) {
            proxy.disturbances().add(fault.clone(), self.disturbance.clone());
        }
        self.fault = Some(fault.clone());
        self
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Undone {
        let proxies = || premises.inbound(self.component.name, self.peer.as_ref());
        if let Some(fault) = &self.fault {
            proxies().for_each(|proxy| proxy.disturbances().remove(fault));
        }
        let verified = probe::reachable(proxies()).await;
        let place = match &self.peer {
            Some(peer) => format!("between {peer} and {}", self.component.name),
            None => format!("to {}", self.component.name),
        };
        Undone { action: format!("{} {place}", self.remedy), verified }
    }
}

/// The disturbance, what it is in words, and what undoes it; the place follows the latter.
fn disturbance(
    fault: &str,
    arguments: &mut Arguments,
) -> Result<(Disturbance, String, &'static str), FaultError> {
    let ms = Duration::as_millis;
    let percent = |share: f64| format!("{} %", (share * 1_000.0).round() / 10.0);
    let none = Disturbance::default;
    Ok(match fault {
        kind::LATENCY => {
            let delay = arguments.millis("delay_ms", 250)?;
            let what = format!("{} ms of delay on every call", ms(&delay));
            (Disturbance { delay, ..none() }, what, "removed the delay on connections")
        }
        kind::JITTER => {
            let max_jitter = arguments.millis("max_delay_ms", 600)?;
            let what = format!("up to {} ms of delay on every call", ms(&max_jitter));
            (Disturbance { max_jitter, ..none() }, what, "removed the jitter on connections")
        }
        kind::BANDWIDTH => {
            let rate = arguments.count("bytes_per_second", 600, (100, 1 << 30))?;
            let bytes_per_second = u32::try_from(rate).ok();
            let what = format!("answers at {rate} bytes a second");
            (Disturbance { bytes_per_second, ..none() }, what, "restored the bandwidth")
        }
        kind::CONNECTION_RESET => {
            let reset_probability = arguments.probability("probability", 0.5)?;
            let what = format!("{} of calls cut off by a reset", percent(reset_probability));
            (Disturbance { reset_probability, ..none() }, what, "ended the connection resets")
        }
        kind::BLACK_HOLE => {
            let what = "connections on which nothing passes".to_owned();
            (Disturbance { black_hole: true, ..none() }, what, "restored the connections")
        }
        kind::HTTP_ERROR => {
            let probability = arguments.probability("probability", 0.5)?;
            let status = arguments.count("status", 503, (500, 599))?;
            let http_error = u16::try_from(status).ok().map(|status| (probability, status));
            let what = format!("{} of answers replaced by {status}", percent(probability));
            (Disturbance { http_error, ..none() }, what, "ended the replaced answers on calls")
        }
        kind::SLOW_RESPONSE => {
            let probability = arguments.probability("probability", 0.5)?;
            let hold = arguments.millis("delay_ms", 600)?;
            let what = format!("{} of answers held for {} ms", percent(probability), ms(&hold));
            let slow = Some((probability, hold));
            (Disturbance { slow, ..none() }, what, "ended the held answers on calls")
        }
        _ => {
            let what = "no connections".to_owned();
            (Disturbance { cut: true, ..none() }, what, "restored the connections")
        }
    })
}
