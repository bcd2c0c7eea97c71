//! What an index keeps, and how far it is loaded.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use diagnosis::search::{DocumentId, DocumentKind, Hit, Meaning, Query, TextIndex};
use diagnosis::similarity::Told;
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use events::ComponentName;
use events::catalogue::diagnosis::SimilarIncident;
use tokio::sync::watch;

use super::IndexSize;
use super::fact::{Fact, FactKey, log_pattern};

/// Log templates of one component that are found. A component that names more than so many does
/// not tell templates but lines. The first ones stay: which they are does not depend on what
/// comes later, so that no earlier answer changes (QU-2).
pub const MAX_TEMPLATES: usize = 1_000;
/// How many facts are put before questions are let in between.
const CHUNK: usize = 256;

/// Why an index cannot go on as it is.
#[derive(Debug, thiserror::Error)]
pub enum IndexFault {
    /// The store failed.
    #[error("the graph store failed")]
    Store(#[from] Box<surrealdb::Error>),
    /// The log, by which it follows another server, could not be read.
    #[error("the log could not be read")]
    Log(#[from] events::log::ReadError),
    /// A fact stands before one that was put.
    #[error("a fact of position {position} comes behind one of {last}")]
    OutOfOrder {
        /// Its position.
        position: u64,
        /// The one of the last fact.
        last: u64,
    },
    /// It ended in a panic.
    #[error("it ended in a panic: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
}

impl IndexFault {
    /// A panic that was caught.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked { message: message.unwrap_or_else(|| "without words".to_owned()) }
    }

    /// A task that ended without a result.
    pub fn of_task(error: tokio::task::JoinError) -> Self {
        Self::Panicked { message: error.to_string() }
    }
}

/// How far an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It is being loaded.
    #[default]
    Loading,
    /// It could not be loaded, and is tried again.
    Failed,
    /// Questions are answered.
    Loaded,
    /// It is not the graph's any more, for good.
    GivenUp,
}

/// One load's index, for who loads, feeds and asks.
#[derive(Debug)]
pub struct Shared {
    state: RwLock<State>,
    phase: watch::Sender<Phase>,
    meaning: Option<Arc<dyn Meaning>>,
}

impl Shared {
    /// Empty. What texts mean counts where a meaning is given.
    pub fn new(meaning: Option<Arc<dyn Meaning>>) -> Self {
        let state = RwLock::new(State::new(meaning.as_ref()));
        Self { state, phase: watch::Sender::default(), meaning }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Notes how far it is. What is given up stays so.
    pub fn turn(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let turns = *now != Phase::GivenUp && *now != phase;
            if turns {
                *now = phase;
            }
            turns
        });
    }

    /// How far it is, as it moves.
    #[cfg(test)]
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits until it is loaded or given up.
    pub async fn ended(&self) -> Phase {
        let mut phase = self.phase.subscribe();
        let ended = phase.wait_for(|it| matches!(it, Phase::Loaded | Phase::GivenUp)).await;
        // The sender is part of what this holds, so it is there.
        ended.map_or(Phase::GivenUp, |phase| *phase)
    }

    /// For questions.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much it keeps.
    pub fn size(&self) -> IndexSize {
        let state = self.read();
        IndexSize { paragraphs: state.text.kept(), fingerprints: state.fingerprints.kept() }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.write() = State::new(self.meaning.as_ref());
    }

    /// Everything up to `position` is in it, while it follows another server.
    pub fn holds_up_to(&self, position: u64) {
        self.write().upto = position;
    }

    /// Up to where it follows another server.
    pub fn upto(&self) -> u64 {
        self.read().upto
    }

    /// What was gathered so far, to be put.
    pub fn gathered(&self) -> BTreeMap<FactKey, Fact> {
        self.write().gathered.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Everything gathered is put: what is taken from now on is put at once.
    pub fn gathered_all(&self) {
        self.write().gathered = None;
        self.turn(Phase::Loaded);
    }

    /// Takes facts: they are kept until all are gathered, and put from then on.
    pub fn take(&self, facts: BTreeMap<FactKey, Fact>) -> Result<(), IndexFault> {
        if let Some(gathered) = &mut self.write().gathered {
            gathered.extend(facts);
            return Ok(());
        }
        self.put(facts)
    }

    /// Puts facts, which are in the order of their positions and behind all before.
    pub fn put(&self, facts: BTreeMap<FactKey, Fact>) -> Result<(), IndexFault> {
        let mut facts = facts.into_iter().peekable();
        let mut left_out = 0;
        while facts.peek().is_some() {
            let mut state = self.write();
            let chunk = facts.by_ref().take(CHUNK);
            let put = AssertUnwindSafe(|| -> Result<(), IndexFault> {
                for (key, fact) in chunk {
                    left_out += usize::from(!state.put(&key, fact)?);
                }
                Ok(())
            });
            catch_unwind(put).unwrap_or_else(|panic| Err(IndexFault::of_panic(&*panic)))?;
        }
        if left_out > 0 {
            tracing::debug!(
                index.left_out = left_out,
                "log templates left out: their components have {MAX_TEMPLATES} others"
            );
        }
        Ok(())
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct State {
    text: TextIndex,
    fingerprints: FingerprintIndex,
    /// How many log templates each component has.
    templates: HashMap<ComponentName, usize>,
    /// Of the last fact.
    position: u64,
    /// Up to where it follows what another server writes.
    upto: u64,
    /// What is known so far, while it is loaded.
    gathered: Option<BTreeMap<FactKey, Fact>>,
}

impl State {
    fn new(meaning: Option<&Arc<dyn Meaning>>) -> Self {
        let understood = |meaning: &Arc<dyn Meaning>| TextIndex::with_meaning(meaning.clone());
        Self {
            text: meaning.map_or_else(TextIndex::default, understood),
            fingerprints: FingerprintIndex::default(),
            templates: HashMap::new(),
            position: 0,
            upto: 0,
            gathered: Some(BTreeMap::new()),
        }
    }

    /// See [`TextIndex::search`].
    pub fn search(&self, query: &Query, kinds: &[DocumentKind], at: u64, first: usize) -> Vec<Hit> {
        self.text.search(query, kinds, at, first)
    }

    /// See [`FingerprintIndex::nearest_told`], and where nothing is told
    /// [`FingerprintIndex::nearest`].
    pub fn nearest(&self, asked: &Nearest<'_>, told: Option<&Told>) -> Vec<SimilarIncident> {
        match told {
            Some(told) => self.fingerprints.nearest_told(asked, told),
            None => self.fingerprints.nearest(asked),
        }
    }

    /// Puts a fact; false when it is a log template too many.
    fn put(&mut self, key: &FactKey, fact: Fact) -> Result<bool, IndexFault> {
        let FactKey { position, .. } = *key;
        if position < self.position {
            return Err(IndexFault::OutOfOrder { position, last: self.position });
        }
        self.position = position;
        if let Fact::Reads(document, _) = &fact
            && document.kind == DocumentKind::LogPattern
            && !self.has_room_for(document)
        {
            return Ok(false);
        }
        fact.put(position, &mut self.text, &mut self.fingerprints);
        Ok(true)
    }

    fn has_room_for(&mut self, template: &DocumentId) -> bool {
        if self.text.contains(template) {
            return true;
        }
        let Some((component, _)) = log_pattern(&template.key) else { return false };
        let templates = self.templates.entry(component).or_default();
        if *templates < MAX_TEMPLATES {
            *templates += 1;
            return true;
        }
        false
    }
}
