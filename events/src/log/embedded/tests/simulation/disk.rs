//! A disk in memory that keeps apart what a process sees and what a crash of the machine leaves.
//!
//! A write is seen at once and durable after its file's sync; until then a crash keeps any choice
//! of its sectors, whole or torn, in any order. A name is durable after its folder's sync; until
//! then a crash keeps the first few changes of names. A sync that fails leaves some sectors
//! unwritten, and no later sync writes them: only a new write does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::super::super::storage::{Storage, StoredFile};
use super::model::Batch;
use super::random::Random;

/// The segments.
pub const SEGMENTS: usize = 0;
/// The offsets of full segments.
pub const OFFSETS: usize = 1;

/// The files of both folders, by name.
pub type Files = [BTreeMap<String, Vec<u8>>; 2];

/// What goes wrong, once, counted in operations from when it was set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The process is gone at this operation, and every one behind it fails.
    Killed,
    /// The next write from there on stops early.
    Write,
    /// The next sync of a file from there on fails.
    Sync,
    /// The next change or sync of a folder from there on fails.
    Folder,
}

/// A crash that may happen at an operation.
pub struct Image {
    pub files: Files,
    /// Batches that were acknowledged when it happened.
    pub acknowledged: usize,
    /// One more that was being appended, or that may have been.
    pub in_flight: Option<Arc<Batch>>,
}

/// Collects crashes while a log is at work.
pub struct Watch {
    pub random: Random,
    pub images: Vec<Image>,
    pub acknowledged: usize,
    pub in_flight: Option<Arc<Batch>>,
    /// How many crashes of each operation.
    pub every: usize,
    /// Whether the next write of segments is torn at every byte.
    pub tear: bool,
}

#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What it was as long as, since the last sync.
    lengths: Vec<usize>,
    /// What each sector was, since the last sync.
    sectors: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Clone, Default)]
struct Names {
    durable: BTreeMap<String, usize>,
    /// After each change since the last sync.
    changed: Vec<BTreeMap<String, usize>>,
}

struct State {
    sector: usize,
    files: Vec<Content>,
    folders: [Names; 2],
    random: Random,
    fault: Option<(usize, Fault)>,
    killed: bool,
    /// Writes and creations that find room; all of them without a number.
    room: Option<usize>,
    watch: Option<Watch>,
}

/// The disk. Clones are the same one.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct Folder(Disk, usize);

struct File {
    disk: Disk,
    id: usize,
    /// Crashes are collected while segments are written.
    folder: usize,
}

