//! What a metric of the semantic conventions means for a component.

use ahash::AHashMap;

use crate::aggregate::settings::{Aggregate, NamedExtra};

/// What a metric is used for.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// How long requests took that the component served. Of names with the same protocol only
    /// those of the lowest rank count: an SDK may send an old name beside its new one.
    Requests { protocol: u8, rank: u8, unit_ns: f64 },
    /// How long calls took that the component made, to whom the point names.
    Calls { rank: u8, unit_ns: f64 },
    /// Processor time, in seconds.
    CpuTime { rank: u8 },
    /// Processors in use.
    Cpu { rank: u8 },
    /// Memory in use, in bytes.
    Memory { rank: u8 },
    /// Share of a resource in use.
    Saturation,
    /// An extra of a snapshot, by its number.
    Extra { number: u8, aggregate: Aggregate },
}

const S: f64 = 1e9;
const MS: f64 = 1e6;
const HTTP: u8 = 0;
const RPC: u8 = 1;
const MESSAGES: u8 = 2;
/// The protocol of calls that callers measured.
pub const CALLS: u8 = 3;

const GOLDEN: &[(&str, Meaning)] = &[
    ("http.server.request.duration", Meaning::Requests { protocol: HTTP, rank: 0, unit_ns: S }),
    ("http.server.duration", Meaning::Requests { protocol: HTTP, rank: 1, unit_ns: MS }),
    ("rpc.server.call.duration", Meaning::Requests { protocol: RPC, rank: 0, unit_ns: S }),
    ("rpc.server.duration", Meaning::Requests { protocol: RPC, rank: 1, unit_ns: MS }),
    ("messaging.process.duration", Meaning::Requests { protocol: MESSAGES, rank: 0, unit_ns: S }),
    ("db.client.operation.duration", Meaning::Calls { rank: 0, unit_ns: S }),
    ("messaging.client.operation.duration", Meaning::Calls { rank: 0, unit_ns: S }),
    ("messaging.publish.duration", Meaning::Calls { rank: 1, unit_ns: S }),
    ("container.cpu.usage", Meaning::Cpu { rank: 0 }),
    ("k8s.pod.cpu.usage", Meaning::Cpu { rank: 1 }),
    ("container.cpu.time", Meaning::CpuTime { rank: 2 }),
    ("k8s.pod.cpu.time", Meaning::CpuTime { rank: 3 }),
    ("process.cpu.time", Meaning::CpuTime { rank: 4 }),
    ("jvm.cpu.time", Meaning::CpuTime { rank: 5 }),
    ("container.memory.working_set", Meaning::Memory { rank: 0 }),
    ("container.memory.usage", Meaning::Memory { rank: 1 }),
    ("k8s.pod.memory.working_set", Meaning::Memory { rank: 2 }),
    ("k8s.pod.memory.usage", Meaning::Memory { rank: 3 }),
    ("process.memory.usage", Meaning::Memory { rank: 4 }),
    ("k8s.container.cpu_limit_utilization", Meaning::Saturation),
    ("k8s.container.memory_limit_utilization", Meaning::Saturation),
    ("k8s.pod.cpu_limit_utilization", Meaning::Saturation),
    ("k8s.pod.memory_limit_utilization", Meaning::Saturation),
    ("jvm.cpu.recent_utilization", Meaning::Saturation),
    ("nodejs.eventloop.utilization", Meaning::Saturation),
];

/// All metrics that have a meaning, by name.
#[derive(Debug)]
pub struct Meanings {
    by_name: AHashMap<String, u16>,
    list: Vec<Meaning>,
    extras: Vec<String>,
}

/// Most extras that are told apart: as many as a snapshot carries beside those of logs.
const MOST_EXTRAS: usize = 90;

impl Meanings {
    pub fn new(extras: &[NamedExtra]) -> Self {
        let mut meanings = Self { by_name: AHashMap::new(), list: Vec::new(), extras: Vec::new() };
        for (name, meaning) in GOLDEN {
            meanings.add(name, meaning.clone());
        }
        for extra in extras.iter().take(MOST_EXTRAS) {
            let number = u8::try_from(meanings.extras.len()).expect("there are at most 90");
            meanings.extras.push(extra.extra.chars().take(200).collect());
            meanings.add(&extra.metric, Meaning::Extra { number, aggregate: extra.aggregate });
        }
        meanings
    }

    fn add(&mut self, name: &str, meaning: Meaning) {
        let number = u16::try_from(self.list.len()).expect("there are few meanings");
        self.list.push(meaning);
        self.by_name.insert(name.to_owned(), number);
    }

    /// What a metric means, if anything.
    pub fn of(&self, name: &str) -> Option<(u16, Meaning)> {
        let number = *self.by_name.get(name)?;
        Some((number, self.get(number).clone()))
    }

    pub fn get(&self, number: u16) -> &Meaning {
        &self.list[usize::from(number)]
    }

    /// The name of an extra.
    pub fn extra(&self, number: u8) -> &str {
        &self.extras[usize::from(number)]
    }
}
