//! Which fault a moment belongs to, and the windows around it.

use events::Timestamp;
use events::catalogue::telemetry::Window;
use jiff::SignedDuration;

/// How long a fault lasts, as the data set says.
pub const FAULT_LASTS: SignedDuration = SignedDuration::from_mins(3);
/// Until when its traces may still show it.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(5);
/// Windows of what is summed up here.
const STEP_S: i64 = 10;

/// The moments of injection of a day.
#[derive(Debug)]
pub struct Clock(Vec<Timestamp>);

impl Clock {
    /// Of faults in the order of the list.
    pub fn new(faults: impl Iterator<Item = Timestamp>) -> Self {
        Self(faults.collect())
    }

    /// The fault that is going on or was just undone: the latest, where several are.
    pub fn fault_at(&self, at: Timestamp) -> Option<usize> {
        let going_on = |(_, fault): &(usize, &Timestamp)| {
            **fault <= at && at.duration_since(**fault) < AFTERMATH
        };
        let faults = self.0.iter().enumerate().filter(going_on);
        faults.max_by_key(|(_, fault)| **fault).map(|(index, _)| index)
    }

    /// The window that a moment is in. Windows are counted from the next fault, so that none is
    /// half before it and half after it.
    pub fn window(&self, at: Timestamp) -> Window {
        let nearest = self.0.iter().min_by_key(|fault| at.duration_since(**fault).abs());
        let origin = nearest.copied().unwrap_or(Timestamp::UNIX_EPOCH);
        let windows = (at.as_second() - origin.as_second()).div_euclid(STEP_S);
        let start = origin + SignedDuration::from_secs(windows * STEP_S);
        Window { start, duration_ms: STEP_S as u64 * 1_000 }
    }
}
