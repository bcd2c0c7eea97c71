//! EL-1: a write or a sync that fails poisons the log: what it leaves is unknown until it is opened
//! again. But a full disk is known: nothing was written, and the log goes on when there is room.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::storage::StoredFile;
use super::*;

/// Counts down to the operation that fails, over all files.
#[derive(Default)]
struct Countdown {
    writes: AtomicUsize,
    syncs: AtomicUsize,
    /// Writes and creations that still find room.
    room: AtomicUsize,
    /// Whether those behind them do not.
    full: AtomicBool,
    /// Whether the disk says how full it is.
    says_so: AtomicBool,
}

impl Countdown {
    /// 0 is never.
    fn hit(left: &AtomicUsize) -> bool {
        left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
    }

    fn has_room(&self) -> bool {
        let take = |room: usize| room.checked_sub(1);
        !self.full.load(Ordering::SeqCst)
            || self.room.try_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

struct FailingDisk {
    folder: Folder,
    countdown: Arc<Countdown>,
}

struct FailingFile {
    file: Arc<dyn StoredFile>,
    countdown: Arc<Countdown>,
}

impl FailingDisk {
    fn file(&self, file: Arc<dyn StoredFile>) -> Arc<dyn StoredFile> {
        Arc::new(FailingFile { file, countdown: Arc::clone(&self.countdown) })
    }
}

impl Storage for FailingDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn StoredFile>> {
        if !self.countdown.has_room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.folder.create(name, bytes).map(|file| self.file(file))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        self.folder.open(name).map(|file| self.file(file))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.folder.sync_folder()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        if self.countdown.says_so.load(Ordering::SeqCst) {
            return Ok(options().reserve_bytes - 1);
        }
        Ok(u64::MAX)
    }
    fn shown(&self, name: &str) -> String {
        self.folder.shown(name)
    }
}

impl StoredFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if Countdown::hit(&self.countdown.writes) {
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::Error::other("the medium failed"));
        }
        if !self.countdown.has_room() {
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, offset)
    }
    fn cut(&self, end: u64, length: u64) -> io::Result<()> {
        self.file.cut(end, length)
    }
    fn sync_data(&self) -> io::Result<()> {
        if Countdown::hit(&self.countdown.syncs) {
            return Err(io::Error::other("the medium is gone"));
        }
        self.file.sync_data()
    }
}

fn open_failing(folder: &Path) -> (EmbeddedLog, Arc<Countdown>) {
    let countdown = Arc::new(Countdown::default());
    let disk = FailingDisk {
        folder: Folder::create(&folder.join("segments")).unwrap(),
        countdown: Arc::clone(&countdown),
    };
    let lock = lock(folder).unwrap();
    let log = EmbeddedLog::open_on(Arc::new(disk), &folder.join("index"), lock, options()).unwrap();
    (log, countdown)
}

