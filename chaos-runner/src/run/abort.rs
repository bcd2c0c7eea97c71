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

/// How long a condition may go without an answer, from the last one that said that the run may
/// go on. The run ends then, whatever a check is waiting for: with less than a second, all in all.
const BLIND_LIMIT: Duration = Duration::from_millis(800);

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
    let name = probe.activity.name.as_str();
    let ended = until_not_fine(name, || executor.steady_state.check(&probe, since));
    let words = tokio::select! {
        words = ended => words,
        () = executor.stop.stopped() => return,
        () = through.cancelled() => return,
    };
    executor.stop.stop(StopReason::AbortCondition(words));
}

/// Checks a condition until it is met or nobody knows whether it is; says which.
async fn until_not_fine<C>(name: &str, check: impl Fn() -> C) -> String
where
    C: Future<Output = Check>,
{
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unknown = None;
    let mut blind_at = Instant::now() + BLIND_LIMIT;
    loop {
        let checked = async {
            ticks.tick().await;
            tokio::time::timeout(CHECK_LIMIT, check()).await.unwrap_or_else(|_| {
                Check::Unknown(format!("{name} took longer than {CHECK_LIMIT:?}"))
            })
        };
        let check = tokio::select! {
            // An answer counts, though it comes at the last moment.
            biased;
            check = checked => check,
            () = tokio::time::sleep_until(blind_at) => {
                let why = unknown.unwrap_or_else(|| format!("{name} gave no answer"));
                return format!("could not be checked: {why}");
            }
        };
        match check {
            Check::Fine => blind_at = Instant::now() + BLIND_LIMIT,
            Check::Met(words) => return words,
            Check::Unknown(why) => unknown = Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_checked_ends_the_run() {
        const { assert!(BLIND_LIMIT.as_millis() < 1_000, "within a second") };
        let (hanging, refusing) = tokio::join!(
            until_not_fine("the till", std::future::pending),
            until_not_fine("the till", || async { Check::Unknown("nobody listens".to_owned()) }),
        );
        assert_eq!(hanging, "could not be checked: the till took longer than 400ms");
        assert_eq!(refusing, "could not be checked: nobody listens");
    }

    #[tokio::test]
    async fn one_answer_that_is_missing_ends_nothing() {
        let number = AtomicU32::new(0);
        let began = Instant::now();
        let words = until_not_fine("the till", || async {
            match number.fetch_add(1, Ordering::Relaxed) {
                8 => Check::Met("over".to_owned()),
                number if number % 2 == 0 => Check::Unknown("a moment".to_owned()),
                _ => Check::Fine,
            }
        })
        .await;
        assert_eq!(words, "over");
        assert!(began.elapsed() > BLIND_LIMIT, "each answer counts from itself");
    }
}
