//! Fault drivers. All are real, and each is undone by clearing it, by its deadline, and when
//! the shop ends.
//!
//! | kind | acts on | arguments and defaults |
//! |---|---|---|
//! | `latency` | calls to the component | `delay_ms` 250 |
//! | `jitter` | calls to the component | `max_delay_ms` 600 |
//! | `bandwidth` | answers of the component | `bytes_per_second` 600 |
//! | `connection_reset` | connections to the component | `probability` 0.5 |
//! | `black_hole` | connections to the component | |
//! | `partition` | connections to the component | |
//! | `http_error` | HTTP answers of the component | `probability` 0.5, `status` 503 |
//! | `slow_response` | answers of the component | `probability` 0.5, `delay_ms` 600 |
//! | `process_kill` | its process | |
//! | `process_pause` | its process | |
//! | `cpu_starvation` | its process | `stopped_share` 0.9, `period_ms` 500 |
//! | `memory_leak` | a new version of a service | `bytes_per_request` 524288, `limit_bytes` 268435456 |
//! | `error_version` | a new version of a service | `probability` 0.6, `endpoint` (all) |
//! | `slow_version` | a new version of a service | `delay_ms` 400, `endpoint` (all) |
//! | `database_connection_failure` | connections to `database` | |
//! | `pool_exhaustion` | the connection pool of `orders` | |
//! | `flood` | requests to a service | `rps` (1.5 times what its workers can do), `endpoint` (its cheapest) |
//!
//! `peer` narrows what acts on calls, answers and connections to one caller; a flood comes in
//! on the connection of `peer`, else on that of the first caller. `endpoint` is a method and a
//! path such as `GET /catalog`; of a new version it is flawed with all below it.

mod arguments;
mod bad_version;
mod driver;
mod flood;
mod network;
mod pool;
mod probe;
mod process;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use events::catalogue::experiment::ClearedBy;
use events::{EventId, FaultId, Timestamp};
use tokio::task::AbortHandle;
use tracing::warn;

use super::control::{ClearedFault, FaultSpec, FaultState, InjectedFault};
use super::premises::Premises;
use super::supervision::ProcessError;
use driver::Driver;

/// Longest life of a fault, and its life when nothing is said.
pub const MAX_DURATION: Duration = Duration::from_secs(600);
/// A fault whose undoing failed is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);
/// Cleared faults that are remembered.
const KEPT_CLEARED: usize = 1_000;

/// Why a fault was not injected or not undone.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// A kind without a local driver.
    #[error("no local driver for fault kind {kind:?}; known are {}", known.join(", "))]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: &'static [&'static str],
    },
    /// A component that the shop does not have.
    #[error("the shop has no component {0:?}")]
    UnknownComponent(String),
    /// An argument that the driver does not have, or a value it does not take.
    #[error("argument {name:?}: {message}")]
    InvalidArgument {
        /// Which.
        name: String,
        /// What would be right.
        message: String,
    },
    /// The kind cannot act there.
    #[error("{kind} cannot act on {component}: {reason}")]
    NotApplicable {
        /// The kind.
        kind: String,
        /// Where.
        component: String,
        /// Why not.
        reason: &'static str,
    },
    /// Another fault holds what this one needs.
    #[error("{component} has the active fault {other} ({kind}), which this one cannot join")]
    Conflict {
        /// Where.
        component: String,
        /// The other fault.
        other: FaultId,
        /// Its kind.
        kind: String,
    },
    /// An id that was used already.
    #[error("fault {0} is known already")]
    Duplicate(FaultId),
    /// An id that was never used, or is forgotten.
    #[error("no fault {0}")]
    Unknown(FaultId),
    /// The driver could not do it.
    #[error("the driver of {kind} failed: {message}")]
    Driver {
        /// The kind.
        kind: String,
        /// Why.
        message: String,
    },
    /// A process would not do what the driver needs.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The shop is ending.
    #[error("the shop is ending")]
    Ending,
}

/// Whether a shop would inject the fault, apart from what only a running one knows: an id that
/// is taken, another fault in the way, a process that is gone.
pub fn check(spec: &FaultSpec) -> Result<(), FaultError> {
    driver::plan(spec).map(|_| ())
}

/// The faults of a shop: those that act, and those that did.
pub(crate) struct Faults {
    premises: Arc<Premises>,
    book: Mutex<Book>,
    own: Weak<Self>,
}

#[derive(Default)]
struct Book {
    known: BTreeMap<FaultId, Arc<Entry>>,
    ending: bool,
}

struct Entry {
    injected: Mutex<Option<InjectedFault>>,
    spec: FaultSpec,
    driver: tokio::sync::Mutex<Option<Driver>>,
    cleared: Mutex<Option<ClearedFault>>,
    deadline: Mutex<Option<AbortHandle>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    fn is_active(&self) -> bool {
        locked(&self.cleared).is_none()
    }
}

impl Faults {
    pub(crate) fn new(premises: Arc<Premises>) -> Arc<Self> {
        Arc::new_cyclic(|own| Self { premises, book: Mutex::default(), own: own.clone() })
    }

