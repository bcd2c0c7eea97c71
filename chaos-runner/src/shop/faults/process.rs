//! Faults of a component's process: killed, stopped, stopped again and again.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;
use tracing::debug;

use super::FaultError;
use super::arguments::Arguments;
use super::driver::Undone;
use super::probe;
use crate::shop::premises::Premises;
use crate::shop::supervision::{ProcessError, Supervised};
use crate::shop::topology::Component;

/// The process of a component that is known to have one.
pub(super) fn of<'a>(
    component: &Component,
    premises: &'a Premises,
) -> Result<&'a Supervised, ProcessError> {
    let none = ProcessError::NotRunning { component: component.name };
    premises.process(component.name).ok_or(none)
}

/// A process that was killed, as by the kernel when memory is short.
pub(super) struct Killed(&'static Component);

impl Killed {
    pub(super) async fn act(
        component: &'static Component,
        premises: &Premises,
    ) -> Result<Self, FaultError> {
        of(component, premises)?.kill().await?;
        Ok(Self(component))
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        let version = of(self.0, premises)?.start().await?;
        let verified = probe::reachable(premises.inbound(self.0.name, None)).await;
        Ok(Undone { action: format!("restarted {} at version {version}", self.0.name), verified })
    }
}

/// A process that hangs.
pub(super) struct Paused(&'static Component);

impl Paused {
    pub(super) fn act(
        component: &'static Component,
        premises: &Premises,
    ) -> Result<Self, FaultError> {
        of(component, premises)?.signal(Signal::SIGSTOP)?;
        Ok(Self(component))
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        of(self.0, premises)?.signal(Signal::SIGCONT)?;
        let verified = probe::reachable(premises.inbound(self.0.name, None)).await;
        Ok(Undone { action: format!("resumed the process of {}", self.0.name), verified })
    }
}

/// A process that gets a part of the time only, as beside noisy neighbours.
pub(super) struct Starved {
    component: &'static Component,
    stopped: Duration,
    running: Duration,
    duty: JoinSet<()>,
}

impl Starved {
    pub(super) fn plan(
        component: &'static Component,
        arguments: &mut Arguments,
    ) -> Result<Self, FaultError> {
        let share = arguments.number("stopped_share", 0.9, (0.05, 0.98))?;
        let period = arguments.count("period_ms", 500, (20, 10_000)).map(Duration::from_millis)?;
        let stopped = period.mul_f64(share);
        Ok(Self { component, stopped, running: period - stopped, duty: JoinSet::new() })
    }

    pub(super) fn description(&self) -> String {
        let (stopped, running) = (self.stopped.as_millis(), self.running.as_millis());
        format!("{} runs {running} ms, then is stopped for {stopped} ms", self.component.name)
    }

    pub(super) fn act(mut self, premises: &Premises) -> Result<Self, FaultError> {
        let process = of(self.component, premises)?;
        process.signal(Signal::SIGSTOP)?;
        let processes = std::sync::Arc::clone(&premises.processes);
        let (name, stopped, running) = (self.component.name, self.stopped, self.running);
        self.duty.spawn(async move {
            let process = processes.iter().find(|process| process.component().name == name);
            let Some(process) = process else { return };
            let cycle = [(stopped, Signal::SIGCONT), (running, Signal::SIGSTOP)];
            for (pause, signal) in cycle.into_iter().cycle() {
                tokio::time::sleep(pause).await;
                if let Err(error) = process.signal(signal) {
                    debug!(%error, "the duty cycle ended");
                    return;
                }
            }
        });
        Ok(self)
    }

    pub(super) async fn undo(&mut self, premises: &Premises) -> Result<Undone, FaultError> {
        self.duty.shutdown().await;
        of(self.component, premises)?.signal(Signal::SIGCONT)?;
        let name = self.component.name;
        let verified = probe::reachable(premises.inbound(name, None)).await;
        Ok(Undone { action: format!("gave {name} its processor time back"), verified })
    }
}
