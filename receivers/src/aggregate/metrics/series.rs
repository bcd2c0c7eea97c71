//! Series: what each told last, and what it grew by since.

mod growth;

use std::num::NonZeroI64;

use ahash::{AHashMap, RandomState};
use hashbrown::HashTable;

use super::packed::Packer;
use super::{Kept, Point, Temporality, Value};
use crate::aggregate::components::ComponentNo;
use crate::aggregate::dropped::Reason;
use crate::aggregate::peers::PeerNo;
use crate::aggregate::window::{Grid, Number};
use growth::At;
pub use growth::Growth;

/// What the series of one metric of one resource have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// As a hash: what has it is the same resource, though it was forgotten in between.
    pub resource: u64,
    pub component: ComponentNo,
    pub meaning: u16,
    pub temporality: Temporality,
    /// Whom calls went to.
    pub peer: PeerNo,
}

/// What a series told last. No time is zero, so that having told nothing takes no room.
#[derive(Debug)]
struct Told {
    start_ns: i64,
    time_ns: NonZeroI64,
    value: Kept,
}

/// There may be millions, so its size counts: a test says how large it is.
#[derive(Debug)]
struct Series {
    key: u64,
    of: StreamOf,
    /// The window of its newest point, and where in that window it stands.
    window: Number,
    slot: u32,
    told: Option<Told>,
}

/// The number of a stream, twice, and one more if what the series counts are failures.
#[derive(Clone, Copy, Debug)]
struct StreamOf(u32);

impl StreamOf {
    fn new(number: u32, failed: bool) -> Self {
        Self(number * 2 + u32::from(failed))
    }

    fn number(self) -> u32 {
        self.0 / 2
    }

    fn failed(self) -> bool {
        self.0 % 2 == 1
    }
}

/// All series, by what identifies them.
#[derive(Debug)]
pub struct SeriesTable {
    most: usize,
    listening_since_ns: i64,
    hasher: RandomState,
    /// Where in the list each is, by the hash of its key.
    by_key: HashTable<u32>,
    list: Vec<Series>,
    packer: Packer,
    free: Vec<u32>,
    swept: Number,
    streams: AHashMap<Stream, u32>,
    stream_list: Vec<(Stream, Option<Number>)>,
    free_streams: Vec<u32>,
}

/// Windows for which a silent series is remembered when there is no room.
const REMEMBERED: i64 = 60;

