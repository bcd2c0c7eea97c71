//! Holds the lease while that is possible, and waits for it otherwise.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Asked, Lease, Role, Tenure};

/// Before a store that failed is asked again, and behind the end of another's lease.
const BREATHER: Duration = Duration::from_millis(20);
/// How often one that waits looks whether the lease was given back.
const LOOK: Duration = Duration::from_millis(250);

impl Lease {
    /// Renews the lease at a third of its time while this server holds it, and asks for it when
    /// another's runs out. Runs until it is dropped.
    pub async fn keep(&self) {
        loop {
            let role = self.role.borrow().clone();
            match role {
                Role::Holder(tenure) => self.hold(tenure).await,
                Role::Follower { .. } => self.stand_by().await,
            }
        }
    }

    /// Renews the lease, which this process holds; returns once it is lost.
    pub(crate) async fn keep_until_lost(&self) {
        let tenure = self.role.borrow().tenure();
        if let Some(tenure) = tenure {
            self.hold(tenure).await;
        }
    }

    /// Returns once the lease is lost.
    async fn hold(&self, tenure: Tenure) {
        let mut role = self.role();
        let mut pause = self.time / 3;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                _ = role.wait_for(|role| *role != Role::Holder(tenure)) => return,
            }
            let renewed = timeout_at(self.until(), self.renew(tenure)).await;
            pause = match renewed {
                Ok(Ok(true)) => self.time / 3,
                Ok(Ok(false)) => return self.lost(tenure),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the lease was not renewed; trying again"
                    );
                    self.time / 20
                }
                Err(_) => return self.lost(tenure),
            };
            if Instant::now() >= self.until() {
                return self.lost(tenure);
            }
        }
    }

    /// Asks once, and waits until it is worth asking again.
    async fn stand_by(&self) {
        let third = self.time / 3;
        let pause = match timeout(self.time, self.ask()).await {
            Ok(Ok(Asked::Taken)) => return,
            Ok(Ok(Asked::Held { name, left })) => {
                tracing::trace!(lease.holder = name, "another server holds the lease");
                // As soon as it runs out, or is given back.
                (left + BREATHER).min(third).min(LOOK)
            }
            Ok(Ok(Asked::Conflict)) => BREATHER,
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the lease could not be asked for; trying again"
                );
                third
            }
            // The store is slow, or away; it may have given the lease all the same, and it runs
            // out like another's.
            Err(_) => BREATHER,
        };
        sleep(pause).await;
    }
}
