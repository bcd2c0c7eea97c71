//! How good detection is: what the live detector makes of a recording, held against what was true.
//!
//! The detector is shown [`Observed`] only, which has no place for a fault, an experiment or a
//! label; [`Truth`] goes to the scoring only. The rules:
//!
//! - An injection is **detected** by the first anomaly that began after it (in the window that
//!   the injection is in, or a later one), became known before its end and the
//!   [`AFTERMATH_WINDOWS`] after it, and is at most [`HOPS`] calls away from where the fault was.
//!   It becomes known at the latest moment that the log had told of when it was decided.
//! - The **time to detect** is from the injection to that moment; in windows, how many windows had
//!   ended since the injection, the one that it began in included.
//! - An injection that **moved no golden signal** in hindsight is not counted as missed: see
//!   [`Moved`].
//! - **Quiet** is every window after the first ones that neither an injection nor another known
//!   reason (a deployment, a changed setting, maintenance, an incident that a label explains) nor
//!   the aftermath of one touches.
//! - An **alarm** is an incident that the live grouping would open. It is **false** when it began
//!   and was raised in quiet time.

mod moved;
mod observed;
mod report;
mod score;
mod truth;
mod watch;

pub use moved::Moved;
pub use observed::{Observed, is_observed};
pub use report::{KindRow, PartRow, Report, Times};
pub use score::{Detection, FalseAlarm, JudgedInjection, Score, score};
pub use truth::{Injection, Reason, Truth};
pub use watch::{Alarm, Noticed, Watched, watch};

/// Calls between a fault and an anomaly that may come from it.
pub const HOPS: usize = 3;
/// Windows in which what a fault or a change left behind may still show: as long as an incident
/// stays open without anything unusual.
pub const AFTERMATH_WINDOWS: u32 = 5;

#[cfg(test)]
mod tests;
