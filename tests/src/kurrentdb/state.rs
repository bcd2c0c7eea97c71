//! What the double keeps, by the server's documented rules.

use std::collections::HashMap;

use bytes::Bytes;
use uuid::Uuid;

/// One event as it was written.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// Its stream.
    pub stream: String,
    /// Its number there.
    pub revision: u64,
    /// Commit and prepare position: each event of an append has its own.
    pub position: u64,
    /// System metadata: `type`, `content-type`, `created`.
    pub metadata: HashMap<String, String>,
    /// User metadata.
    pub custom_metadata: Bytes,
    /// Data.
    pub data: Bytes,
}

/// An event to be written.
pub struct Proposed {
    /// Its id.
    pub id: Uuid,
    /// System metadata.
    pub metadata: HashMap<String, String>,
    /// User metadata.
    pub custom_metadata: Bytes,
    /// Data.
    pub data: Bytes,
}

/// Which revision a writer expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any.
    Any,
    /// That there is one.
    Exists,
    /// That there is none.
    NoStream,
    /// This one.
    Revision(u64),
}

/// Why an append is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    WrongVersion(Option<u64>),
    Deleted,
    TooLarge,
    NoType,
}

#[derive(Default)]
struct Stream {
    /// Indexes into the records.
    events: Vec<usize>,
    /// Events before this revision were deleted.
    from: u64,
    tombstone: bool,
}

/// The records of one database, in order.
pub struct Database {
    records: Vec<Record>,
    streams: HashMap<String, Stream>,
    next_position: u64,
    max_append: usize,
}

impl Database {
    /// A new database, with what a server writes for itself first.
    pub fn new(max_append: usize) -> Self {
        let mut database =
            Self { records: Vec::new(), streams: HashMap::new(), next_position: 300, max_append };
        database.write_own("$user-admin", "$UserCreated", Bytes::from_static(b"{}"));
        database
    }

    /// All records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The largest append, in bytes.
    pub fn max_append(&self) -> usize {
        self.max_append
    }

    /// Where the next record will be.
    pub fn end(&self) -> u64 {
        self.next_position
    }

    /// The records of a stream that can be read; `Err` when it has a tombstone.
    pub fn stream(&self, name: &str) -> Result<Option<Vec<&Record>>, Refused> {
        let Some(stream) = self.streams.get(name) else { return Ok(None) };
        if stream.tombstone {
            return Err(Refused::Deleted);
        }
        let visible: Vec<_> = stream
            .events
            .iter()
            .map(|at| &self.records[*at])
            .filter(|record| record.revision >= stream.from)
            .collect();
        Ok(Some(visible).filter(|visible| !visible.is_empty()))
    }

    fn last_revision(&self, name: &str) -> Option<u64> {
        let stream = self.streams.get(name)?;
        (stream.events.len() as u64).checked_sub(1)
    }

    /// Writes all or nothing; the revision and position of the last event.
    ///
    /// A repeated append is recognised by the ids behind the expected revision. With `Any` a
    /// server does so only while it remembers the ids; the double never remembers, which is the
    /// harder partner.
    pub fn append(
        &mut self,
        name: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<(u64, u64), Refused> {
        let stream = self.streams.entry(name.to_owned()).or_default();
        if stream.tombstone {
            return Err(Refused::Deleted);
        }
        let soft_deleted = stream.from == stream.events.len() as u64;
        let size: usize =
            events.iter().map(|event| event.data.len() + event.custom_metadata.len()).sum();
        if size > self.max_append {
            return Err(Refused::TooLarge);
        }
        if events.iter().any(|event| !event.metadata.contains_key("type")) {
            return Err(Refused::NoType);
        }
        let actual = self.last_revision(name);
        let behind = match expected {
            Expected::Any => None,
            Expected::Exists if actual.is_some() => None,
            Expected::Exists => return Err(Refused::WrongVersion(actual)),
            Expected::NoStream if soft_deleted => None,
            Expected::NoStream => Some(0),
            Expected::Revision(revision) => Some(revision + 1),
        };
        let next = actual.map_or(0, |actual| actual + 1);
        if let Some(behind) = behind.filter(|behind| *behind != next) {
            return self.repeated(name, behind, &events).ok_or(Refused::WrongVersion(actual));
        }
        let created = next == 0;
        for event in events {
            self.push(name, event);
        }
        let last = self.records.last().map(|record| (record.revision, record.position));
        if created && !name.starts_with('$') {
            // What the server's own projections do: a link for each new stream.
            self.write_own("$streams", "$>", Bytes::from(format!("0@{name}")));
        }
        last.ok_or(Refused::NoType)
    }

    fn repeated(&self, name: &str, from: u64, events: &[Proposed]) -> Option<(u64, u64)> {
        let stream = self.streams.get(name)?;
        let at = usize::try_from(from).ok()?;
        let there = stream.events.get(at..at + events.len())?;
        let same = there.iter().zip(events).all(|(at, event)| self.records[*at].id == event.id);
        let last = &self.records[*there.last()?];
        same.then_some((last.revision, last.position))
    }

    fn write_own(&mut self, stream: &str, event_type: &str, data: Bytes) {
        let metadata = [("type", event_type), ("content-type", "application/json")];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let id = Uuid::now_v7();
        self.push(stream, Proposed { id, metadata, custom_metadata: Bytes::new(), data });
    }

    fn push(&mut self, name: &str, event: Proposed) {
        let stream = self.streams.entry(name.to_owned()).or_default();
        let revision = stream.events.len() as u64;
        stream.events.push(self.records.len());
        let mut metadata = event.metadata;
        // Ticks of 100 ns since 1970, as the server tells them.
        let created = jiff::Timestamp::now().as_nanosecond() / 100;
        metadata.insert("created".to_owned(), created.to_string());
        let length = 100 + name.len() + event.data.len() + event.custom_metadata.len();
        self.records.push(Record {
            id: event.id,
            stream: name.to_owned(),
            revision,
            position: self.next_position,
            metadata,
            custom_metadata: event.custom_metadata,
            data: event.data,
        });
        self.next_position += length as u64;
    }

    /// Deletes a stream: its events for now, or its name for good. The position.
    pub fn delete(&mut self, name: &str, for_good: bool) -> Result<u64, Refused> {
        let stream = self.streams.get_mut(name).ok_or(Refused::WrongVersion(None))?;
        if stream.tombstone {
            return Err(Refused::Deleted);
        }
        stream.from = stream.events.len() as u64;
        stream.tombstone = for_good;
        Ok(self.next_position)
    }
}
