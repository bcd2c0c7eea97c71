//! Exhaustion of a connection pool: every connection is taken and not given back.

use super::FaultError;
use super::driver::Undone;
use super::probe;
use super::process::of;
use crate::shop::premises::Premises;
use crate::shop::service::Hold;
use crate::shop::supervision::Supervised;
use crate::shop::topology::Component;
use events::catalogue::fault_kind::POOL_EXHAUSTION;

/// A pool whose connections are held.
pub(super) struct PoolHold(&'static Component);

fn failed(message: impl std::fmt::Display) -> FaultError {
    FaultError::Driver { kind: POOL_EXHAUSTION.to_owned(), message: message.to_string() }
}

impl PoolHold {
    pub(super) async fn act(
        component: &'static Component,
        premises: &Premises,
    ) -> Result<Self, FaultError> {
        let process = of(component, premises)?;
        let held = ask(process, reqwest::Method::POST).await?.held;
        let size = probe::stats(process).await.and_then(|stats| stats.pool).map(|pool| pool.size);
        if size != Some(held) {
            ask(process, reqwest::Method::DELETE).await?;
            let size = size.unwrap_or_default();
            return Err(failed(format!("held {held} of {size} connections")));
        }
        Ok(Self(component))
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        let process = of(self.0, premises)?;
        let held = ask(process, reqwest::Method::DELETE).await?.held;
        let free = probe::comes_to(process, |stats| {
            stats.pool.as_ref().is_some_and(|pool| pool.in_use < pool.size)
        })
        .await;
        let action = format!("released the pooled connections of {}", self.0.name);
        Ok(Undone { action, verified: held == 0 && free })
    }
}

async fn ask(process: &Supervised, method: reqwest::Method) -> Result<Hold, FaultError> {
    let admin = process.live().ok_or_else(|| failed("the process does not run"))?.admin;
    let http = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let answer = http.request(method, format!("http://{admin}/-/pool/hold")).send().await;
    answer.map_err(failed)?.json().await.map_err(failed)
}
