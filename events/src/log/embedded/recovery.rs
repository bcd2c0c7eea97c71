//! Opening what a run left behind.
//!
//! A torn last group is dropped; nothing else is ever repaired. The bytes are taken for torn
//! only when all of this holds: they are in the last segment, they lie behind every position
//! that the index has applied (a group is applied after its sync and before its answer), and no
//! valid frame follows them. Everything else is damage to acknowledged history, and losing that
//! silently is worse than refusing to start.

use std::sync::Arc;

use super::active::{create, fill};
use super::frame::{CHAIN_START, Chain, HEADER_BYTES, Header, HeaderError, VERSION, seal};
use super::index::{Applied, Entry, Index};
use super::scan::{Found, Scan, Tail};
use super::segment::{self, Segment, base_of, file_name, offsets};
use super::storage::{Storage, StoredFile};
use super::{OpenError, Options};

/// A log that is whole.
pub struct Recovered {
    /// Every segment.
    pub segments: Vec<Arc<Segment>>,
    /// The last of them.
    pub active: Arc<Segment>,
    /// Its file.
    pub file: Arc<dyn StoredFile>,
    /// The end of its last frame.
    pub end: u64,
    /// The last position.
    pub head: u64,
    /// The chain behind it.
    pub chain: Chain,
}

/// What recovery works on.
pub struct Recovery<'a> {
    /// The segment files.
    pub storage: &'a Arc<dyn Storage>,
    /// The offsets of full segments.
    pub offsets: &'a Arc<dyn Storage>,
    /// The index, which is brought up to date.
    pub index: &'a Index,
    /// How far the log is known to have been.
    pub applied: Applied,
    /// For a first segment.
    pub options: &'a Options,
}

/// A segment file and what it says of itself.
struct Opened {
    header: Header,
    file: Arc<dyn StoredFile>,
}

