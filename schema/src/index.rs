//! The in-process index over the graph: full text and fingerprints, as of any position.
//!
//! SurrealDB holds the texts and the fingerprints, and its own indexes over them are too slow and
//! cannot be asked as of a position (ADR 0010). So every graph keeps an index in memory: it is
//! loaded from the stored rows when the server starts, beside everything else, and fed with the
//! rows that each batch made. Both ways give the same index: it is made of [`Fact`]s, each of
//! which a version of a row states, put in the order of their positions.

mod fact;
mod follow;
mod load;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use diagnosis::search::{DocumentKind, Hit, Meaning, Query};
use diagnosis::similarity::index::Nearest;
use events::catalogue::diagnosis::SimilarIncident;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use crate::fold::Rows;
pub(crate) use fact::log_pattern;
use fact::{COLUMNS, FactKey, facts_of};
use state::{IndexFault, Phase, Shared, State};

/// The index of one graph. It begins to be loaded when it is started or first asked: who only
/// projects needs none. Questions wait until it is loaded.
#[derive(Debug)]
pub struct Index {
    db: Surreal<Any>,
    /// Held from before a batch commits until its rows are fed: who holds it sees no rows in the
    /// store that are still to be fed.
    committing: Arc<Mutex<()>>,
    /// Whether another server writes the graph, so that nothing is fed here.
    follows: AtomicBool,
    meaning: OnceLock<Arc<dyn Meaning>>,
    loading: std::sync::Mutex<Option<Loading>>,
}

/// A load and what it makes. Each has a state of its own, so that one that was given up, and may
/// still be busy on another thread, does nothing to the next.
#[derive(Debug)]
struct Loading {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Loading {
    fn drop(&mut self) {
        // It holds the store open.
        self.task.abort();
        self.shared.turn(Phase::GivenUp);
    }
}

/// How much an index keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexSize {
    /// Paragraphs, former ones included.
    pub paragraphs: usize,
    /// Fingerprints, former ones included.
    pub fingerprints: usize,
}

impl Index {
    /// The index of the graph in `db`, which is not loaded yet.
    pub(crate) fn of(db: &Surreal<Any>) -> Self {
        let committing = Arc::new(Mutex::new(()));
        let (follows, loading) = (AtomicBool::new(false), std::sync::Mutex::new(None));
        Self { db: db.clone(), committing, follows, meaning: OnceLock::new(), loading }
    }

    /// What texts mean counts in searches beside their words. To be said once, before anything is
    /// asked: an answer as of a position is the same for good.
    pub fn understand(&self, meaning: Arc<dyn Meaning>) {
        if self.meaning.set(meaning).is_ok() {
            self.reload();
        }
    }

    /// Understands what the index of another generation does.
    pub(crate) fn understand_as(&self, other: &Self) {
        if let Some(meaning) = other.meaning.get() {
            self.understand(meaning.clone());
        }
    }

    /// Begins to load it, unless it has begun.
    pub fn start(&self) {
        self.started();
    }

    /// Begins anew, if it has begun: something was committed that was not fed.
    pub(crate) fn reload(&self) {
        let given_up = self.lock().take();
        if given_up.is_some() {
            self.start();
        }
    }

    /// Waits until the index contains what the store held when it was started.
    pub async fn loaded(&self) {
        self.when_loaded().await;
    }

    /// Whether the index is loaded.
    pub fn is_loaded(&self) -> bool {
        self.begun().is_some_and(|shared| shared.phase() == Phase::Loaded)
    }

    /// How much it keeps.
    pub fn size(&self) -> IndexSize {
        self.begun().map_or_else(IndexSize::default, |shared| shared.size())
    }

    /// The documents that answer `query` as of position `at`; see [`TextIndex::search`].
    ///
    /// [`TextIndex::search`]: diagnosis::search::TextIndex::search
    pub async fn search(
        &self,
        query: Query,
        kinds: Vec<DocumentKind>,
        at: u64,
        first: usize,
    ) -> Vec<Hit> {
        self.ask(move |state| state.search(&query, &kinds, at, first)).await
    }

