//! Telemetry as a server takes it in: most events of a base are metric snapshots.

use std::path::Path;

use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::value::{Line, NonNegative, Ratio};
use events::{ComponentName, Event, EventId, StreamId, Timestamp};
use uuid::Uuid;

/// Makes events that differ in what telemetry differs in.
pub struct Workload {
    made: u64,
    run: u64,
    ids: Ids,
}

/// How ids relate to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// They rise with it, as UUIDv7: whoever appends knows that they are new.
    Rising,
    /// Not at all, as ids made of a name (UUIDv5) or of chance: they are to be looked for.
    Random,
}

impl Workload {
    /// A sequence of events; two sequences share no id.
    pub fn new() -> Self {
        Self { made: 0, run: Uuid::now_v7().as_u64_pair().1, ids: Ids::Rising }
    }

    /// The same with other ids.
    pub fn with(self, ids: Ids) -> Self {
        Self { ids, ..self }
    }

    /// The next events.
    pub fn batch(&mut self, size: usize) -> Vec<Event> {
        (0..size).map(|_| self.event()).collect()
    }

    /// `count` batches.
    pub fn batches(&mut self, count: usize, size: usize) -> Vec<Vec<Event>> {
        (0..count).map(|_| self.batch(size)).collect()
    }

    fn event(&mut self) -> Event {
        let n = self.made;
        self.made += 1;
        let noise = mixed(n ^ self.run);
        // As UUIDv7: milliseconds that rise, then chance.
        let high = match self.ids {
            Ids::Rising => ((1_760_000_000_000 + n / 10) << 16) | 0x7000 | (noise & 0xfff),
            Ids::Random => mixed(!noise) & !0xf000 | 0x5000,
        };
        let id = EventId(Uuid::from_u64_pair(high, mixed(noise) >> 2 | 1 << 63));
        let seconds = 1_760_000_000 + (n / 50 * 10) as i64;
        let start = Timestamp::from_second(seconds).unwrap();
        // Three digits of chance each.
        let chance = |at: u32| (noise >> (10 * at)) % 1000;
        let ms = |least: f64, at: u32| NonNegative::new(least + chance(at) as f64 / 8.0).unwrap();
        let latency = Latency {
            p50_ms: ms(12.0, 0),
            p95_ms: ms(48.0, 1),
            p99_ms: ms(120.0, 2),
            mean_ms: None,
        };
        let data = MetricSnapshotRecorded {
            component: ComponentName::new(format!("component-{}", n % 50)).unwrap(),
            window: Window { start, duration_ms: 10_000 },
            requests: Some(1200 + chance(3)),
            errors: Some(chance(4) / 25),
            latency: Some(latency),
            saturation: Some(Ratio::new(chance(5) as f64 / 1000.0).unwrap()),
            cpu_cores: Some(ms(0.25, 1)),
            memory_bytes: Some(NonNegative::new((73_400_320 + 4096 * chance(2)) as f64).unwrap()),
            extras: [].into(),
        };
        Event::with_id(id, Line::clipped("/shop/proxy"), start, data)
    }
}

/// Splitmix64's finaliser.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The stream of one writer.
pub fn stream(writer: usize) -> StreamId {
    StreamId::new(format!("telemetry-{writer}")).unwrap()
}

/// Bytes up to the last one that is not zero, over all segments of a log.
pub fn stored_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder.join("segments")).unwrap() {
        let segment = std::fs::read(entry.unwrap().path()).unwrap();
        bytes += segment.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    }
    bytes as u64
}

/// Bytes of all records in the segments of a log that are not compressed: what is in their frames
/// (see ARCHITECTURE.md).
pub fn record_bytes(folder: &Path) -> u64 {
    const HEADER: usize = 68;
    const FRAME: usize = 52;
    const BEHIND_LENGTH: usize = 8;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder.join("segments")).unwrap() {
        let segment = std::fs::read(entry.unwrap().path()).unwrap();
        let mut at = HEADER;
        while let Some(length) = segment.get(at..).and_then(|rest| rest.first_chunk()) {
            let frame = u32::from_le_bytes(*length) as usize + BEHIND_LENGTH;
            if frame < FRAME {
                break;
            }
            bytes += frame - FRAME;
            at += frame;
        }
    }
    bytes as u64
}
