//! Abort conditions: what must not happen to the system while a method runs.
//!
//! Each is checked on its own, several times a second, so that one that answers slowly holds up
//! no other. The first one that is met ends the run; undoing begins at once. A condition that
//! cannot be checked ends it too: a run that nobody watches is not one to go on with.

use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::StopReason;
use super::executor::Executor;
use crate::experiment::SteadyProbe;

/// From check to check.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// How long a check may take. With the time between checks it stays well below a second.
pub(crate) const CHECK_LIMIT: Duration = Duration::from_millis(400);

/// How long a condition may go unchecked.
const BLIND_LIMIT: Duration = Duration::from_millis(500);

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The run may go on.
    Fine,
    /// The condition is met, in words.
    Met(String),
    /// It could not be checked, and why.
    Unknown(String),
}

/// Watches one condition until it is met or the method is through.
pub(super) async fn watch(
    executor: Arc<Executor>,
    probe: SteadyProbe,
    since: Timestamp,
    through: CancellationToken,
) {
    let mut blind_since = None;
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let checked = async {
            ticks.tick().await;
            let check = executor.steady_state.check(&probe, since);
            tokio::time::timeout(CHECK_LIMIT, check).await.unwrap_or_else(|_| {
                Check::Unknown(format!("{} took longer than {CHECK_LIMIT:?}", probe.activity.name))
            })
        };
        let check = tokio::select! {
            check = checked => check,
            () = executor.stop.stopped() => return,
            () = through.cancelled() => return,
        };
        match check {
            Check::Fine => blind_since = None,
            Check::Met(words) => {
                executor.stop.stop(StopReason::AbortCondition(words));
                return;
            }
            Check::Unknown(why) => {
                let began = *blind_since.get_or_insert_with(Instant::now);
                if began.elapsed() >= BLIND_LIMIT {
                    let words = format!("could not be checked: {why}");
                    executor.stop.stop(StopReason::AbortCondition(words));
                    return;
                }
            }
        }
    }
}
