//! A write or a sync that fails poisons the log: what it leaves is unknown until it is opened
//! again.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::storage::StoredFile;
use super::*;

/// Counts down to the operation that fails, over all files.
#[derive(Default)]
struct Countdown {
    writes: AtomicUsize,
    syncs: AtomicUsize,
}

impl Countdown {
    /// 0 is never.
    fn hit(left: &AtomicUsize) -> bool {
        left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
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
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.write_all_at(bytes, offset)
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
    let full = io::Error::from(io::ErrorKind::StorageFull).to_string();
    assert_poisoned(|disk| disk.writes.store(1, Ordering::SeqCst), &full).await;
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
