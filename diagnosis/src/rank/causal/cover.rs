//! How long each side of the beginning of an incident was watched.

use events::Timestamp;
use events::catalogue::telemetry::Window;

use crate::contrast::Side;

/// The windows of both sides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cover {
    /// Length of time that calls were seen in before …
    pub before_s: f64,
    /// … and after.
    pub after_s: f64,
    /// Distinct windows before.
    pub before_windows: usize,
    /// Distinct windows after.
    pub after_windows: usize,
}

/// A window that something was told of.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pub window: (Timestamp, u64),
    pub side: Side,
    /// Whether calls were traced in it.
    pub traced: bool,
    /// Whether somebody said how many requests it answered.
    pub counted: bool,
}

impl Cover {
    /// Of these windows. Rates are of calls, so only windows that count calls cover time.
    pub fn of(mut windows: Vec<Watched>) -> Self {
        windows.sort_unstable_by_key(|it| it.window);
        let is_traced = windows.iter().any(|it| it.traced);
        let counts = |it: &&Watched| if is_traced { it.traced } else { it.counted };
        let of = |side: Side| windows.iter().filter(move |it| it.side == side);
        Self {
            before_s: union_s(of(Side::Before).filter(counts)),
            after_s: union_s(of(Side::After).filter(counts)),
            before_windows: of(Side::Before).count(),
            after_windows: of(Side::After).count(),
        }
    }
}

fn union_s<'w>(windows: impl Iterator<Item = &'w Watched>) -> f64 {
    let mut seconds = 0.0;
    let mut reached = Timestamp::MIN;
    for Watched { window: (start, duration_ms), .. } in windows {
        let window = Window { start: *start, duration_ms: *duration_ms };
        let from = window.start.max(reached);
        if window.end() > from {
            seconds += window.end().duration_since(from).as_secs_f64();
            reached = window.end();
        }
    }
    seconds
}
