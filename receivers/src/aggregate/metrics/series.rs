//! Series: what each told last, and what it grew by since.

use ahash::AHashMap;

use super::{Point, Temporality, Value};
use crate::aggregate::components::{ComponentNo, ResourceNo};
use crate::aggregate::dropped::Reason;
use crate::aggregate::peers::PeerNo;
use crate::aggregate::window::{Grid, Number};

/// What the series of one metric of one resource have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    pub place: ResourceNo,
    pub component: ComponentNo,
    pub meaning: u16,
    pub temporality: Temporality,
    /// Whom calls went to.
    pub peer: PeerNo,
}

/// What a series told last.
#[derive(Debug)]
struct Told {
    start_ns: i64,
    time_ns: i64,
    value: Value,
}

#[derive(Debug)]
struct Series {
    stream: u32,
    failed: bool,
    /// The window of its newest point, and where in that window it stands.
    window: Number,
    slot: u32,
    told: Option<Told>,
}

/// What a series grew by, or stands at.
#[derive(Debug)]
pub struct Growth {
    pub stream: Stream,
    pub failed: bool,
    pub value: Value,
    /// How many windows it is about, the one that is closed being the last.
    pub windows: i64,
    /// The time it is about, in nanoseconds.
    pub took_ns: i64,
}

/// All series, by what identifies them.
#[derive(Debug)]
pub struct SeriesTable {
    most: usize,
    listening_since_ns: i64,
    by_key: AHashMap<u64, u32>,
    list: Vec<Series>,
    free: Vec<u32>,
    swept: Number,
    streams: AHashMap<Stream, u32>,
    stream_list: Vec<(Stream, Option<Number>)>,
}

/// Windows for which a silent series is remembered when there is no room.
const REMEMBERED: i64 = 60;