    /// The past incidents most like the one in question; see [`FingerprintIndex::nearest_told`],
    /// and where nothing is told [`FingerprintIndex::nearest`].
    ///
    /// [`FingerprintIndex::nearest_told`]: diagnosis::similarity::index::FingerprintIndex::nearest_told
    /// [`FingerprintIndex::nearest`]: diagnosis::similarity::index::FingerprintIndex::nearest
    pub async fn nearest(&self, asked: NearestTo) -> Vec<SimilarIncident> {
        self.ask(move |state| state.nearest(&asked.borrowed(), asked.told.as_ref())).await
    }

    /// Asks on a thread of its own: an answer takes milliseconds of nothing but computing.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&State) -> T + Send + 'static) -> T {
        let shared = self.when_loaded().await;
        tokio::task::spawn_blocking(move || ask(&shared.read()))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// To be held by the writer around the commit of a batch and handed to [`Self::feed`].
    pub(crate) async fn committing(&self) -> OwnedMutexGuard<()> {
        self.committing.clone().lock_owned().await
    }

    /// Takes in what a committed batch behind position `held` made of the graph. Whoever drops
    /// this takes nothing out of it: the guard goes with the work.
    pub(crate) async fn feed(&self, committing: OwnedMutexGuard<()>, held: u64, rows: &Rows) {
        let Some(shared) = self.begun() else { return };
        let mut facts = BTreeMap::new();
        let former = rows.former().iter().map(|former| (&former.id, &former.row));
        for (id, row) in rows.changed().chain(former) {
            if COLUMNS.iter().any(|(table, _)| *table == id.table) {
                facts.extend(facts_of(id.table, &id.id(), &row.fields));
            }
        }
        // A row also says what it said before.
        facts.retain(|key: &FactKey, _| key.position > held);
        if facts.is_empty() {
            return;
        }
        let fed = shared.clone();
        let feeding = tokio::task::spawn_blocking(move || {
            let taken = fed.take(facts);
            if taken.is_err() {
                fed.turn(Phase::GivenUp);
            }
            drop(committing);
            taken
        });
        if let Err(error) = feeding.await.unwrap_or_else(|error| Err(IndexFault::of_task(error))) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                graph.position = held,
                "the index could not take in a batch; it is loaded anew"
            );
            shared.turn(Phase::GivenUp);
            self.start();
        }
    }

    async fn when_loaded(&self) -> Arc<Shared> {
        loop {
            let shared = self.started();
            if shared.ended().await == Phase::Loaded {
                return shared;
            }
        }
    }

    /// What is loaded or being loaded, begun now if there is nothing of use.
    fn started(&self) -> Arc<Shared> {
        let mut loading = self.lock();
        if let Some(Loading { shared, .. }) = &*loading
            && shared.phase() != Phase::GivenUp
        {
            return shared.clone();
        }
        let shared = Arc::new(Shared::new(self.meaning.get().cloned()));
        let from = load::Source {
            db: self.db.clone(),
            committing: self.committing.clone(),
            follows: self.follows.load(Ordering::Acquire),
        };
        let load = load::load(from, shared.clone());
        *loading = Some(Loading { shared: shared.clone(), task: tokio::spawn(load) });
        shared
    }

    fn begun(&self) -> Option<Arc<Shared>> {
        self.lock().as_ref().map(|loading| loading.shared.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Loading>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Nearest`] that owns what it asks for.
#[derive(Clone, Debug)]
pub struct NearestTo {
    /// What it looks like.
    pub fingerprint: diagnosis::fingerprint::Fingerprint,
    /// What was said of it; absent where only what was measured counts.
    pub told: Option<diagnosis::similarity::Told>,
    /// As known at this position.
    pub at: u64,
    /// At most so many.
    pub first: usize,
    /// None less similar.
    pub min_score: f64,
    /// Not this incident.
    pub excluding: Option<events::IncidentId>,
    /// Labels known from these faults do not count.
    pub withheld: Arc<std::collections::BTreeSet<events::FaultId>>,
    /// Only incidents of which labels say the kind of fault.
    pub of_known_kind: bool,
}

impl NearestTo {
    fn borrowed(&self) -> Nearest<'_> {
        Nearest {
            fingerprint: &self.fingerprint,
            at: self.at,
            first: self.first,
            min_score: self.min_score,
            excluding: self.excluding.as_ref(),
            withheld: &self.withheld,
            of_known_kind: self.of_known_kind,
        }
    }
}
