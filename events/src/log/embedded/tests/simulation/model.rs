//! What the log must hold: batches in order, and what a place in the log may be after each.

use std::collections::{HashMap, HashSet};

use super::super::super::frame::{CHAIN_START, Chain};
use super::super::super::index::memory::Entries;
use super::super::super::index::{Applied, Index};
use super::super::super::reader;
use super::super::super::segment::Segments;
use super::super::*;

/// Events that were given together, with the places that are theirs: what an append of it
/// answers, however often.
#[derive(Debug)]
pub struct Batch {
    pub events: Vec<(StreamId, Event)>,
    pub places: Vec<Appended>,
}

impl Batch {
    /// The first position.
    fn first(&self) -> u64 {
        self.places[0].position
    }

    /// The last position.
    pub fn last(&self) -> u64 {
        self.places[self.places.len() - 1].position
    }

    /// The one stream of all, and the events; `None` where there are several.
    pub fn of_one_stream(&self) -> Option<(StreamId, Vec<Event>)> {
        let (stream, _) = &self.events[0];
        let events = self.events.iter().map(|(to, event)| (to == stream).then(|| event.clone()));
        Some((stream.clone(), events.collect::<Option<_>>()?))
    }
}

/// Everything that was acknowledged.
pub struct Model {
    pub batches: Vec<Arc<Batch>>,
    revisions: HashMap<StreamId, u64>,
    /// The index behind each number of batches, from none on.
    indexes: Vec<Entries>,
    /// Events that may have lost their measurements.
    pub prunable: HashSet<EventId>,
    /// The last event of histories that were compared record by record, by their chain and the
    /// salts of their segments: no other history has them.
    compared: HashMap<(Chain, Vec<u64>), EventId>,
}

impl Model {
    pub fn new() -> Self {
        Self {
            batches: Vec::new(),
            revisions: HashMap::new(),
            indexes: vec![Entries::new()],
            prunable: HashSet::new(),
            compared: HashMap::new(),
        }
    }

    pub fn head(&self) -> u64 {
        self.batches.last().map_or(0, |batch| batch.last())
    }

    /// The last revision of a stream.
    pub fn revision(&self, stream: &StreamId) -> Option<u64> {
        self.revisions.get(stream).copied()
    }

    /// `events` with the places that an append gives them now.
    pub fn batch(&self, events: Vec<(StreamId, Event)>) -> Arc<Batch> {
        let mut next = HashMap::new();
        let place = |((stream, event), position): (&(StreamId, Event), u64)| {
            let first = || self.revision(stream).map_or(0, |last| last + 1);
            let next = next.entry(stream.clone()).or_insert_with(first);
            let at = Appended { id: event.id, revision: *next, position };
            *next += 1;
            at
        };
        let places = events.iter().zip(self.head() + 1..).map(place).collect();
        Arc::new(Batch { events, places })
    }

    pub fn acknowledge(&mut self, batch: Arc<Batch>, chain: Chain) {
        let index = self.index_with(&batch, chain);
        self.indexes.push(index.entries());
        for ((stream, _), at) in batch.events.iter().zip(&batch.places) {
            self.revisions.insert(stream.clone(), at.revision);
        }
        self.batches.push(batch);
    }

    /// The index behind the first `batches`.
    pub fn index(&self, batches: usize) -> Index {
        Index::in_memory(self.indexes[batches].clone())
    }

    /// The index behind the last batch whose number is `batch`'s, and `batch`.
    fn index_with(&self, batch: &Batch, chain: Chain) -> Index {
        let before = self.batches.partition_point(|known| known.first() < batch.first());
        let index = self.index(before);
        let mut changes = index.changes();
        for ((stream, _), at) in batch.events.iter().zip(&batch.places) {
            changes.add(at.id, stream.as_str(), at.revision, at.position);
        }
        changes.commit(Applied { position: batch.last(), chain }).unwrap();
        index
    }

    /// Holds a log that ends at `head` with `chain` against the first `acknowledged` batches,
    /// which it must have, and `in_flight`, which it may have whole. Says whether it has it.
    pub fn compare(
        &mut self,
        acknowledged: usize,
        in_flight: Option<&Arc<Batch>>,
        head: u64,
        chain: Chain,
        index: &Index,
        segments: &Segments,
    ) -> bool {
        let known = &self.batches[..acknowledged];
        let end = known.last().map_or(0, |batch| batch.last());
        let survived = match in_flight {
            _ if head == end => None,
            Some(batch) if head == batch.last() => Some(batch),
            _ => panic!("the log ends at position {head}, {end} were acknowledged"),
        };
        let Some(last) = survived.or(known.last()) else {
            assert_eq!(chain, CHAIN_START);
            return false;
        };
        let last_id = last.places[last.places.len() - 1].id;
        let salts = segments.all().iter().map(|segment| segment.header.salt).collect();
        let history = (chain, salts);
        if self.compared.get(&history) != Some(&last_id) {
            self.compare_records(acknowledged, survived, head, segments);
            self.compared.insert(history, last_id);
        }
        let expected = match survived {
            Some(batch) => self.index_with(batch, chain),
            None => self.index(acknowledged),
        };
        assert!(index.holds(&expected.entries()), "the index is not what the log says");
        survived.is_some()
    }

    fn compare_records(
        &self,
        known: usize,
        more: Option<&Arc<Batch>>,
        head: u64,
        segments: &Segments,
    ) {
        let expected = self.batches[..known].iter().chain(more);
        let mut expected = expected.flat_map(|batch| {
            let events = batch.events.iter().zip(&batch.places);
            events.map(|((stream, event), at)| (stream.as_str(), *at, event))
        });
        reader::scan(segments, 1, head, &mut |position, view| {
            let (stream, at, event) = expected.next().expect("the last event is at the head");
            let found = Appended { id: view.id, revision: view.revision, position };
            assert_eq!((view.stream, found), (stream, at), "another event");
            let found = view.decode(position)?;
            if found.pruned.is_none() {
                assert_eq!(&found.event, event);
            } else {
                assert!(self.prunable.contains(&event.id), "{event:?} was not to be pruned");
                let whole = RecordedEvent { event: event.clone(), pruned: None, ..found.clone() };
                assert_eq!(found.pruned, Some(whole.record_hash()));
                assert_eq!(Some(found.event.data), event.data.kept());
            }
            Ok(())
        })
        .unwrap();
        assert!(expected.next().is_none(), "events are missing");
    }
}