/// Appends until the failure, tries once more, and holds what is left against what was said.
async fn assert_poisoned(fail: impl FnOnce(&Countdown), message: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (log, countdown) = open_failing(folder.path());
    let mut acknowledged = Vec::new();
    let mut append = async |event: Event| {
        let answer = log.append(stream("s"), ExpectedRevision::Any, vec![event.clone()]).await;
        if answer.is_ok() {
            acknowledged.push(event);
        }
        answer
    };
    for n in 0..5 {
        append(discovered(&format!("c-{n}"))).await.unwrap();
    }
    fail(&countdown);
    let (mut failed, mut reason) = (None, String::new());
    for n in 5..50 {
        let event = discovered(&format!("c-{n}"));
        match append(event.clone()).await {
            Ok(_) => {}
            Err(AppendError::Poisoned(why)) => {
                (failed, reason) = (Some(event), why);
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    let failed = failed.expect("the failure was met");
    assert!(reason.contains(message), "{reason}");
    assert!(reason.contains("open the log again"), "{reason}");
    // The disk works again, the log does not: it cannot know what the failed sync left.
    let later = append(discovered("later")).await;
    assert!(matches!(later, Err(AppendError::Poisoned(_))), "{later:?}");
    let events = |recorded: Vec<RecordedEvent>| {
        recorded.into_iter().map(|recorded| recorded.event).collect::<Vec<_>>()
    };
    assert_eq!(events(log.read_all(0, 100).await.unwrap()), acknowledged);
    drop(log);

    let log = open(folder.path()).unwrap();
    let after = events(log.read_all(0, 100).await.unwrap());
    assert_eq!(after[..acknowledged.len()], acknowledged);
    assert!(after.len() <= acknowledged.len() + 1, "only the failed group may have survived");
    let retry = log.append(stream("s"), ExpectedRevision::Any, vec![failed]).await.unwrap();
    assert_eq!(retry[0].position, acknowledged.len() as u64 + 1);
}

#[tokio::test]
async fn a_failed_sync_poisons_the_log() {
    assert_poisoned(|disk| disk.syncs.store(1, Ordering::SeqCst), "the medium is gone").await;
}

#[tokio::test]
async fn a_failed_write_poisons_the_log() {
    assert_poisoned(|disk| disk.writes.store(1, Ordering::SeqCst), "the medium failed").await;
}

#[tokio::test]
async fn a_failure_at_any_step_poisons_the_log() {
    // Far enough to meet every write and sync of a new segment: its header, the seal, the first
    // frame, the zeros behind it.
    for step in 2..30 {
        assert_poisoned(|disk| disk.writes.store(step, Ordering::SeqCst), "failed").await;
        assert_poisoned(|disk| disk.syncs.store(step, Ordering::SeqCst), "failed").await;
    }
}

/// Fills the disk after `room` more writes, at every group anew, and gives it room again: what
/// was refused is appended then, and nothing else is there.
async fn assert_goes_on(room: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open_failing(folder.path());
    let (mut expected, mut refused) = (Vec::new(), 0);
    for n in 0..24 {
        disk.room.store(room, Ordering::SeqCst);
        disk.full.store(true, Ordering::SeqCst);
        let events: Vec<_> = (0..1 + n % 4).map(|i| discovered(&format!("c-{n}-{i}"))).collect();
        let append = || log.append(stream("s"), ExpectedRevision::Any, events.clone());
        match append().await {
            Ok(_) => {}
            Err(AppendError::DiskFull) => {
                refused += 1;
                assert_eq!(log.head(), expected.len() as u64);
                assert_eq!(log.find(events[0].id).await.unwrap(), None);
                disk.full.store(false, Ordering::SeqCst);
                // What comes next may be shorter than what was refused.
                let small = discovered(&format!("d-{n}"));
                log.append(stream("t"), ExpectedRevision::Any, vec![small.clone()]).await.unwrap();
                expected.push(small);
                append().await.unwrap();
            }
            other => panic!("room for {room} writes, group {n}: {other:?}"),
        }
        expected.extend(events);
    }
    drop(log);
    delete_index(folder.path());
    let log = open(folder.path()).unwrap();
    let events: Vec<_> = log.read_all(0, 100).await.unwrap().into_iter().map(|r| r.event).collect();
    assert_eq!(events, expected, "room for {room} writes");
    log.verify(&mut |_| ()).unwrap();
    refused
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    // A group writes a frame and zeros behind it; with a new segment also a file, its header and
    // the seal of the last.
    let mut refused = Vec::new();
    for room in 0..5 {
        refused.push(assert_goes_on(room).await);
    }
    assert!(refused[0] == 24 && refused[1..4].iter().all(|groups| *groups > 0), "{refused:?}");
}

#[tokio::test]
async fn room_is_kept_for_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open_failing(folder.path());
    let append = |event| log.append(stream("s"), ExpectedRevision::Any, vec![event]);
    let (first, second) = (discovered("a"), discovered("b"));
    append(first.clone()).await.unwrap();
    disk.says_so.store(true, Ordering::SeqCst);
    let refusal = append(second.clone()).await;
    assert!(matches!(refusal, Err(AppendError::DiskFull)), "{refusal:?}");
    // EL-4 needs no room.
    assert_eq!(append(first).await.unwrap()[0].position, 1);
    disk.says_so.store(false, Ordering::SeqCst);
    assert_eq!(append(second).await.unwrap()[0].position, 2);
}
