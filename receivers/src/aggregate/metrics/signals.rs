//! What the series of a component come to in a window.

use std::collections::BTreeMap;

use events::value::{Finite, NonNegative, Ratio};

use super::Value;
use super::meaning::{CALLS, Meaning, Meanings};
use super::series::Growth;
use crate::aggregate::components::ComponentNo;
use crate::aggregate::latency::Sketch;
use crate::aggregate::open::Requests;
use crate::aggregate::settings::Aggregate;

/// What the metrics of a component come to.
#[derive(Debug, Default)]
pub struct Signals {
    requests: BTreeMap<(u8, u8), Requests>,
    cpu: BTreeMap<u8, Exact>,
    memory: BTreeMap<u8, Exact>,
    saturation: Option<f64>,
    extras: BTreeMap<u8, Extra>,
}

/// By component and by how many windows it is about.
pub type Gathered = BTreeMap<(ComponentNo, i64), Signals>;

/// A sum that does not depend on the order of what is added, to ten digits behind the point.
#[derive(Clone, Copy, Debug, Default)]
struct Exact(i128);

const ONE: f64 = 4_294_967_296.0;

impl Exact {
    fn add(&mut self, number: f64) {
        self.0 = self.0.saturating_add((number * ONE) as i128);
    }

    fn get(self) -> f64 {
        self.0 as f64 / ONE
    }
}

/// An extra, as far as it is gathered.
#[derive(Debug)]
enum Extra {
    Sum(Exact),
    Max(f64),
    Distribution(Box<Sketch>, Aggregate),
}

/// One second of a distribution whose unit is not known to be time: enough digits remain.
const UNIT: f64 = 1e9;

impl Signals {
    /// Adds what a series grew by, or stands at.
    pub fn add(&mut self, meaning: &Meaning, growth: &Growth<'_>, width_ns: i64) {
        let seconds = growth.took_ns as f64 / 1e9;
        match (meaning, &growth.value) {
            (Meaning::Requests { protocol, rank, unit_ns }, value) => {
                self.requests(*protocol, *rank, *unit_ns, growth.failed, value);
            }
            (Meaning::Calls { rank, unit_ns }, value) => {
                self.requests(CALLS, *rank, *unit_ns, growth.failed, value);
            }
            (Meaning::CpuTime { rank }, Value::Number(grown)) => {
                self.cpu.entry(*rank).or_default().add(grown / seconds.max(1e-3));
            }
            (Meaning::Cpu { rank }, Value::Number(cores)) => {
                self.cpu.entry(*rank).or_default().add(*cores);
            }
            (Meaning::Memory { rank }, Value::Number(bytes)) => {
                self.memory.entry(*rank).or_default().add(*bytes);
            }
            (Meaning::Saturation, Value::Number(share)) => {
                self.saturation = Some(self.saturation.map_or(*share, |it| it.max(*share)));
            }
            (Meaning::Extra { number, aggregate }, value) => {
                let over_s = (growth.windows * width_ns) as f64 / 1e9;
                self.extra(*number, *aggregate, value, over_s);
            }
            // A distribution where a number was expected says nothing.
            (_, Value::Distribution(_)) => {}
        }
    }

    fn requests(&mut self, protocol: u8, rank: u8, unit_ns: f64, failed: bool, value: &Value<'_>) {
        let requests = self.requests.entry((protocol, rank)).or_default();
        let Value::Distribution(distribution) = value else { return };
        requests.count += distribution.count;
        requests.errors += if failed { distribution.count } else { 0 };
        distribution.pour(unit_ns, requests.latency.get_or_insert_default());
    }

    fn extra(&mut self, number: u8, aggregate: Aggregate, value: &Value<'_>, over_s: f64) {
        match (aggregate, value) {
            (Aggregate::Sum | Aggregate::Count, Value::Number(value)) => self.sum(number, *value),
            (Aggregate::Rate, Value::Number(value)) => self.sum(number, value / over_s),
            (Aggregate::Max, Value::Number(value)) => {
                let extra = self.extras.entry(number).or_insert(Extra::Max(*value));
                if let Extra::Max(max) = extra {
                    *max = max.max(*value);
                }
            }
            (Aggregate::Count, Value::Distribution(of)) => self.sum(number, of.count as f64),
            (Aggregate::Rate, Value::Distribution(of)) => {
                self.sum(number, of.count as f64 / over_s)
            }
            (Aggregate::Mean | Aggregate::P95, Value::Distribution(of)) => {
                let empty = || Extra::Distribution(Box::default(), aggregate);
                let extra = self.extras.entry(number).or_insert_with(empty);
                if let Extra::Distribution(sketch, _) = extra {
                    of.pour(UNIT, sketch);
                }
            }
            _ => {}
        }
    }

    fn sum(&mut self, number: u8, value: f64) {
        let extra = self.extras.entry(number).or_insert(Extra::Sum(Exact::default()));
        if let Extra::Sum(sum) = extra {
            sum.add(value);
        }
    }

    /// All requests: of each protocol those under its best name.
    pub fn all_requests(&self) -> Option<Requests> {
        let mut all: Option<Requests> = None;
        let mut before = None;
        for ((protocol, _), requests) in &self.requests {
            if before != Some(*protocol) && requests.count > 0 {
                let sum = all.get_or_insert_default();
                let empty = Sketch::default();
                let latency = requests.latency.as_deref().unwrap_or(&empty);
                sum.merge(requests.count, requests.errors, latency);
                before = Some(*protocol);
            }
        }
        all
    }

    pub fn cpu_cores(&self) -> Option<NonNegative> {
        best(&self.cpu)
    }

    pub fn memory_bytes(&self) -> Option<NonNegative> {
        best(&self.memory)
    }

    pub fn saturation(&self) -> Option<Ratio> {
        // A limit may be exceeded for a while, and what is full is full.
        Ratio::new(self.saturation?.clamp(0.0, 1.0)).ok()
    }

    /// The extras by their names.
    pub fn extras(&self, meanings: &Meanings) -> BTreeMap<String, Finite> {
        let value = |extra: &Extra| match extra {
            Extra::Sum(sum) => Some(sum.get()),
            Extra::Max(max) => Some(*max),
            Extra::Distribution(sketch, Aggregate::P95) => Some(sketch.quantile_ns(0.95) / UNIT),
            Extra::Distribution(sketch, _) => sketch.mean_ns().map(|ns| ns / UNIT),
        };
        let extras = self.extras.iter().filter_map(|(number, extra)| {
            let value = Finite::new(value(extra)?).ok()?;
            Some((meanings.extra(*number).to_owned(), value))
        });
        extras.collect()
    }
}

/// What the most telling of several names says.
fn best(of: &BTreeMap<u8, Exact>) -> Option<NonNegative> {
    NonNegative::new(of.values().next()?.get().max(0.0)).ok()
}
