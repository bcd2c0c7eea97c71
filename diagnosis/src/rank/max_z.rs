//! `max-z@1`: the component whose signals are farthest from usual, whoever caused it.
//!
//! The plain baseline that a better method has to beat: it ranks by the largest robust
//! deviation and explains nothing away, so callers of a broken component rank as high as it.

use events::EventId;

use super::terms::{self, Charges, Term};
use super::{Ranker, Ranking};
use crate::baseline::{Usual, floor};
use crate::contrast::{Contrast, Measured, Series};
use crate::evidence::Evidence;

/// The plain ranker; see the module's text.
#[derive(Clone, Copy, Debug)]
pub struct MaxZ;

const NAME: &str = "max-z@1";
/// A deviation below this many spreads is not unusual.
const LEAST_DEVIATION: f64 = 3.0;
/// A deviation beyond this many spreads is not more unusual.
const MOST_DEVIATION: f64 = 50.0;

impl Ranker for MaxZ {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rank(&self, evidence: &Evidence) -> Ranking {
        let contrast = Contrast::of(evidence);
        if contrast.after_windows == 0 {
            return terms::abstained(NAME, "no telemetry from the time of the incident");
        }
        if contrast.before_windows == 0 {
            return terms::abstained(NAME, "no telemetry before the incident to compare with");
        }
        let mut charges = Charges::new();
        for (&component, measured) in &contrast.components {
            if !contrast.is_client(component) {
                charges.insert(component, farthest(measured).into_iter().collect());
            }
        }
        terms::ranking(NAME, &contrast, evidence.noticed(), &charges, LEAST_DEVIATION)
    }
}

type Floor = fn(&Usual) -> f64;

fn farthest(measured: &Measured) -> Option<Term> {
    let signals: [(&str, &Series, Floor); 7] = [
        ("traffic is unusual", &measured.traffic, |u| {
            (u.median * floor::TRAFFIC_SHARE).max(u.median.sqrt()).max(1.0)
        }),
        ("failures are unusual", &measured.error_share, |_| floor::ERROR_SHARE),
        ("latency is unusual", &measured.mean_ms, Usual::latency_floor_ms),
        ("slowest answers are unusual", &measured.p95_ms, Usual::latency_floor_ms),
        ("saturation is unusual", &measured.saturation, |_| floor::SATURATION),
        ("processor time is unusual", &measured.cpu_cores, |_| floor::CPU_CORES),
        ("memory is unusual", &measured.memory_bytes, |u| {
            (u.median * floor::MEMORY_SHARE).max(1.0)
        }),
    ];
    let terms = signals.into_iter().filter_map(|(name, series, floor)| {
        let (event, weight) = deviation(series, floor)?;
        Some(Term { name, weight, evidence: vec![event] })
    });
    terms.max_by(|a, b| a.weight.total_cmp(&b.weight).then_with(|| b.name.cmp(a.name)))
}

fn deviation(series: &Series, floor: Floor) -> Option<(EventId, f64)> {
    let usual = series.usual()?;
    let (event, value) = series.farthest()?;
    let deviation = usual.deviation(value, floor(&usual)).abs().min(MOST_DEVIATION);
    (deviation >= LEAST_DEVIATION).then_some((event, deviation))
}
