//! Which of several servers writes the graph that they share.
//!
//! A SurrealDB server keeps one record: who holds the lease, the number of the tenure, and until
//! when, by the store's own clock. It is taken and renewed by one statement each. The number rises
//! with every change of hands and is the fence: each transaction of a projection checks it beside
//! the checkpoint, so that a holder that was stopped and wakes up too late writes nothing.
//!
//! The record is not part of a generation, so that a rebuild leaves it alone. Up to where the
//! reactors have decided stands in it too: whoever holds the lease runs them.

mod fence;
mod keep;

use std::sync::PoisonError;
use std::time::Duration;

use events::EventId;
use serde::Deserialize;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::types::{Object, Value};
use tokio::sync::watch;
use tokio::time::Instant;

pub use fence::FenceError;
pub(crate) use fence::{OVER, statements};

use crate::generation;
use crate::graph::{self, OpenError, is_conflict, without_credentials};
use crate::value::{decode, text};

/// The time during which one server holds the lease. Its number rises with every change of hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenure(u64);

impl Tenure {
    /// Of a store that only one process can open: there is no lease and nothing to check.
    pub const ALONE: Self = Self(0);
    /// Of a graph that another server writes: nothing that is written under it is accepted.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn stored(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn is_shared(self) -> bool {
        self != Self::ALONE
    }

    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// What this server does for the graph that it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes it.
    Holder(Tenure),
    /// Another one does, by this name.
    Follower {
        /// The name of the other, when it is known.
        holder: Option<String>,
    },
}

impl Role {
    /// Its tenure, while it is the holder.
    pub fn tenure(&self) -> Option<Tenure> {
        match self {
            Self::Holder(tenure) => Some(*tenure),
            Self::Follower { .. } => None,
        }
    }
}

/// Up to where the reactors have decided, and what they leave alone behind that.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Decided {
    /// The position.
    pub position: u64,
    /// The event there, by which another log is told from this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// First and last position of what was imported, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported: Vec<(u64, u64)>,
}

/// The lease was not asked or not answered.
#[derive(Debug, thiserror::Error)]
#[error("the lease in the graph store {url:?} could not be asked or changed")]
pub struct LeaseError {
    url: String,
    #[source]
    source: Box<surrealdb::Error>,
}

/// The lease of the graph at a URL, as one server sees it.
#[derive(Debug)]
pub struct Lease {
    db: Surreal<Any>,
    url: String,
    /// Told to people.
    name: String,
    /// Tells this server from a former one of the same name.
    id: String,
    time: Duration,
    role: watch::Sender<Role>,
    /// By this process's clock, which goes on while the process is stopped. Before the store's:
    /// it counts from when the store was asked.
    until: std::sync::Mutex<Instant>,
}

/// What the store answers to who would like to have the lease.
#[derive(Debug)]
enum Asked {
    Taken,
    Held {
        name: String,
        left: Duration,
    },
    /// Somebody asked at the same moment.
    Conflict,
}

#[derive(Deserialize)]
struct Taken {
    epoch: u64,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    left_ms: u64,
}

const TAKE: &str = "UPDATE lease:graph SET epoch += 1, holder = $holder, name = $name, \
     expires = time::now() + $time WHERE expires <= time::now() RETURN epoch";
const SEEN: &str = "SELECT name, IF expires > time::now() \
     { duration::millis(expires - time::now()) } ELSE { 0 } AS left_ms FROM lease:graph";

impl Lease {
    /// The lease of the graph at `url`, for a server called `name`, which is asked for at once.
    /// It is held for `time` and renewed by [`Self::keep`]. `None` when only one process can open
    /// the store.
    pub async fn of(url: &str, name: &str, time: Duration) -> Result<Option<Self>, OpenError> {
        if !graph::is_remote(url) {
            return Ok(None);
        }
        let server = graph::connect(url).await?;
        let url = without_credentials(url);
        let failed = |source| OpenError::Store { url: url.clone(), source: Box::new(source) };
        let db = generation::pointer_database(&server, &url).await.map_err(failed)?;
        let made = "DEFINE TABLE IF NOT EXISTS lease TYPE NORMAL SCHEMALESS; \
             INSERT IGNORE INTO lease { id: lease:graph, epoch: 0, holder: '', name: '', \
             expires: d'1970-01-01T00:00:00Z' } RETURN NONE";
        graph::made(&db, made).await.map_err(failed)?;
        let lease = Self {
            db,
            url,
            name: name.to_owned(),
            id: EventId::generate().to_string(),
            time,
            role: watch::Sender::new(Role::Follower { holder: None }),
            until: std::sync::Mutex::new(Instant::now()),
        };
        lease
            .ask()
            .await
            .map_err(|error| OpenError::Store { url: lease.url.clone(), source: error.source })?;
        Ok(Some(lease))
    }

    /// The role of this server, as it changes.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }

    /// The name of this server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This server found that it does not hold the lease any more.
    pub fn lost(&self, tenure: Tenure) {
        let lost = self.role.send_if_modified(|role| {
            let was = *role == Role::Holder(tenure);
            if was {
                *role = Role::Follower { holder: None };
            }
            was
        });
        if lost {
            tracing::warn!(
                lease.tenure = tenure.number(),
                "the lease is lost; this server follows the one that has it"
            );
        }
    }