impl SeriesTable {
    pub fn new(most: usize, listening_since_ns: i64) -> Self {
        Self {
            most,
            listening_since_ns,
            hasher: RandomState::new(),
            by_key: HashTable::new(),
            list: Vec::new(),
            packer: Packer::default(),
            free: Vec::new(),
            swept: Number::MIN,
            streams: AHashMap::new(),
            stream_list: Vec::new(),
            free_streams: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Points that one window holds at most: as many series as there may be, and some of those
    /// that tell of every step.
    pub fn most_points(&self) -> usize {
        self.most.saturating_add(self.most / 2)
    }

    pub fn find(&self, key: u64) -> Option<u32> {
        let is_it = |number: &u32| self.list[*number as usize].key == key;
        self.by_key.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// A series that was not known.
    pub fn insert(
        &mut self,
        key: u64,
        stream: Stream,
        failed: bool,
        window: Number,
    ) -> Result<u32, Reason> {
        if self.by_key.len() >= self.most {
            self.forget(window);
        }
        if self.by_key.len() >= self.most {
            return Err(Reason::TooManySeries);
        }
        let stream = self.stream_number(stream)?;
        let of = StreamOf::new(stream, failed);
        let series = Series { key, of, window, slot: u32::MAX, told: None };
        let number = match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = series;
                number
            }
            None => {
                self.list.push(series);
                u32::try_from(self.list.len() - 1).map_err(|_| Reason::TooManySeries)?
            }
        };
        let (hasher, list) = (&self.hasher, &self.list);
        let hash = |number: &u32| hasher.hash_one(list[*number as usize].key);
        self.by_key.insert_unique(hash(&number), number, hash);
        Ok(number)
    }

    fn stream_number(&mut self, stream: Stream) -> Result<u32, Reason> {
        if let Some(number) = self.streams.get(&stream) {
            return Ok(*number);
        }
        let number = match self.free_streams.pop() {
            Some(number) => {
                self.stream_list[number as usize] = (stream, None);
                number
            }
            None => {
                let number = u32::try_from(self.stream_list.len()).ok();
                let number = number.filter(|number| *number < u32::MAX / 2);
                let number = number.ok_or(Reason::TooManySeries)?;
                self.stream_list.push((stream, None));
                number
            }
        };
        self.streams.insert(stream, number);
        Ok(number)
    }

    /// Makes room by forgetting series that are long silent, and streams without any, once a
    /// window at most.
    fn forget(&mut self, now: Number) {
        if self.swept == now {
            return;
        }
        self.swept = now;
        let (list, free) = (&self.list, &mut self.free);
        self.by_key.retain(|number| {
            let stays = list[*number as usize].window + REMEMBERED >= now;
            if !stays {
                free.push(*number);
            }
            stays
        });
        let mut has_series = vec![false; self.stream_list.len()];
        for number in &self.by_key {
            has_series[list[*number as usize].of.number() as usize] = true;
        }
        let free = &mut self.free_streams;
        self.streams.retain(|_, number| {
            let stays = has_series[*number as usize];
            if !stays {
                free.push(*number);
            }
            stays
        });
    }

    /// A value as its point keeps it.
    pub fn pack(&mut self, value: &Value<'_>) -> Kept {
        match value {
            Value::Number(number) => Kept::Number(*number),
            Value::Distribution(distribution) => Kept::Distribution(self.packer.pack(distribution)),
        }
    }

    /// Keeps a point until its window is closed. Of points that replace each other only the last
    /// is kept, so that a series that tells every second takes no more room.
    pub fn keep(
        &mut self,
        number: Number,
        point: Point,
        temporality: Temporality,
        points: &mut Vec<Point>,
        most: usize,
    ) -> Result<(), Reason> {
        let series = &mut self.list[point.series as usize];
        if temporality != Temporality::Delta
            && series.window == number
            && let Some(kept) = points.get_mut(series.slot as usize)
            && kept.series == point.series
            && kept.start_ns == point.start_ns
        {
            if later(&point, kept) {
                *kept = point;
            }
            return Ok(());
        }
        if points.len() >= most {
            return Err(Reason::TooManySeries);
        }
        if series.window <= number {
            series.window = number;
            series.slot = u32::try_from(points.len()).map_err(|_| Reason::TooManySeries)?;
        }
        points.push(point);
        Ok(())
    }

    /// Tells what the series of a window grew by. Windows have to come in their order.
    pub fn close(
        &mut self,
        grid: &Grid,
        number: Number,
        mut points: Vec<Point>,
        superseded: &mut u64,
        mut tell: impl FnMut(Growth<'_>),
    ) {
        points.sort_unstable_by(|one, other| {
            let key = |point: &Point| (point.series, point.start_ns, point.time_ns);
            key(one).cmp(&key(other)).then_with(|| order(&one.value, &other.value))
        });
        let mut told = Vec::new();
        let mut rest = points.into_iter().peekable();
        while let Some(first) = rest.next() {
            let number_of_it = first.series;
            let mut of_series = vec![first];
            while let Some(point) = rest.next_if(|point| point.series == number_of_it) {
                of_series.push(point);
            }
            let series = &mut self.list[number_of_it as usize];
            let number_of_stream = series.of.number();
            let (stream, before) = self.stream_list[number_of_stream as usize];
            let since_ns = self.listening_since_ns;
            let at = At { grid, number, stream, before, since_ns, packer: &self.packer };
            *superseded += series.close(&at, of_series, &mut tell);
            if told.last() != Some(&number_of_stream) {
                told.push(number_of_stream);
            }
        }
        for stream in told {
            self.stream_list[stream as usize].1 = Some(number);
        }
    }
}

/// Any order of values that does not depend on when they came.
fn order(one: &Kept, other: &Kept) -> std::cmp::Ordering {
    match (one, other) {
        (Kept::Number(one), Kept::Number(other)) => one.total_cmp(other),
        (Kept::Distribution(one), Kept::Distribution(other)) => {
            let key = |(count, sum): (u64, f64)| (count, sum.to_bits());
            key(one.total()).cmp(&key(other.total()))
        }
        (Kept::Number(_), Kept::Distribution(_)) => std::cmp::Ordering::Less,
        (Kept::Distribution(_), Kept::Number(_)) => std::cmp::Ordering::Greater,
    }
}

fn later(point: &Point, kept: &Point) -> bool {
    let by_time = point.time_ns.cmp(&kept.time_ns);
    by_time.then_with(|| order(&point.value, &kept.value)).is_gt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_and_its_points_take_little_room() {
        assert_eq!((size_of::<Series>(), size_of::<Point>()), (56, 40));
    }
}