impl Recovery<'_> {
    /// Checks everything that was not checked before, brings the index up to date and leaves
    /// zeros behind the last frame.
    pub fn run(&self) -> Result<Recovered, OpenError> {
        let opened = self.open_segments()?;
        // The last run may have ended between naming a segment and making the name durable.
        self.storage.sync_folder().map_err(|source| self.io("syncing", "", source))?;
        let mut segments = Vec::with_capacity(opened.len());
        let mut expected: Option<(u64, Chain)> = None;
        let (last, sealed) = opened.split_last().expect("open_segments makes the first");
        for (index, Opened { header, file }) in sealed.iter().enumerate() {
            let next = &opened[index + 1].header;
            self.check_continues(header, expected)?;
            let count = next.base.saturating_sub(header.base);
            let known = next.base.saturating_sub(1) <= self.index.known().position;
            if known && offsets::stored(&**self.offsets, header, count) {
                expected = Some((next.base, next.chain));
            } else {
                expected = Some(self.read_sealed(header, file, next)?);
            }
            segments.push(Arc::new(Segment::sealed(*header)));
        }
        self.check_continues(&last.header, expected)?;
        offsets::sweep(&**self.offsets, opened.iter().map(|opened| &opened.header));
        let found = self.read_last(last)?;
        let active = Arc::new(Segment::written(last.header, Arc::clone(&last.file), found.offsets));
        segments.push(Arc::clone(&active));
        let (file, head) = (Arc::clone(&last.file), found.next - 1);
        Ok(Recovered { segments, active, file, end: found.end, head, chain: found.chain })
    }

    /// Every segment in order; a new first one for a new log.
    fn open_segments(&self) -> Result<Vec<Opened>, OpenError> {
        let names = self.storage.list().map_err(|source| self.io("listing", "", source))?;
        let (mut bases, mut packed) = (Vec::new(), Vec::new());
        for name in names {
            if let Some(base) = base_of(&name) {
                bases.push(base);
            } else if let Some(base) = segment::packed_base_of(&name) {
                packed.push(base);
            } else if name.ends_with(".tmp") {
                // Unnamed yet, so nothing was ever written behind its header.
                self.storage.remove(&name).map_err(|source| self.io("removing", &name, source))?;
            }
        }
        for base in packed {
            if bases.contains(&base) {
                // The original was to be removed next: the compressed one is made again.
                let name = segment::packed_name(base);
                self.storage.remove(&name).map_err(|source| self.io("removing", &name, source))?;
            } else {
                bases.push(base);
            }
        }
        bases.sort_unstable();
        if bases.is_empty() {
            return self.first_segment().map(|first| vec![first]);
        }
        bases.into_iter().map(|base| self.open_segment(base)).collect()
    }

    fn first_segment(&self) -> Result<Opened, OpenError> {
        let header =
            Header { version: VERSION, base: 1, salt: (self.options.salts)(), chain: CHAIN_START };
        if self.applied.position > 0 {
            return Err(self.missing(&header, 1));
        }
        let file = create(&**self.storage, &header, self.options.segment_bytes)
            .map_err(|error| self.io("creating", &file_name(1), error.into()))?;
        Ok(Opened { header, file })
    }

    fn open_segment(&self, base: u64) -> Result<Opened, OpenError> {
        let name = file_name(base);
        let io = |error| self.unread(base, error);
        let file = segment::open(&**self.storage, base).map_err(io)?;
        if file.len().map_err(io)? < HEADER_BYTES as u64 {
            return Err(self.damaged(base, 0, "the file is shorter than a segment header"));
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let header = Header::decode(&bytes).map_err(|error| match error {
            HeaderError::Damaged(what) => self.damaged(base, 0, what),
            HeaderError::Version(found) => {
                OpenError::UnsupportedVersion { file: self.storage.shown(&name), found }
            }
        })?;
        if header.base != base {
            let what = format!("the header says that the segment begins at {}", header.base);
            return Err(self.damaged(base, 16, what));
        }
        Ok(Opened { header, file })
    }

    /// A segment begins where the one before it ended.
    fn check_continues(
        &self,
        header: &Header,
        expected: Option<(u64, Chain)>,
    ) -> Result<(), OpenError> {
        let (base, chain) = expected.unwrap_or((1, CHAIN_START));
        if header.base != base {
            return Err(self.damaged(
                header.base,
                16,
                format!("expected a segment that begins at position {base}: one is missing"),
            ));
        }
        if header.chain != chain {
            let what = "the hash chain does not continue that of the segment before";
            return Err(self.damaged(base, 32, what));
        }
        Ok(())
    }

    /// Reads a full segment whose records or offsets are not known yet.
    fn read_sealed(
        &self,
        header: &Header,
        file: &Arc<dyn StoredFile>,
        next: &Header,
    ) -> Result<(u64, Chain), OpenError> {
        let found = self.read(header, file)?;
        let io = |source| self.io("writing", &file_name(header.base), source);
        let complete = (found.next, found.chain) == (next.base, next.chain);
        match found.tail {
            Tail::Sealed => {}
            // The successor says that no record is missing: what is torn can only be the seal.
            Tail::Clean | Tail::Bad { followed: false, .. } if complete => {}
            Tail::Clean => {
                let what = format!("the segment ends at position {}", found.next - 1);
                return Err(self.damaged(header.base, found.end, what));
            }
            Tail::Bad { what, .. } => return Err(self.damaged(header.base, found.end, what)),
        }
        // Written again where it is, too: its sync may have failed, and nothing would read this
        // segment once its offsets are known.
        // A compressed one got its name when it was whole and synced.
        if self.storage.open(&file_name(header.base)).is_ok() {
            let bytes = seal(header.salt, found.next, &found.chain);
            file.write_all_at(&bytes, found.end).map_err(io)?;
            file.sync_data().map_err(io)?;
        }
        offsets::write(&**self.offsets, header, &found.offsets).map_err(io)?;
        Ok((found.next, found.chain))
    }

    /// Reads the last segment and drops a torn group from its end.
    fn read_last(&self, Opened { header, file }: &Opened) -> Result<Found, OpenError> {
        let found = self.read(header, file)?;
        let io = |source| self.io("writing", &file_name(header.base), source);
        let applied = self.applied;
        if let Tail::Sealed = found.tail {
            let what = format!(
                "the segment is sealed, and the one that begins at position {} is missing",
                found.next
            );
            return Err(self.damaged(header.base, found.end, what));
        }
        if found.next <= applied.position {
            let why = match &found.tail {
                Tail::Bad { what, .. } => format!(": {what}"),
                Tail::Clean | Tail::Sealed => String::new(),
            };
            let what = format!(
                "positions {} to {} were acknowledged and are not here{why}",
                found.next, applied.position
            );
            return Err(self.damaged(header.base, found.end, what));
        }
        if let Tail::Bad { what, end, followed } = &found.tail {
            if *followed {
                let what = format!("{what}, and valid frames follow");
                return Err(self.damaged(header.base, found.end, what.clone()));
            }
            tracing::warn!(
                log.file = file_name(header.base),
                log.offset = found.end,
                log.dropped_bytes = end - found.end,
                "dropped a torn group that was never acknowledged: {what}"
            );
            fill(&**file, found.end, *end).map_err(io)?;
        }
        // A sync that failed may have left pages that the kernel takes for written: only a new
        // write makes it write them.
        let mut bytes = vec![0; (found.end - found.last_frame) as usize];
        file.read_exact_at(&mut bytes, found.last_frame).map_err(io)?;
        file.write_all_at(&bytes, found.last_frame).map_err(io)?;
        file.sync_data().map_err(io)?;
        Ok(found)
    }

    /// Reads a segment and enters into the index what it does not have.
    fn read(&self, header: &Header, file: &Arc<dyn StoredFile>) -> Result<Found, OpenError> {
        let io = |error| self.unread(header.base, error);
        let mut scan = Scan::begin(*header, Arc::clone(file)).map_err(io)?;
        let known = self.index.known().position;
        self.check_chain(header.base, header.base - 1, &header.chain, HEADER_BYTES as u64)?;
        loop {
            let at = scan.offset();
            let frame = scan.next_frame().map_err(io)?;
            let Some(frame) = frame.map_err(|what| self.damaged(header.base, at, what))? else {
                break;
            };
            let (position, chain) = (frame.last, frame.chain);
            self.check_chain(header.base, position, &chain, at)?;
            let new = frame.records.iter().filter(|(position, _)| *position > known);
            let entries = new.map(|(position, record)| Entry {
                id: record.id,
                stream: record.stream,
                revision: record.revision,
                position: *position,
            });
            self.index.add(entries, Applied { position, chain });
            self.index.settle_chunks()?;
        }
        scan.finish().map_err(io)
    }

    /// Where the index stopped, and where the log last answered, the history was the same.
    fn check_chain(
        &self,
        base: u64,
        position: u64,
        chain: &Chain,
        at: u64,
    ) -> Result<(), OpenError> {
        let other = |known: Applied| position == known.position && *chain != known.chain;
        if other(self.applied) || other(self.index.known()) {
            let what = format!(
                "the history up to position {position} is not the one that the index was made \
                 from"
            );
            return Err(self.damaged(base, at, what));
        }
        Ok(())
    }

    /// For a segment that cannot be read, or not be unpacked.
    fn unread(&self, base: u64, error: std::io::Error) -> OpenError {
        match error.kind() {
            std::io::ErrorKind::InvalidData => self.damaged(base, 0, error.to_string()),
            _ => self.io("reading", &file_name(base), error),
        }
    }

    fn missing(&self, header: &Header, from: u64) -> OpenError {
        let what = format!(
            "the segment is missing: positions {from} to {} were acknowledged",
            self.applied.position
        );
        self.damaged(header.base, 0, what)
    }

    fn damaged(&self, base: u64, offset: u64, what: impl Into<String>) -> OpenError {
        OpenError::Damaged {
            place: segment::place(&**self.storage, base, offset),
            what: what.into(),
        }
    }

    fn io(&self, doing: &'static str, name: &str, source: std::io::Error) -> OpenError {
        OpenError::Io { doing, path: self.storage.shown(name), source }
    }
}
