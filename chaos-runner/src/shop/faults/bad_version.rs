//! Faults that come with a new version: it fails, it is slow, it leaks.

use events::catalogue::fault_kind as kind;

use super::FaultError;
use super::arguments::Arguments;
use super::driver::Undone;
use super::probe;
use super::process::of;
use crate::shop::load::Endpoint;
use crate::shop::premises::Premises;
use crate::shop::service::FlawArgs;
use crate::shop::supervision::Deployment;
use crate::shop::topology::Component;

/// A flawed version, before or while it is deployed.
pub(super) struct BadVersion {
    component: &'static Component,
    flaw: FlawArgs,
    what: String,
    before: Option<Deployment>,
}

impl BadVersion {
    pub(super) fn plan(
        fault: &str,
        component: &'static Component,
        arguments: &mut Arguments,
    ) -> Result<Self, FaultError> {
        let mut flaw = FlawArgs::default();
        let mut what = match fault {
            kind::MEMORY_LEAK => {
                let bytes = arguments.count("bytes_per_request", 512 << 10, (1 << 10, 16 << 20))?;
                let limit = arguments.count("limit_bytes", 256 << 20, (1 << 20, 1 << 30))?;
                flaw.leak_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                flaw.leak_limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
                format!("keeps {bytes} bytes of every request")
            }
            kind::ERROR_VERSION => {
                flaw.error_probability = arguments.probability("probability", 0.6)?;
                format!("fails {} of requests", flaw.error_probability)
            }
            _ => {
                let delay = arguments.millis("delay_ms", 400)?;
                flaw.slow_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                format!("takes {} ms longer", flaw.slow_ms)
            }
        };
        if let Some(endpoint) = arguments.text("endpoint")? {
            if Endpoint::parse(&endpoint).is_none() {
                return Err(FaultError::InvalidArgument {
                    name: "endpoint".to_owned(),
                    message: format!("expected a text such as \"GET /catalog\", got {endpoint:?}"),
                });
            }
            what = format!("{what} at {endpoint}");
            flaw.flawed_endpoint = Some(endpoint);
        }
        Ok(Self { component, flaw, what, before: None })
    }

    pub(super) fn description(&self) -> String {
        format!("a new version of {} that {}", self.component.name, self.what)
    }

    pub(super) async fn act(mut self, premises: &Premises) -> Result<Self, FaultError> {
        let process = of(self.component, premises)?;
        let deployment = Deployment { version: process.next_version(), flaw: self.flaw.clone() };
        // Nothing in the record of a deployment may tell that it is a fault.
        self.before = Some(premises.deploy(process, deployment, "a new release").await?);
        Ok(self)
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        let process = of(self.component, premises)?;
        if let Some(before) = self.before.clone()
            && process.deployment().await != before
        {
            premises.deploy(process, before, "a rollback").await?;
        }
        let version = process.deployment().await.version;
        let verified = probe::comes_to(process, |stats| stats.version == version).await;
        let name = self.component.name;
        Ok(Undone { action: format!("rolled {name} back to version {version}"), verified })
    }
}