    /// Gives the lease back, so that another need not wait until it runs out.
    pub async fn release(&self) {
        let Some(tenure) = self.role.borrow().tenure() else { return };
        self.role.send_replace(Role::Follower { holder: None });
        let text = "UPDATE lease:graph SET expires = time::now() \
                    WHERE epoch = $epoch AND holder = $holder RETURN epoch";
        match tokio::time::timeout(self.time, self.changed(text, tenure, Object::new())).await {
            Ok(Ok(_)) => tracing::info!(lease.tenure = tenure.number(), "gave the lease back"),
            Ok(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lease was not given back; it runs out"
            ),
            Err(_) => tracing::warn!("the lease was not given back in time; it runs out"),
        }
    }

    /// Up to where the reactors have decided; `None` when no server has said so yet.
    pub async fn decided(&self) -> Result<Option<Decided>, LeaseError> {
        let text = "SELECT VALUE decided FROM lease:graph";
        let values: Result<Vec<Value>, _> =
            async { self.db.query(text).await?.check()?.take(0) }.await;
        let value = values.map_err(|source| self.failed(source))?.pop();
        Ok(value.and_then(|value| decode(value).ok()))
    }

    /// Notes up to where the reactors have decided; false when the lease is not held any more.
    pub async fn decide(&self, tenure: Tenure, decided: &Decided) -> Result<bool, LeaseError> {
        let signed = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        let mut row = Object::new();
        row.insert("position", signed(decided.position));
        if let Some(event) = decided.event {
            row.insert("event", event.to_string());
        }
        let ranges =
            decided.imported.iter().map(|(first, last)| vec![signed(*first), signed(*last)]);
        row.insert("imported", ranges.collect::<Vec<_>>());
        let mut binds = Object::new();
        binds.insert("decided", Value::Object(row));
        let text = "UPDATE lease:graph SET decided = $decided \
                    WHERE epoch = $epoch AND holder = $holder RETURN epoch";
        self.changed(text, tenure, binds).await
    }

    /// Whether `tenure` is still the last one.
    pub(crate) async fn holds(&self, tenure: Tenure) -> Result<bool, LeaseError> {
        let text = "SELECT VALUE epoch FROM lease:graph";
        let epochs: Result<Vec<i64>, _> =
            async { self.db.query(text).await?.check()?.take(0) }.await;
        Ok(epochs.map_err(|source| self.failed(source))?.contains(&tenure.stored()))
    }

    /// Asks for the lease and takes the role that follows from the answer.
    async fn ask(&self) -> Result<Asked, LeaseError> {
        let asked_at = Instant::now();
        let mut binds = Object::new();
        binds.insert("holder", text(self.id.as_str()));
        binds.insert("name", text(self.name.as_str()));
        binds.insert("time", surrealdb::types::Duration::from(self.time));
        let query = self.db.query(TAKE).query(SEEN).bind(Value::Object(binds));
        let answer: Result<_, surrealdb::Error> = async {
            let mut answer = query.await?;
            let errors = answer.take_errors();
            if let Some(error) = errors.into_values().next() {
                return if is_conflict(&error) { Ok(None) } else { Err(error) };
            }
            Ok(Some((answer.take::<Vec<Value>>(0)?, answer.take::<Vec<Value>>(1)?)))
        }
        .await;
        let Some((taken, mut seen)) = answer.map_err(|source| self.failed(source))? else {
            return Ok(Asked::Conflict);
        };
        let seen = seen.pop().and_then(|row| decode::<Stored>(row).ok());
        let seen = seen.ok_or_else(|| self.not_one())?;
        let Some(taken) = taken.into_iter().next() else {
            let holder = Some(seen.name.clone());
            self.role.send_if_modified(|role| {
                let now = Role::Follower { holder };
                *role != now && {
                    *role = now;
                    true
                }
            });
            let left = Duration::from_millis(seen.left_ms);
            return Ok(Asked::Held { name: seen.name, left });
        };
        let Taken { epoch } = decode(taken).map_err(|_| self.not_one())?;
        let tenure = Tenure(epoch);
        self.extend(asked_at);
        self.role.send_replace(Role::Holder(tenure));
        tracing::info!(lease.tenure = tenure.number(), "this server holds the lease");
        Ok(Asked::Taken)
    }

    /// Holds it for another while; false when it is another's.
    async fn renew(&self, tenure: Tenure) -> Result<bool, LeaseError> {
        let asked_at = Instant::now();
        let mut binds = Object::new();
        binds.insert("time", surrealdb::types::Duration::from(self.time));
        let text = "UPDATE lease:graph SET expires = time::now() + $time \
                    WHERE epoch = $epoch AND holder = $holder RETURN epoch";
        let renewed = self.changed(text, tenure, binds).await?;
        if renewed {
            self.extend(asked_at);
        }
        Ok(renewed)
    }

    /// Runs a statement that changes the record of `tenure`; false when there is none.
    async fn changed(
        &self,
        statement: &str,
        tenure: Tenure,
        mut binds: Object,
    ) -> Result<bool, LeaseError> {
        binds.insert("epoch", tenure.stored());
        binds.insert("holder", text(self.id.as_str()));
        let rows: Result<Vec<Value>, _> = async {
            let asked = || self.db.query(statement).bind(Value::Object(binds.clone()));
            let mut answer = asked().await?.check();
            while answer.as_ref().is_err_and(is_conflict) {
                // With another statement about the same record, which is over.
                answer = asked().await?.check();
            }
            answer?.take(0)
        }
        .await;
        Ok(!rows.map_err(|source| self.failed(source))?.is_empty())
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, asked_at: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked_at + self.time;
    }

    fn not_one(&self) -> LeaseError {
        self.failed(surrealdb::Error::internal("lease:graph is not a lease".to_owned()))
    }

    fn failed(&self, source: surrealdb::Error) -> LeaseError {
        LeaseError { url: self.url.clone(), source: Box::new(source) }
    }
}