impl SeriesTable {
    pub fn new(most: usize, listening_since_ns: i64) -> Self {
        Self {
            most,
            listening_since_ns,
            by_key: AHashMap::new(),
            list: Vec::new(),
            free: Vec::new(),
            swept: Number::MIN,
            streams: AHashMap::new(),
            stream_list: Vec::new(),
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
        self.by_key.get(&key).copied()
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
        if self.by_key.len() >= self.most || self.stream_list.len() >= self.most {
            return Err(Reason::TooManySeries);
        }
        let stream = match self.streams.get(&stream) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.stream_list.len());
                let number = number.map_err(|_| Reason::TooManySeries)?;
                self.streams.insert(stream, number);
                self.stream_list.push((stream, None));
                number
            }
        };
        let series = Series { stream, failed, window, slot: u32::MAX, told: None };
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
        self.by_key.insert(key, number);
        Ok(number)
    }

    /// Makes room by forgetting series that are long silent, once a window at most.
    fn forget(&mut self, now: Number) {
        if self.swept == now {
            return;
        }
        self.swept = now;
        let (list, free) = (&self.list, &mut self.free);
        self.by_key.retain(|_, number| {
            let stays = list[*number as usize].window + REMEMBERED >= now;
            if !stays {
                free.push(*number);
            }
            stays
        });
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
        mut tell: impl FnMut(Growth),
    ) {
        points.sort_unstable_by(|one, other| {
            let key = |point: &Point| (point.series, point.start_ns, point.time_ns);
            key(one).cmp(&key(other)).then_with(|| order(&one.value, &other.value))
        });
        let mut told = Vec::new();
        let mut rest = points.into_iter().peekable();
        while let Some(first) = rest.next() {
            let series = first.series;
            let mut of_series = vec![first];
            while let Some(point) = rest.next_if(|point| point.series == series) {
                of_series.push(point);
            }
            let stream = self.list[series as usize].stream;
            let (what, before) = self.stream_list[stream as usize];
            let at = At { grid, number, stream: what, before };
            self.close_series(&at, series, of_series, superseded, &mut tell);
            if told.last() != Some(&stream) {
                told.push(stream);
            }
        }
        for stream in told {
            self.stream_list[stream as usize].1 = Some(number);
        }
    }

    fn close_series(
        &mut self,
        at: &At<'_>,
        number: u32,
        mut points: Vec<Point>,
        superseded: &mut u64,
        tell: &mut impl FnMut(Growth),
    ) {
        let listening_since_ns = self.listening_since_ns;
        let series = &mut self.list[number as usize];
        let grown = |value, since_ns, time_ns| at.growth(series.failed, value, since_ns, time_ns);
        match at.stream.temporality {
            Temporality::Gauge => {
                let last = points.into_iter().max_by_key(|point| point.time_ns);
                if let Some(last) = last {
                    tell(grown(last.value, last.time_ns, last.time_ns));
                }
            }
            Temporality::Delta => {
                points.dedup_by_key(|point| (point.start_ns, point.time_ns));
                for point in points {
                    let since = if point.start_ns > 0 { point.start_ns } else { point.time_ns };
                    tell(grown(point.value, since, point.time_ns));
                }
            }
            Temporality::Cumulative => {
                // The last of every beginning, in the order of time.
                points.reverse();
                points.dedup_by_key(|point| point.start_ns);
                points.sort_by_key(|point| point.time_ns);
                for point in points {
                    let Point { start_ns, time_ns, value, .. } = point;
                    if series.told.as_ref().is_some_and(|told| time_ns <= told.time_ns) {
                        *superseded += 1;
                        continue;
                    }
                    let same = |told: &&Told| told.start_ns == start_ns;
                    let (growth, since_ns) = match series.told.as_ref() {
                        Some(told) if same(&told) => {
                            // What fell began anew, and nobody said so.
                            let growth = value.since(&told.value).unwrap_or_else(|| value.clone());
                            (Some(growth), told.time_ns)
                        }
                        Some(told) => (Some(value.clone()), told.time_ns.max(start_ns)),
                        // Another combination of attributes of a metric that was told of before:
                        // it did not exist then.
                        None if at.before.is_some() => (Some(value.clone()), at.before_ns()),
                        // It began while we were listening, so nothing of it was told before.
                        None if start_ns >= listening_since_ns => (Some(value.clone()), start_ns),
                        // It may have grown for days. It is known from now on.
                        None => (None, time_ns),
                    };
                    if let Some(growth) = growth {
                        tell(at.growth(series.failed, growth, since_ns, time_ns));
                    }
                    series.told = Some(Told { start_ns, time_ns, value });
                }
            }
        }
    }
}

/// Where a series is closed.
struct At<'a> {
    grid: &'a Grid,
    number: Number,
    stream: Stream,
    /// The last window before in which the metric was told of.
    before: Option<Number>,
}

impl At<'_> {
    fn before_ns(&self) -> i64 {
        self.before.map_or(0, |before| self.grid.start_ns(before + 1) - 1)
    }

    fn growth(&self, failed: bool, value: Value, since_ns: i64, time_ns: i64) -> Growth {
        let windows = self.number - self.grid.number(since_ns);
        Growth {
            stream: self.stream,
            failed,
            value,
            windows: windows.clamp(1, self.grid.most_at_once()),
            took_ns: (time_ns - since_ns).max(1),
        }
    }
}

impl Value {
    /// What a cumulative value grew by; `None` if it fell.
    fn since(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Number(now), Self::Number(then)) => {
                (now >= then).then_some(Self::Number(now - then))
            }
            (Self::Distribution(now), Self::Distribution(then)) => {
                Some(Self::Distribution(Box::new(now.since(then)?)))
            }
            _ => None,
        }
    }
}

/// Any order of values that does not depend on when they came.
fn order(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.total_cmp(other),
        (Value::Distribution(one), Value::Distribution(other)) => {
            (one.count, one.sum.to_bits()).cmp(&(other.count, other.sum.to_bits()))
        }
        (Value::Number(_), Value::Distribution(_)) => std::cmp::Ordering::Less,
        (Value::Distribution(_), Value::Number(_)) => std::cmp::Ordering::Greater,
    }
}

fn later(point: &Point, kept: &Point) -> bool {
    let by_time = point.time_ns.cmp(&kept.time_ns);
    by_time.then_with(|| order(&point.value, &kept.value)).is_gt()
}
