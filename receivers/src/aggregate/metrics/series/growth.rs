//! What a series grew by between its last points of two windows.

use std::num::NonZeroI64;

use super::{Series, Stream, Told};
use crate::aggregate::metrics::packed::Packer;
use crate::aggregate::metrics::{Kept, Point, Temporality, Value};
use crate::aggregate::window::{Grid, Number};

/// What a series grew by, or stands at.
#[derive(Debug)]
pub struct Growth<'a> {
    pub stream: Stream,
    pub failed: bool,
    pub value: Value<'a>,
    /// How many windows it is about, the one that is closed being the last.
    pub windows: i64,
    /// The time it is about, in nanoseconds.
    pub took_ns: i64,
}

/// Where a series is closed.
pub struct At<'a> {
    pub grid: &'a Grid,
    pub number: Number,
    pub stream: Stream,
    /// The last window before in which the metric was told of.
    pub before: Option<Number>,
    /// Since when anything is listened to.
    pub since_ns: i64,
    pub packer: &'a Packer,
}

impl Series {
    /// Tells what it grew by, and counts the points that came behind newer ones.
    pub fn close(
        &mut self,
        at: &At<'_>,
        mut points: Vec<Point>,
        tell: &mut impl FnMut(Growth<'_>),
    ) -> u64 {
        let failed = self.of.failed();
        let mut superseded = 0;
        match at.stream.temporality {
            Temporality::Gauge => {
                let last = points.into_iter().max_by_key(|point| point.time_ns);
                if let Some(last) = last {
                    let value = at.value(&last.value);
                    tell(at.growth(failed, value, last.time_ns, last.time_ns));
                }
            }
            Temporality::Delta => {
                points.dedup_by_key(|point| (point.start_ns, point.time_ns));
                for point in points {
                    let since = if point.start_ns > 0 { point.start_ns } else { point.time_ns };
                    tell(at.growth(failed, at.value(&point.value), since, point.time_ns));
                }
            }
            Temporality::Cumulative => {
                // The last of every beginning, in the order of time.
                points.reverse();
                points.dedup_by_key(|point| point.start_ns);
                points.sort_by_key(|point| point.time_ns);
                for point in points {
                    if self.told.as_ref().is_some_and(|told| point.time_ns <= told.time_ns.get()) {
                        superseded += 1;
                        continue;
                    }
                    if let Some((growth, since_ns)) = at.grown(self.told.as_ref(), &point) {
                        tell(at.growth(failed, growth, since_ns, point.time_ns));
                    }
                    let Point { start_ns, time_ns, value, .. } = point;
                    let time_ns = NonZeroI64::new(time_ns);
                    self.told = time_ns.map(|time_ns| Told { start_ns, time_ns, value });
                }
            }
        }
        superseded
    }
}

impl<'a> At<'a> {
    fn value(&self, kept: &Kept) -> Value<'a> {
        match kept {
            Kept::Number(number) => Value::Number(*number),
            Kept::Distribution(packed) => Value::Distribution(self.packer.unpack(packed)),
        }
    }

    /// What a cumulative series grew by up to a point, and since when; `None` if that is not
    /// known.
    fn grown(&self, told: Option<&Told>, point: &Point) -> Option<(Value<'a>, i64)> {
        let value = self.value(&point.value);
        match told {
            Some(told) if told.start_ns == point.start_ns => {
                // What fell began anew, and nobody said so.
                let growth = value.since(&self.value(&told.value)).unwrap_or(value);
                Some((growth, told.time_ns.get()))
            }
            Some(told) => Some((value, told.time_ns.get().max(point.start_ns))),
            // Another combination of attributes of a metric that was told of before: it did not
            // exist then.
            None if self.before.is_some() => Some((value, self.before_ns())),
            // It began while we were listening, so nothing of it was told before.
            None if point.start_ns >= self.since_ns => Some((value, point.start_ns)),
            // It may have grown for days. It is known from now on.
            None => None,
        }
    }

    fn before_ns(&self) -> i64 {
        self.before.map_or(0, |before| self.grid.start_ns(before + 1) - 1)
    }

    fn growth(&self, failed: bool, value: Value<'a>, since_ns: i64, time_ns: i64) -> Growth<'a> {
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

impl Value<'_> {
    /// What a cumulative value grew by; `None` if it fell.
    fn since(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Number(now), Self::Number(then)) => {
                (now >= then).then_some(Self::Number(now - then))
            }
            (Self::Distribution(now), Self::Distribution(then)) => {
                Some(Self::Distribution(now.since(then)?))
            }
            _ => None,
        }
    }
}
