//! Copying one segment, and reading the copy from its first byte to its last.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::super::frame::{HEADER_BYTES, Header, HeaderError, WITH_PRUNED};
use super::super::packed::Packed;
use super::super::scan::{Found, Scan};
use super::super::storage::StoredFile;
use super::manifest::create;
use super::{BackupError, Progress};
use crate::log::ChainHash;

/// How the name of a compressed segment ends.
pub const PACKED: &str = "segz";
const CHUNK_BYTES: usize = 1 << 20;
static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// A segment file that was read as far as its frames hold.
pub struct Walk {
    /// What it holds.
    pub found: Found,
    /// The chain behind the position that was asked for, if a group ends there.
    pub asked: Option<ChainHash>,
}

/// An existing file, to be read.
pub fn open(path: &Path) -> Result<File, BackupError> {
    File::open(path).map_err(BackupError::io("reading", path))
}

/// Whether this is the name of a compressed segment, in a log or in a backup.
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == PACKED)
}

/// What is in the segment file `file` at `path`, compressed or not.
pub fn content(path: &Path, file: &Arc<File>) -> Result<Arc<dyn StoredFile>, BackupError> {
    let file: Arc<dyn StoredFile> = Arc::clone(file) as _;
    if !is_packed(path) {
        return Ok(file);
    }
    Ok(Arc::new(Packed::open(file).map_err(unread(path, 0))?))
}

/// For what cannot be read, or not be unpacked.
fn unread(path: &Path, offset: u64) -> impl Fn(io::Error) -> BackupError {
    move |error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            BackupError::damaged(path, offset, error.to_string())
        }
        _ => BackupError::io("reading", path)(error),
    }
}

/// What a segment says of itself, and the bytes that say it. `path` is its file's.
pub fn header(
    path: &Path,
    content: &dyn StoredFile,
) -> Result<(Header, [u8; HEADER_BYTES]), BackupError> {
    let length = content.len().map_err(unread(path, 0))?;
    if length < HEADER_BYTES as u64 {
        let what = "the file is shorter than a segment header";
        return Err(BackupError::damaged(path, 0, what));
    }
    let mut bytes = [0; HEADER_BYTES];
    content.read_exact_at(&mut bytes, 0).map_err(unread(path, 0))?;
    match Header::decode(&bytes) {
        Ok(header) => Ok((header, bytes)),
        Err(HeaderError::Damaged(what)) => Err(BackupError::damaged(path, 0, what)),
        Err(HeaderError::Version(found)) => {
            let file = path.display().to_string();
            Err(BackupError::Format { file, found, known: WITH_PRUNED })
        }
    }
}

/// A copy of `source` at `to`; zeros, of which a segment may have many, take no room in it.
pub fn copy(
    (from, source): (&Path, &File),
    to: &Path,
    progress: &mut Progress<'_>,
) -> Result<File, BackupError> {
    let target = create(to).map_err(BackupError::io("creating", to))?;
    let length = source.len().map_err(BackupError::io("reading", from))?;
    copy_from((from, source), (to, &target), 0, progress)?;
    target.set_len(length).map_err(BackupError::io("writing", to))?;
    Ok(target)
}

/// Copies everything from `start` on, at the same place.
pub fn copy_from(
    (from, source): (&Path, &File),
    (to, target): (&Path, &File),
    start: u64,
    progress: &mut Progress<'_>,
) -> Result<(), BackupError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = start;
    loop {
        let read = read_some(source, &mut buffer, at).map_err(BackupError::io("reading", from))?;
        if read == 0 {
            return Ok(());
        }
        // What is there is from a look before: it is written over whatever it was.
        if start > 0 || buffer[..read] != ZEROS[..read] {
            let written = FileExt::write_all_at(target, &buffer[..read], at);
            written.map_err(BackupError::io("writing", to))?;
        }
        at += read as u64;
        progress.copied(read as u64);
    }
}

fn read_some(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match FileExt::read_at(file, buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads what is in a segment, which messages show as `shown`, checking everything. `asked` is a
/// position whose chain is of interest.
pub fn walk(
    shown: &Path,
    content: Arc<dyn StoredFile>,
    header: Header,
    asked: u64,
) -> Result<Walk, BackupError> {
    let mut scan = Scan::begin(header, content).map_err(unread(shown, 0))?;
    let mut seen = (header.base - 1 == asked).then(|| header.chain.into());
    loop {
        let at = scan.offset();
        let frame = scan.next_frame().map_err(unread(shown, at))?;
        let Some(frame) = frame.map_err(|what| BackupError::damaged(shown, at, what))? else {
            break;
        };
        let (last, chain) = (frame.last, frame.chain);
        if last == asked {
            seen = Some(chain.into());
        }
    }
    let end = scan.offset();
    Ok(Walk { found: scan.finish().map_err(unread(shown, end))?, asked: seen })
}
