//! The rhythm of traffic: what was usual at this hour of the day, and at this hour of the week.
//!
//! Of every hour the lowest and the highest rate are kept, for two weeks: at most 6 kB a
//! component. What at least two earlier days (of the last seven) or the two earlier weeks had at
//! the same time is expected again, as far as at least half of them had it. All windows are
//! learned from, the unusual ones too: a peak that raised an alarm twice is known the third time.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

const HOUR_S: i64 = 3_600;
const DAY: i64 = 24;
const WEEK: i64 = 7 * DAY;
/// Earlier days that are looked at.
const DAYS: i64 = 7;
/// Earlier weeks that are looked at.
const WEEKS: i64 = 2;
/// Hours that are remembered: up to the one after this hour two weeks ago.
const REMEMBERED: usize = (WEEKS * WEEK + 2) as usize;
/// Periods that must have been seen before anything is expected.
const LEAST_PERIODS: usize = 2;
/// What comes daily may come so much earlier or later.
const EARLY_OR_LATE: SignedDuration = SignedDuration::from_mins(20);

/// The lowest and the highest rate of calls a second: in a stretch of time, or such that most
/// periods went as low and as high. Where they have little in common, that low may be above that
/// high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: f32,
    pub high: f32,
}

impl Range {
    fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rhythm {
    /// Number of the newest hour since 1970.
    newest: i64,
    /// By hour, the newest last; `None` where nothing was measured.
    hours: VecDeque<Option<Range>>,
}

impl Rhythm {
    /// Adds a window. What is older than the oldest hour that is remembered is passed over.
    pub fn learn(&mut self, at: Timestamp, calls_per_s: f64) {
        let hour = hour(at);
        if self.hours.is_empty() || hour - self.newest >= REMEMBERED as i64 {
            self.hours.clear();
            self.newest = hour - 1;
        }
        while self.newest < hour {
            self.hours.push_back(None);
            self.newest += 1;
        }
        while self.hours.len() > REMEMBERED {
            self.hours.pop_front();
        }
        let rate = calls_per_s as f32;
        let now = Range { low: rate, high: rate };
        if let Some(known) = self.place(hour).and_then(|place| self.hours.get_mut(place)) {
            *known = Some(known.map_or(now, |known| known.with(now)));
        }
    }

    /// What earlier days or weeks had at this time; `None` as long as too few were seen.
    pub fn expected(&self, at: Timestamp) -> Option<Range> {
        let of = |period: i64, count: i64| {
            let earlier = (1..=count).filter_map(|back| self.around(at, back * period));
            shared(earlier.collect())
        };
        match (of(DAY, DAYS), of(WEEK, WEEKS)) {
            (Some(day), Some(week)) => Some(day.with(week)),
            (day, week) => day.or(week),
        }
    }

    // What was about so many hours ago.
    fn around(&self, at: Timestamp, hours_ago: i64) -> Option<Range> {
        let ends = [at.saturating_sub(EARLY_OR_LATE), at.saturating_add(EARLY_OR_LATE)];
        let [first, last] = ends.map(|end| hour(end.unwrap_or(at)) - hours_ago);
        (first..=last).filter_map(|hour| *self.hours.get(self.place(hour)?)?).reduce(Range::with)
    }

    fn place(&self, hour: i64) -> Option<usize> {
        let oldest = self.newest + 1 - i64::try_from(self.hours.len()).ok()?;
        usize::try_from(hour - oldest).ok()
    }
}

// How low and how high at least half of the periods went; of two, both.
fn shared(periods: Vec<Range>) -> Option<Range> {
    if periods.len() < LEAST_PERIODS {
        return None;
    }
    let sorted = |of: fn(&Range) -> f32| {
        let mut values: Vec<f32> = periods.iter().map(of).collect();
        values.sort_by(f32::total_cmp);
        values
    };
    let high = sorted(|it| it.high)[(periods.len() - 1) / 2];
    let low = sorted(|it| it.low)[periods.len() / 2];
    Some(Range { low, high })
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + hours * HOUR_S + HOUR_S / 2).unwrap()
    }

    fn seen(hours: impl IntoIterator<Item = (i64, f64)>) -> Rhythm {
        let mut rhythm = Rhythm::default();
        hours.into_iter().for_each(|(hour, rate)| rhythm.learn(at(hour), rate));
        rhythm
    }

    #[test]
    fn an_hour_of_two_earlier_days_is_expected_as_far_as_both_had_it() {
        let peaks = |hour: i64| (hour, if hour % DAY == 9 { 50.0 + hour as f64 } else { 10.0 });
        assert_eq!(seen((0..33).map(peaks)).expected(at(33)), None, "one day is no rhythm");
        let two = seen((0..57).map(peaks));
        assert_eq!(two.expected(at(57)), Some(Range { low: 83.0, high: 59.0 }));
        assert_eq!(two.expected(at(60)), Some(Range { low: 10.0, high: 10.0 }));
    }

    #[test]
    fn one_odd_day_of_many_is_not_expected_again() {
        let odd = |hour: i64| (hour, if hour == 50 { 900.0 } else { 10.0 });
        let expected = seen((0..98).map(odd)).expected(at(98)).unwrap();
        assert_eq!(expected, Range { low: 10.0, high: 10.0 });
    }

    #[test]
    fn saturdays_are_expected_by_the_week() {
        let saturday = |hour: i64| (hour, if hour % WEEK == 20 { 80.0 } else { 10.0 });
        let rhythm = seen((0..2 * WEEK + 20).map(saturday));
        assert_eq!(rhythm.expected(at(2 * WEEK + 20)).unwrap().high, 80.0);
        assert_eq!(rhythm.expected(at(2 * WEEK + 44)).unwrap().high, 10.0, "Sunday");
    }

    #[test]
    fn it_takes_the_same_room_however_long_it_goes_and_outlives_gaps() {
        let mut rhythm = seen((0..2_000).map(|hour| (hour, 1.0)));
        assert_eq!(rhythm.hours.len(), REMEMBERED);
        rhythm.learn(at(1_000), 99.0);
        rhythm.learn(at(2_010), 1.0);
        assert!(rhythm.expected(at(2_010)).is_some());
        rhythm.learn(at(1_000_000), 1.0);
        assert_eq!((rhythm.hours.len(), rhythm.expected(at(1_000_000))), (1, None));
    }
}
