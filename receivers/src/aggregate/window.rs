//! Windows of event time, numbered from 1970.

use events::Timestamp;
use events::catalogue::telemetry::Window;
use jiff::SignedDuration;

/// The number of a window.
pub type Number = i64;

/// How time is cut into windows.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    width_ns: i64,
    lateness_ns: i64,
    ahead_ns: i64,
}

/// Milliseconds as nanoseconds, as many as fit.
fn ns(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

impl Grid {
    pub fn new(width_ms: u64, lateness_ms: u64, ahead_ms: u64) -> Self {
        let width_ms = width_ms.clamp(100, Window::MAX_DURATION_MS);
        Self { width_ns: ns(width_ms), lateness_ns: ns(lateness_ms), ahead_ns: ns(ahead_ms) }
    }

    /// Which window a moment belongs to.
    pub fn number(&self, unix_ns: i64) -> Number {
        unix_ns.div_euclid(self.width_ns)
    }

    /// The newest window that is over at `now` and has waited for what is late.
    pub fn over(&self, now_ns: i64) -> Number {
        self.number(now_ns.saturating_sub(self.lateness_ns)) - 1
    }

    /// The newest window that a sender may already speak of.
    pub fn newest(&self, now_ns: i64) -> Number {
        self.number(now_ns.saturating_add(self.ahead_ns))
    }

    /// First moment of a window.
    pub fn start_ns(&self, number: Number) -> i64 {
        number.saturating_mul(self.width_ns)
    }

    pub fn width_ns(&self) -> i64 {
        self.width_ns
    }

    /// `count` windows of which `last` is the last, as an event tells it.
    pub fn window(&self, last: Number, count: i64) -> Window {
        let first = last.saturating_sub(count - 1);
        let most = i64::try_from(Window::MAX_DURATION_MS).unwrap_or(i64::MAX);
        let duration = (count.saturating_mul(self.width_ns / 1_000_000)).clamp(1, most);
        Window { start: moment(self.start_ns(first)), duration_ms: duration.unsigned_abs() }
    }

    /// Most windows that one measurement may span.
    pub fn most_at_once(&self) -> i64 {
        i64::try_from(Window::MAX_DURATION_MS).unwrap_or(i64::MAX) / (self.width_ns / 1_000_000)
    }
}

/// A moment of OTLP, if it is one: neither zero nor further than the year 2262.
pub fn sent(unix_nano: u64) -> Option<i64> {
    i64::try_from(unix_nano).ok().filter(|ns| *ns > 0)
}

/// Nanoseconds since 1970 as a moment.
pub fn moment(unix_ns: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .saturating_add(SignedDuration::from_nanos(unix_ns))
        .unwrap_or(Timestamp::MAX)
}

/// A moment as nanoseconds since 1970.
pub fn unix_ns(moment: Timestamp) -> i64 {
    let end = if moment < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(moment.as_nanosecond()).unwrap_or(end)
}