    /// Injects a fault; it acts when this returns.
    pub(crate) async fn inject(&self, spec: FaultSpec) -> Result<InjectedFault, FaultError> {
        let plan = driver::plan(&spec)?;
        let fault = spec.fault.clone().unwrap_or_else(|| {
            FaultId::new(EventId::generate().to_string()).expect("a UUID is a short printable id")
        });
        let entry = Arc::new(Entry {
            injected: Mutex::default(),
            spec: spec.clone(),
            driver: tokio::sync::Mutex::default(),
            cleared: Mutex::default(),
            deadline: Mutex::default(),
        });
        // Held until the driver acts, so that whoever clears the fault waits for that.
        let mut driver = entry.driver.lock().await;
        self.enter(&fault, &entry, plan.exclusive)?;
        let (parameters, description) = (plan.parameters.clone(), plan.description.clone());
        match plan.act(&fault, &self.premises).await {
            Ok(acting) => *driver = Some(acting),
            Err(error) => {
                locked(&self.book).known.remove(&fault);
                return Err(error);
            }
        }
        drop(driver);
        let duration = duration(&spec);
        let injected = InjectedFault {
            fault: fault.clone(),
            kind: spec.kind,
            component: spec.component,
            peer: spec.peer,
            parameters,
            injected_at: Timestamp::now(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            description,
        };
        *locked(&entry.injected) = Some(injected.clone());
        *locked(&entry.deadline) = Some(self.watch_deadline(fault, duration));
        Ok(injected)
    }

    fn enter(
        &self,
        fault: &FaultId,
        entry: &Arc<Entry>,
        exclusive: bool,
    ) -> Result<(), FaultError> {
        let mut book = locked(&self.book);
        if book.ending {
            return Err(FaultError::Ending);
        }
        if book.known.contains_key(fault) {
            return Err(FaultError::Duplicate(fault.clone()));
        }
        let component = &entry.spec.component;
        let other = book.known.iter().find(|(_, other)| {
            exclusive
                && other.is_active()
                && other.spec.component == *component
                && driver::is_exclusive(&other.spec.kind)
        });
        if let Some((id, other)) = other {
            return Err(FaultError::Conflict {
                component: component.to_string(),
                other: id.clone(),
                kind: other.spec.kind.to_string(),
            });
        }
        if book.known.len() >= KEPT_CLEARED {
            book.known.retain(|_, entry| entry.is_active());
        }
        book.known.insert(fault.clone(), Arc::clone(entry));
        Ok(())
    }

    fn watch_deadline(&self, fault: FaultId, duration: Duration) -> AbortHandle {
        let faults = self.own.clone();
        let watching = tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            while let Some(faults) = faults.upgrade() {
                match faults.clear(&fault, ClearedBy::Deadline).await {
                    Ok(_) | Err(FaultError::Unknown(_)) => return,
                    Err(error) => warn!(%error, %fault, "a fault could not be undone"),
                }
                tokio::time::sleep(RETRY).await;
            }
        });
        watching.abort_handle()
    }

    /// Undoes a fault, or answers how it was undone. A fault whose undoing failed still acts.
    pub(crate) async fn clear(
        &self,
        fault: &FaultId,
        by: ClearedBy,
    ) -> Result<ClearedFault, FaultError> {
        let entry = self.entry(fault)?;
        let mut driver = entry.driver.lock().await;
        if let Some(cleared) = locked(&entry.cleared).clone() {
            return Ok(cleared);
        }
        let Some(acting) = driver.as_mut() else {
            return Err(FaultError::Unknown(fault.clone()));
        };
        let undone = acting.undo(&self.premises).await?;
        *driver = None;
        let cleared = ClearedFault {
            fault: fault.clone(),
            cleared_at: Timestamp::now(),
            cleared_by: by,
            action: undone.action,
            verified: undone.verified,
        };
        *locked(&entry.cleared) = Some(cleared.clone());
        // The deadline's own task gets here too; it has nothing left to do that could be cut off.
        if let Some(deadline) = locked(&entry.deadline).take() {
            deadline.abort();
        }
        Ok(cleared)
    }

    /// Undoes every fault and lets no other in.
    pub(crate) async fn clear_all(&self, by: ClearedBy) -> Vec<ClearedFault> {
        let active: Vec<_> = {
            let mut book = locked(&self.book);
            book.ending = true;
            let active = book.known.iter().filter(|(_, entry)| entry.is_active());
            active.map(|(fault, _)| fault.clone()).collect()
        };
        let cleared = active.iter().map(|fault| self.clear(fault, by));
        let cleared = futures::future::join_all(cleared).await;
        cleared.into_iter().filter_map(Result::ok).collect()
    }

    /// The faults that act, in the order of their ids.
    pub(crate) fn active(&self) -> Vec<InjectedFault> {
        let book = locked(&self.book);
        let active = book.known.values().filter(|entry| entry.is_active());
        active.filter_map(|entry| locked(&entry.injected).clone()).collect()
    }

    /// Whether a fault acts.
    pub(crate) fn state(&self, fault: &FaultId) -> Result<FaultState, FaultError> {
        let entry = self.entry(fault)?;
        if let Some(cleared) = locked(&entry.cleared).clone() {
            return Ok(FaultState::Cleared(cleared));
        }
        let injected = locked(&entry.injected).clone();
        injected.map(FaultState::Active).ok_or_else(|| FaultError::Unknown(fault.clone()))
    }

    fn entry(&self, fault: &FaultId) -> Result<Arc<Entry>, FaultError> {
        let book = locked(&self.book);
        book.known.get(fault).cloned().ok_or_else(|| FaultError::Unknown(fault.clone()))
    }
}

fn duration(spec: &FaultSpec) -> Duration {
    spec.duration_ms.map_or(MAX_DURATION, Duration::from_millis).min(MAX_DURATION)
}
