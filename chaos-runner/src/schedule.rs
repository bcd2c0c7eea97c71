//! Experiments at times.
//!
//! A schedule file names experiments and when they are due: at the times of a cron expression
//! in a time zone, or every so often. Due times are a function of the file alone, the jitter
//! included (it derives from seed, name and time), so that a restart meets the same times. What
//! was begun is written down before it begins: a due time is run once or, when nobody was there,
//! not at all. The newest missed time is not made up for: chaos at another hour than the chosen
//! one is not what was asked for.

mod file;
pub mod memory;

use std::time::Duration;

use events::Timestamp;
use events::value::Line;
use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use file::{InvalidSchedule, read};

/// A due time is looked for no further ahead than so many steps: a blackout without end would
/// be searched for ever.
const MAX_STEPS: usize = 100_000;

/// The schedules of a file.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// Each by itself.
    pub schedules: Vec<Schedule>,
}

/// When to run which experiments.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name, unique in the file; what was run is remembered under it.
    pub name: Line,
    /// Files or shipped experiments, run one after the other.
    pub experiments: Vec<String>,
    /// When they are due.
    pub times: Times,
    /// They begin up to this much later.
    pub jitter: Duration,
    /// Seed of the jitter.
    pub seed: u64,
    /// They never begin in these.
    pub blackouts: Vec<Blackout>,
    /// The time zone of all of it.
    pub zone: TimeZone,
}

/// When a schedule is due.
#[derive(Clone, Debug)]
pub enum Times {
    /// At the times of a cron expression.
    Cron(Box<cronexpr::Crontab>),
    /// At multiples of a time since 1970-01-01 00:00 UTC: wherever and whenever the program
    /// starts, the times are the same.
    Every(Duration),
}

/// A time in which nothing begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Blackout {
    /// From a moment to another one.
    Between(Timestamp, Timestamp),
    /// Every week on some days, from one time of the day to another; over midnight when the end
    /// is not after the begin, and then on the day of its begin.
    Weekly {
        /// On these days; on every one when empty.
        days: Vec<Weekday>,
        /// From.
        from: Time,
        /// To, excluded.
        to: Time,
    },
}

impl Schedule {
    /// The first begin after `after`, and its due time without jitter, which names it.
    pub fn next(&self, after: Timestamp) -> Option<Due> {
        let jitter = SignedDuration::try_from(self.jitter).unwrap_or(SignedDuration::MAX);
        // A due time before `after` may begin after it.
        let mut at = after.saturating_sub(jitter).unwrap_or(Timestamp::MIN);
        for _ in 0..MAX_STEPS {
            at = self.due_after(at)?;
            let begin = at.saturating_add(self.jitter_of(at)).ok()?;
            if begin > after && !self.blackouts.iter().any(|it| it.covers(begin, &self.zone)) {
                return Some(Due { at, begin });
            }
        }
        None
    }

    fn due_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Cron(cron) => {
                let after = cronexpr::MakeTimestamp::from(after);
                cron.find_next(after).ok().map(|zoned| zoned.timestamp())
            }
            Times::Every(step) => {
                let step = i64::try_from(step.as_millis()).ok()?.max(1);
                let next = after.as_millisecond().div_euclid(step).checked_add(1)?;
                Timestamp::from_millisecond(next.checked_mul(step)?).ok()
            }
        }
    }

    fn jitter_of(&self, due: Timestamp) -> SignedDuration {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let what = format!("{}/{}/{}", self.seed, self.name, due.as_millisecond());
        // A hash that is the same in every version of the program.
        let (seed, _) =
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, what.as_bytes()).as_u64_pair();
        let drawn = ChaCha8Rng::seed_from_u64(seed).random_range(0..=most);
        SignedDuration::from_millis(i64::try_from(drawn).unwrap_or(i64::MAX))
    }
}

/// A time at which a schedule is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// By its expression.
    pub at: Timestamp,
    /// With its jitter.
    pub begin: Timestamp,
}