impl Disk {
    /// A disk that holds `files`, all of them durable.
    pub fn with(files: Files, sector: usize, random: Random) -> Self {
        let mut contents = Vec::new();
        let folders = files.map(|files| {
            let mut durable = BTreeMap::new();
            for (name, bytes) in files {
                durable.insert(name, contents.len());
                contents.push(Content {
                    seen: bytes.clone(),
                    durable: bytes,
                    ..Content::default()
                });
            }
            Names { durable, changed: Vec::new() }
        });
        let state = State {
            sector,
            files: contents,
            folders,
            random,
            fault: None,
            killed: false,
            room: None,
            watch: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn folder(&self, folder: usize) -> Arc<dyn Storage> {
        Arc::new(Folder(self.clone(), folder))
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub fn set_fault(&self, after: usize, fault: Fault) {
        self.with_state(|state| state.fault = Some((after, fault)));
    }

    /// A new process: nothing fails any more.
    pub fn revive(&self) {
        self.with_state(|state| (state.fault, state.killed, state.room) = (None, false, None));
    }

    pub fn set_room(&self, room: Option<usize>) {
        self.with_state(|state| state.room = room);
    }

    pub fn set_watch(&self, watch: Option<Watch>) -> Option<Watch> {
        self.with_state(|state| std::mem::replace(&mut state.watch, watch))
    }

    pub fn watched(&self, change: impl FnOnce(&mut Watch)) {
        self.with_state(|state| state.watch.as_mut().map(change));
    }

    /// What one crash now would leave.
    pub fn crash(&self) -> Files {
        self.with_state(|state| {
            let mut random = state.random.fork();
            state.crash(&mut random)
        })
    }

    /// What the worst crash now would leave.
    pub fn durable(&self) -> Files {
        self.with_state(|state| state.durable())
    }

    /// What every process sees.
    pub fn seen(&self) -> Files {
        self.with_state(|state| {
            [SEGMENTS, OFFSETS].map(|folder| {
                let names = state.folders[folder].seen();
                names
                    .iter()
                    .map(|(name, id)| (name.clone(), state.files[*id].seen.clone()))
                    .collect()
            })
        })
    }
}

impl Names {
    fn seen(&self) -> &BTreeMap<String, usize> {
        self.changed.last().unwrap_or(&self.durable)
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, usize>)) {
        let mut names = self.seen().clone();
        change(&mut names);
        self.changed.push(names);
    }
}

impl Content {
    /// What a crash leaves. Of 8 sectors, `keep` have what was written last.
    fn crashed(&self, sector: usize, keep: usize, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let longest = self.lengths.iter().copied().max().unwrap_or(0).max(bytes.len());
        bytes.resize(longest, 0);
        for (number, versions) in &self.sectors {
            let start = number * sector;
            let versions = match random.below(8) < keep {
                true => versions.last(),
                // What it was before any of them, or one of those between.
                false => match random.below(versions.len()) {
                    0 => None,
                    version => Some(&versions[version - 1]),
                },
            };
            let Some(version) = versions else { continue };
            let torn =
                if random.one_in(8) { random.below(version.len() + 1) } else { version.len() };
            bytes[start..start + torn].copy_from_slice(&version[..torn]);
        }
        let length = match random.below(self.lengths.len() + 1) {
            _ if keep == 8 => self.seen.len(),
            0 => self.durable.len(),
            number => self.lengths[number - 1],
        };
        bytes.truncate(length);
        bytes
    }

    fn write(&mut self, sector: usize, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.seen.len() {
            self.seen.resize(end, 0);
            self.lengths.push(end);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.touch(sector, offset, end);
    }

    fn touch(&mut self, sector: usize, start: usize, end: usize) {
        for number in start / sector..end.div_ceil(sector) {
            let to = self.seen.len().min((number + 1) * sector);
            let version = self.seen[number * sector..to].to_vec();
            self.sectors.entry(number).or_default().push(version);
        }
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        self.sectors.clear();
        self.lengths.clear();
    }
}

impl State {
    fn crash(&self, random: &mut Random) -> Files {
        let keep = random.pick(&[0, 1, 4, 7, 8]);
        [SEGMENTS, OFFSETS].map(|folder| {
            let names = &self.folders[folder];
            let kept = match keep {
                0 => 0,
                8 => names.changed.len(),
                _ => random.below(names.changed.len() + 1),
            };
            let names = kept.checked_sub(1).map_or(&names.durable, |last| &names.changed[last]);
            let mut crashed = |id: &usize| self.files[*id].crashed(self.sector, keep, random);
            names.iter().map(|(name, id)| (name.clone(), crashed(id))).collect()
        })
    }

    fn durable(&self) -> Files {
        [SEGMENTS, OFFSETS].map(|folder| {
            let names = self.folders[folder].durable.iter();
            names.map(|(name, id)| (name.clone(), self.files[*id].durable.clone())).collect()
        })
    }

    /// Collects what crashes now would leave.
    fn watch(&mut self) {
        let Some(mut watch) = self.watch.take() else { return };
        for _ in 0..watch.every {
            let files = self.crash(&mut watch.random);
            watch.add(files);
        }
        self.watch = Some(watch);
    }

    /// Collects a crash for every byte at which a write can be torn, nothing else of what is not
    /// synced being kept.
    fn tear(&mut self, name: &str, bytes: &[u8], offset: usize) {
        let Some(mut watch) = self.watch.take() else { return };
        if std::mem::take(&mut watch.tear) {
            let durable = self.durable();
            for torn in 1..=bytes.len() {
                let mut files: Files = durable.clone();
                if let Some(file) = files[SEGMENTS].get_mut(name) {
                    file[offset..offset + torn].copy_from_slice(&bytes[..torn]);
                    watch.add(files);
                }
            }
        }
        self.watch = Some(watch);
    }

    /// Whether the operation that begins now goes wrong.
    fn fails(&mut self, kinds: &[Fault]) -> io::Result<Option<Fault>> {
        if self.killed {
            return Err(io::Error::other("the process was killed"));
        }
        let Some((left, fault)) = &mut self.fault else { return Ok(None) };
        if *left > 0 {
            *left -= 1;
            return Ok(None);
        }
        let fault = *fault;
        if fault == Fault::Killed {
            self.killed = true;
        } else if !kinds.contains(&fault) {
            return Ok(None);
        }
        self.fault = None;
        Ok(Some(fault))
    }

    fn has_room(&mut self) -> bool {
        match &mut self.room {
            None => true,
            Some(0) => false,
            Some(room) => {
                *room -= 1;
                true
            }
        }
    }

    fn change_names(
        &mut self,
        folder: usize,
        change: impl FnOnce(&mut BTreeMap<String, usize>),
    ) -> io::Result<()> {
        match self.fails(&[Fault::Folder])? {
            None => {
                self.folders[folder].change(change);
                self.watch();
                Ok(())
            }
            // Whether it was done is not said.
            Some(fault) => {
                if self.random.one_in(2) {
                    self.folders[folder].change(change);
                }
                Err(failed(fault))
            }
        }
    }
}

impl Watch {
    fn add(&mut self, files: Files) {
        let (acknowledged, in_flight) = (self.acknowledged, self.in_flight.clone());
        self.images.push(Image { files, acknowledged, in_flight });
    }
}

fn failed(fault: Fault) -> io::Error {
    io::Error::other(format!("simulated: {fault:?}"))
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.with_state(|state| Ok(state.folders[self.1].seen().keys().cloned().collect()))
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn StoredFile>> {
        let id = self.0.with_state(|state| {
            if !state.has_room() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let (id, length) = (state.files.len(), bytes as usize);
            state.files.push(Content {
                seen: vec![0; length],
                lengths: vec![length],
                ..Content::default()
            });
            state.change_names(self.1, |names| {
                names.insert(name.to_owned(), id);
            })?;
            Ok::<_, io::Error>(id)
        })?;
        Ok(Arc::new(File { disk: self.0.clone(), id, folder: self.1 }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let id = self.0.with_state(|state| state.folders[self.1].seen().get(name).copied());
        let id = id.ok_or_else(not_found)?;
        Ok(Arc::new(File { disk: self.0.clone(), id, folder: self.1 }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.with_state(|state| {
            let id = *state.folders[self.1].seen().get(from).ok_or_else(not_found)?;
            state.change_names(self.1, |names| {
                names.remove(from);
                names.insert(to.to_owned(), id);
            })
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.with_state(|state| {
            state.change_names(self.1, |names| {
                names.remove(name);
            })
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.0.with_state(|state| {
            if let Some(fault) = state.fails(&[Fault::Folder])? {
                return Err(failed(fault));
            }
            let names = &mut state.folders[self.1];
            if let Some(last) = names.changed.pop() {
                names.durable = last;
                names.changed.clear();
            }
            state.watch();
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn shown(&self, name: &str) -> String {
        format!("disk/{name}")
    }
}

impl StoredFile for File {
    fn len(&self) -> io::Result<u64> {
        self.disk.with_state(|state| Ok(state.files[self.id].seen.len() as u64))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.with_state(|state| {
            let seen = &state.files[self.id].seen;
            let from = offset as usize;
            let bytes = seen.get(from..from + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        self.disk.with_state(|state| {
            let failure = match state.fails(&[Fault::Write])? {
                Some(fault) => Some(failed(fault)),
                None if state.has_room() => None,
                None => Some(io::ErrorKind::StorageFull.into()),
            };
            let written = match &failure {
                // A short write: at least one byte less.
                Some(_) => &bytes[..state.random.below(bytes.len().max(1))],
                None => bytes,
            };
            let sector = state.sector;
            let names = &state.folders[self.folder].durable;
            let name = names.iter().find(|(_, id)| **id == self.id).map(|(name, _)| name.clone());
            if let (Some(name), SEGMENTS) = (name, self.folder) {
                state.tear(&name, written, offset);
            }
            state.files[self.id].write(sector, written, offset);
            state.watch();
            failure.map_or(Ok(()), Err)
        })
    }

    fn cut(&self, end: u64, length: u64) -> io::Result<()> {
        let (end, length) = (end as usize, length as usize);
        self.disk.with_state(|state| {
            if let Some(fault) = state.fails(&[Fault::Write])? {
                return Err(failed(fault));
            }
            let sector = state.sector;
            let content = &mut state.files[self.id];
            content.seen.truncate(end);
            content.lengths.push(end);
            content.seen.resize(length, 0);
            content.lengths.push(length);
            content.touch(sector, end, length);
            state.watch();
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.with_state(|state| {
            if let Some(fault) = state.fails(&[Fault::Sync])? {
                if fault == Fault::Sync {
                    let mut random = state.random.fork();
                    let (sector, keep) = (state.sector, random.below(9));
                    let content = &mut state.files[self.id];
                    let mut durable = content.crashed(sector, keep, &mut random);
                    durable.resize(content.seen.len(), 0);
                    content.durable = durable;
                    content.sectors.clear();
                    content.lengths.clear();
                }
                return Err(failed(fault));
            }
            state.files[self.id].sync();
            state.watch();
            Ok(())
        })
    }
}
