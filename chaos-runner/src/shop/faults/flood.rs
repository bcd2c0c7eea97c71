//! A flood: more requests than the target's workers can do, on top of those of the users.

use events::ComponentName;

use super::FaultError;
use super::arguments::Arguments;
use super::driver::Undone;
use super::probe;
use super::process::of;
use crate::shop::control::{FaultSpec, LoadShape};
use crate::shop::load::{Demand, Endpoint, Source};
use crate::shop::otlp::{Calls, Instruments};
use crate::shop::premises::Premises;
use crate::shop::topology::Component;

/// Times what the workers can do.
const DEFAULT_OVERLOAD: f64 = 1.5;

/// A flood of one service, through one of the proxies in front of it.
pub(super) struct Flood {
    component: &'static Component,
    peer: Option<ComponentName>,
    endpoint: Endpoint,
    rps: f64,
    source: Option<Source>,
}

impl Flood {
    pub(super) fn plan(
        spec: &FaultSpec,
        component: &'static Component,
        arguments: &mut Arguments,
    ) -> Result<Self, FaultError> {
        let not_applicable = |reason| FaultError::NotApplicable {
            kind: spec.kind.to_string(),
            component: component.name.to_owned(),
            reason,
        };
        let capacity = component.capacity.ok_or_else(|| not_applicable("it is no HTTP service"))?;
        let default = (capacity.requests_per_second() * DEFAULT_OVERLOAD).round();
        let rps = arguments.number("rps", default, (1.0, 5_000.0))?;
        let cheapest = Endpoint::cheapest(component.name);
        let endpoint = match arguments.text("endpoint")? {
            Some(text) => Endpoint::parse(&text).ok_or_else(|| FaultError::InvalidArgument {
                name: "endpoint".to_owned(),
                message: format!("expected a text such as \"GET /catalog\", got {text:?}"),
            })?,
            None => cheapest.ok_or_else(|| not_applicable("it has no endpoint to flood"))?,
        };
        Ok(Self { component, peer: spec.peer.clone(), endpoint, rps, source: None })
    }

    pub(super) fn description(&self) -> String {
        let Endpoint { method, path, .. } = &self.endpoint;
        format!("{} requests a second of {method} {path} to {}", self.rps, self.component.name)
    }

    pub(super) fn act(mut self, premises: &Premises) -> Self {
        let through = premises
            .inbound(self.component.name, self.peer.as_ref())
            .next()
            .expect("every service is called, and the peer was checked")
            .address();
        let demand = Demand::Endpoint(self.endpoint.clone());
        let shape = LoadShape::Steady { rps: self.rps };
        // Whoever floods a service sends no telemetry.
        let calls = Calls::new(&Instruments::off(), self.component.name, through);
        self.source = Some(Source::start(through, calls, demand, shape, premises.seed));
        self
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Undone {
        self.source = None;
        let verified = match of(self.component, premises) {
            Ok(process) => {
                probe::comes_to(process, |stats| stats.in_flight < stats.limit / 2).await
            }
            Err(_) => false,
        };
        let action = format!("blocked the flood of requests to {}", self.component.name);
        Undone { action, verified }
    }
}