impl Blackout {
    /// Whether a moment lies in it.
    pub fn covers(&self, moment: Timestamp, zone: &TimeZone) -> bool {
        match self {
            Self::Between(from, to) => (*from..*to).contains(&moment),
            Self::Weekly { days, from, to } => {
                let local = moment.to_zoned(zone.clone());
                let (today, time) = (local.weekday(), local.time());
                let on = |day: Weekday| days.is_empty() || days.contains(&day);
                if from < to {
                    on(today) && (*from..*to).contains(&time)
                } else {
                    (on(today) && time >= *from) || (on(today.previous()) && time < *to)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        read("s.yaml", text).unwrap().schedules.remove(0)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn begins(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut after = at(after);
        let mut begins = Vec::new();
        for _ in 0..count {
            let due = schedule.next(after).unwrap();
            begins.push(due.begin.to_string());
            after = due.begin;
        }
        begins
    }

    #[test]
    fn cron_times_follow_the_clocks_of_their_zone() {
        // The clocks of Berlin go forward on 2026-03-29.
        let schedule = schedule(
            "time_zone: Europe/Berlin\n\
             schedules: [{name: n, experiments: [latency-payments], cron: '0 9 * * *'}]",
        );
        assert_eq!(
            begins(&schedule, "2026-03-27T12:00:00Z", 3),
            ["2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z"]
        );
    }

    #[test]
    fn every_so_often_is_the_same_whenever_one_asks() {
        let schedule =
            schedule("schedules: [{name: n, experiments: [latency-payments], every: 1h}]");
        let expected = ["2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"];
        assert_eq!(begins(&schedule, "2026-03-01T10:00:00Z", 2), expected);
        assert_eq!(begins(&schedule, "2026-03-01T10:59:59.9Z", 2), expected);
    }

    #[test]
    fn jitter_is_drawn_from_the_seed_and_stays_within_its_bound() {
        let with = |seed: u64| {
            schedule(&format!(
                "schedules: [{{name: n, experiments: [latency-payments], every: 1h, jitter: 20m, \
                 seed: {seed}}}]"
            ))
        };
        let first = begins(&with(1), "2026-03-01T10:00:00Z", 24);
        assert_eq!(first, begins(&with(1), "2026-03-01T10:00:00Z", 24));
        assert_ne!(first, begins(&with(2), "2026-03-01T10:00:00Z", 24));
        for begin in &first {
            let minutes = at(begin).as_second().rem_euclid(3_600) / 60;
            assert!(minutes <= 20, "{begin}");
        }
        // Asked just before a begin that is late, the same begin is next.
        let due = with(1).next(at("2026-03-01T10:30:00Z")).unwrap();
        let before = due.begin - SignedDuration::from_millis(1);
        assert_eq!(with(1).next(before).unwrap(), due);
    }

    #[test]
    fn nothing_begins_in_a_blackout() {
        let schedule = schedule(
            "time_zone: UTC\n\
             schedules:\n\
             - name: n\n  \
               experiments: [latency-payments]\n  \
               every: 6h\n  \
               blackouts:\n  \
               - {from: '2026-03-02T00:00:00Z', to: '2026-03-03T00:00:00Z'}\n  \
               - {days: [sat, sun], from: '00:00', to: '00:00'}\n  \
               - {from: '22:00', to: '07:00'}\n",
        );
        // 2026-02-28 is a Saturday; Monday is out, and so are the nights.
        assert_eq!(
            begins(&schedule, "2026-02-27T13:00:00Z", 3),
            ["2026-02-27T18:00:00Z", "2026-03-03T12:00:00Z", "2026-03-03T18:00:00Z"]
        );
    }

    #[test]
    fn a_blackout_without_end_is_no_hang() {
        let schedule = schedule(
            "schedules: [{name: n, experiments: [latency-payments], every: 1h, \
             blackouts: [{from: '00:00', to: '00:00'}]}]",
        );
        assert_eq!(schedule.next(at("2026-03-01T10:00:00Z")), None);
    }
}
