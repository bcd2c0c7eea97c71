//! The in-process index over the graph: full text and fingerprints, as of any position.
//!
//! SurrealDB holds the texts and the fingerprints, and its own indexes over them are too slow and
//! cannot be asked as of a position (ADR 0010). So every graph keeps an index in memory: it is
//! loaded from the stored rows when the graph is opened, beside everything else, and fed with the
//! rows that each batch made. Both ways give the same index: it is made of [`Fact`]s, each of
//! which a version of a row states, put in the order of their positions.

mod fact;
mod load;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use diagnosis::search::{DocumentKind, Hit, Query, TextIndex};
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use events::catalogue::diagnosis::SimilarIncident;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;

use crate::fold::Rows;
pub(crate) use fact::log_pattern;
use fact::{COLUMNS, Fact, FactKey, facts_of};

/// The index of one graph. Questions wait until it is loaded.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    loading: std::sync::Mutex<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    /// Held from before a batch commits until its rows are fed: who holds it sees no rows in the
    /// store that are still to be fed.
    committing: Mutex<()>,
    loaded: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    text: TextIndex,
    fingerprints: FingerprintIndex,
    /// What is known so far, while it is loaded.
    gathered: Option<BTreeMap<FactKey, Fact>>,
}

/// How much an index keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSize {
    /// Paragraphs, former ones included.
    pub paragraphs: usize,
    /// Fingerprints, former ones included.
    pub fingerprints: usize,
}

impl Index {
    /// The index of the graph in `db`, which begins to be loaded.
    pub(crate) fn of(db: &Surreal<Any>) -> Self {
        let shared = Arc::new(Shared {
            state: RwLock::new(State::gathering()),
            committing: Mutex::new(()),
            loaded: watch::Sender::new(false),
        });
        let loading = tokio::spawn(load::load(db.clone(), shared.clone()));
        Self { shared, loading: std::sync::Mutex::new(loading) }
    }

    /// Begins anew: something was committed that was not fed.
    pub(crate) fn reload(&self, db: &Surreal<Any>) {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        loading.abort();
        self.shared.loaded.send_replace(false);
        *self.shared.write() = State::gathering();
        *loading = tokio::spawn(load::load(db.clone(), self.shared.clone()));
    }

    /// Waits until the index contains what the store held when the graph was opened.
    pub async fn loaded(&self) {
        // The sender is part of what this holds, so it is there.
        let _ = self.shared.loaded.subscribe().wait_for(|loaded| *loaded).await;
    }

    /// Whether the index is loaded.
    pub fn is_loaded(&self) -> bool {
        *self.shared.loaded.borrow()
    }

    /// How much it keeps.
    pub fn size(&self) -> IndexSize {
        let state = self.shared.read();
        IndexSize { paragraphs: state.text.kept(), fingerprints: state.fingerprints.kept() }
    }

    /// The documents that answer `query` as of position `at`; see [`TextIndex::search`].
    pub async fn search(
        &self,
        query: Query,
        kinds: Vec<DocumentKind>,
        at: u64,
        first: usize,
    ) -> Vec<Hit> {
        self.ask(move |state| state.text.search(&query, &kinds, at, first)).await
    }

    /// The past incidents most like the one in question; see [`FingerprintIndex::nearest`].
    pub async fn nearest(&self, asked: NearestTo) -> Vec<SimilarIncident> {
        self.ask(move |state| state.fingerprints.nearest(&asked.borrowed())).await
    }

    /// Asks on a thread of its own: an answer takes milliseconds of nothing but computing.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&State) -> T + Send + 'static) -> T {
        self.loaded().await;
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || ask(&shared.read()))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// To be held by the writer around the commit of a batch and [`Self::feed`].
    pub(crate) async fn committing(&self) -> MutexGuard<'_, ()> {
        self.shared.committing.lock().await
    }

    /// Takes in what a committed batch behind position `held` made of the graph.
    pub(crate) fn feed(&self, held: u64, rows: &Rows) {
        let mut facts = BTreeMap::new();
        let former = rows.former().iter().map(|former| (&former.id, &former.row));
        for (id, row) in rows.changed().chain(former) {
            if COLUMNS.iter().any(|(table, _)| *table == id.table) {
                facts.extend(facts_of(id.table, &id.id(), &row.fields));
            }
        }
        // A row also says what it said before.
        facts.retain(|key: &FactKey, _| key.position > held);
        if !facts.is_empty() {
            self.shared.write().take(facts);
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // It holds the store open.
        self.loading.get_mut().unwrap_or_else(PoisonError::into_inner).abort();
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn gathering() -> Self {
        Self { gathered: Some(BTreeMap::new()), ..Self::default() }
    }

    fn take(&mut self, facts: BTreeMap<FactKey, Fact>) {
        match &mut self.gathered {
            Some(gathered) => gathered.extend(facts),
            None => self.put(facts),
        }
    }

    /// Puts facts, which are in the order of their positions and behind all before.
    fn put(&mut self, facts: BTreeMap<FactKey, Fact>) {
        for (key, fact) in facts {
            fact.put(key.position, &mut self.text, &mut self.fingerprints);
        }
    }
}

/// A [`Nearest`] that owns what it asks for.
#[derive(Clone, Debug)]
pub struct NearestTo {
    /// What it looks like.
    pub fingerprint: diagnosis::fingerprint::Fingerprint,
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
