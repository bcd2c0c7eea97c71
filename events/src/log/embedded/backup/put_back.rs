//! Making a log of a backup, or finding out whether one could be made.

use std::path::Path;
use std::sync::Arc;

use super::super::scan::Tail;
use super::super::segment::{file_name, packed_name};
use super::manifest::{BESIDE, Piece, SEGMENTS, replace, sync_folder};
use super::piece::{self, copy, walk};
use super::{Backup, BackupError, Manifest, Progress, Walked};
use crate::log::ChainHash;

impl Backup {
    /// Where a log is put together, in its data folder. It is gone when the base is whole.
    pub const RESTORING: &str = "restoring";

    /// Makes a base of the backup in the empty folder `data`, its log in `data`/log: every byte
    /// is checked while it is copied, and the log gets its name last. `told` hears how many
    /// bytes of how many are copied.
    pub fn restore(
        &self,
        data: &Path,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Walked, BackupError> {
        let creating = BackupError::io("creating", data);
        std::fs::create_dir_all(data).map_err(&creating)?;
        if data.read_dir().map_err(&creating)?.next().is_some() {
            return Err(BackupError::NotEmpty(data.display().to_string()));
        }
        let unfinished = data.join(Self::RESTORING);
        let segments = unfinished.join("log").join("segments");
        std::fs::create_dir_all(&segments).map_err(&creating)?;
        let head = self.read(Some(&segments), told)?;
        for (name, content) in self.attached()? {
            let path = data.join(name);
            replace(&path, &content).map_err(BackupError::io("writing", &path))?;
        }
        let log = unfinished.join("log");
        for folder in [&segments, &log, &unfinished] {
            sync_folder(folder).map_err(&creating)?;
        }
        std::fs::rename(&log, data.join("log")).map_err(&creating)?;
        std::fs::remove_dir(&unfinished).map_err(&creating)?;
        sync_folder(data).map_err(&creating)?;
        Ok(head)
    }

    /// Reads the whole backup as a restoration does, and makes nothing of it.
    pub fn check(&self, told: &mut dyn FnMut(u64, u64)) -> Result<Walked, BackupError> {
        self.attached()?;
        self.read(None, told)
    }

    fn complete(&self) -> Result<&Manifest, BackupError> {
        let none = || BackupError::NoBackup(self.folder.display().to_string());
        self.manifest.as_ref().ok_or_else(none)
    }

    /// Reads every piece, and puts it into `to` where that is given.
    fn read(
        &self,
        to: Option<&Path>,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Walked, BackupError> {
        let manifest = self.complete()?;
        let total = manifest.segments.iter().map(|piece| piece.bytes).sum();
        let mut progress = Progress { done: 0, total, told };
        let mut end = Walked { position: 0, chain: ChainHash::default() };
        for (at, piece) in manifest.segments.iter().enumerate() {
            let last = at + 1 == manifest.segments.len();
            end = self.read_piece(piece, end, last, to, &mut progress)?;
        }
        if end != manifest.head {
            let path = self.folder.join(super::manifest::FILE);
            let Walked { position, chain } = end;
            let what = format!("the segments end at position {position} with the hash {chain}");
            return Err(BackupError::damaged(&path, 0, what));
        }
        Ok(end)
    }

    fn read_piece(
        &self,
        piece: &Piece,
        before: Walked,
        last: bool,
        to: Option<&Path>,
        progress: &mut Progress<'_>,
    ) -> Result<Walked, BackupError> {
        let path = self.folder.join(SEGMENTS).join(&piece.file);
        let source = Arc::new(piece::open(&path)?);
        let (header, _) = piece::header(&path, &*piece::content(&path, &source)?)?;
        if (header.base, ChainHash::from(header.chain)) != (before.position + 1, before.chain) {
            let what = format!("the segment does not continue position {}", before.position);
            return Err(BackupError::damaged(&path, 16, what));
        }
        let copied = match to {
            Some(folder) => {
                let name = if piece::is_packed(&path) { packed_name } else { file_name };
                let to = folder.join(name(header.base));
                let copied = copy((&path, &*source), &to, progress)?;
                copied.sync_all().map_err(BackupError::io("writing", &to))?;
                Arc::new(copied)
            }
            None => {
                progress.copied(piece.bytes);
                source
            }
        };
        let content = piece::content(&path, &copied)?;
        let found = walk(&path, content, header, piece.last)?.found;
        let bad = |what: String| Err(BackupError::damaged(&path, found.end, what));
        if let Tail::Bad { what, .. } = &found.tail {
            return bad(what.clone());
        }
        let end = Walked { position: found.next - 1, chain: found.chain.into() };
        if end != (Walked { position: piece.last, chain: piece.chain }) {
            let Walked { position, chain } = end;
            return bad(format!(
                "the segment ends at position {position} with the hash {chain}, expected {} with \
                 {}",
                piece.last, piece.chain
            ));
        }
        if last && matches!(found.tail, Tail::Sealed) {
            return bad("the segment is sealed, and none follows".to_owned());
        }
        Ok(end)
    }

    /// The files beside the log.
    fn attached(&self) -> Result<Vec<(&str, Vec<u8>)>, BackupError> {
        let mut attached = Vec::new();
        for beside in &self.complete()?.beside {
            let path = self.folder.join(BESIDE).join(&beside.file);
            let content = std::fs::read(&path).map_err(BackupError::io("reading", &path))?;
            if blake3::hash(&content).to_hex().as_str() != beside.blake3 {
                let what = "the file is not what was copied";
                return Err(BackupError::damaged(&path, 0, what));
            }
            attached.push((beside.name.as_str(), content));
        }
        Ok(attached)
    }
}
