//! A copy of a log in use is a beginning of it, or there is none.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::log::{Attached, BackedUp, Backup, BackupError};

fn attached() -> Vec<Attached> {
    vec![Attached { name: "kept.json".to_owned(), content: b"{}".to_vec() }]
}

fn take(log: &Path, to: &Path) -> Result<BackedUp, BackupError> {
    Backup::open(to)?.take(log, &attached(), Timestamp::UNIX_EPOCH, &mut |_, _| {})
}

fn check(backup: &Path) -> Result<u64, BackupError> {
    Ok(Backup::existing(backup)?.check(&mut |_, _| {})?.position)
}

/// What a log holds that was made of the backup.
async fn restored(backup: &Path) -> Vec<RecordedEvent> {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let backup = Backup::existing(backup).unwrap();
    let head = backup.restore(&data, &mut |_, _| {}).unwrap();
    assert_eq!(head, backup.manifest().unwrap().head);
    assert_eq!(std::fs::read(data.join("kept.json")).unwrap(), b"{}");
    let log = open(&data.join("log")).unwrap();
    let verified = log.verify(&mut |_| {}).unwrap();
    assert_eq!((verified.position, verified.chain), (head.position, head.chain));
    log.read_all(0, usize::MAX).await.unwrap()
}

async fn append(log: &EmbeddedLog, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let events = vec![discovered(&format!("c-{n}"))];
        log.append(stream("s"), ExpectedRevision::Any, events).await.unwrap();
    }
}

/// Name and inode of every file of a kind in the folder of pieces.
fn pieces(backup: &Path, extension: &str) -> Vec<(String, u64)> {
    let mut pieces: Vec<_> = std::fs::read_dir(backup.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|found| found == extension))
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino()))
        .collect();
    pieces.sort();
    pieces
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_appends_is_a_beginning_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    let log = Arc::new(open(&base).unwrap());
    append(&log, 0..1).await;
    let writer = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { append(&log, 1..300).await })
    };
    let mut heads = Vec::new();
    while !writer.is_finished() {
        let before = log.head();
        let (base, to) = (base.clone(), to.clone());
        let backup = tokio::task::spawn_blocking(move || take(&base, &to)).await.unwrap().unwrap();
        assert!(backup.head.position >= before, "what was acknowledged before is in it");
        heads.push(backup.head.position);
        let copy = restored(folder.path().join("backup").as_path()).await;
        assert_eq!(copy.len() as u64, backup.head.position);
        let all = log.read_all(0, copy.len()).await.unwrap();
        assert_eq!(copy[..all.len()], all);
    }
    writer.await.unwrap();
    assert!(heads.is_sorted());
    assert_eq!(take(&base, &to).unwrap().head.position, 300);
    assert_eq!(restored(&to).await, log.read_all(0, 1000).await.unwrap());
}

#[tokio::test]
async fn a_further_backup_copies_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    filled(&base, 60).await;
    let first = take(&base, &to).unwrap();
    assert_eq!((first.copied, first.copied_bytes), (first.segments, first.bytes));
    let before = pieces(&to, "seg");
    assert!(before.len() >= 3 && before.len() + 1 == first.segments);

    let log = open(&base).unwrap();
    append(&log, 60..90).await;
    let second = take(&base, &to).unwrap();
    assert_eq!(second.copied, second.segments - before.len());
    assert!(second.copied_bytes < second.bytes);
    assert_eq!(pieces(&to, "seg")[..before.len()], before);
    assert_eq!(pieces(&to, "part").len(), 1, "the end of the first is gone");
    assert_eq!(restored(&to).await, log.read_all(0, 100).await.unwrap());
    let third = take(&base, &to).unwrap();
    assert_eq!((third.copied, third.head), (1, second.head));
}

#[tokio::test]
async fn an_interrupted_backup_is_none_and_the_one_before_still_is() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    let all = filled(&base, 60).await;
    let obstacle = to.join("manifest.tmp");
    std::fs::create_dir_all(&to).unwrap();
    assert!(matches!(check(&to), Err(BackupError::NoBackup(_))));
    drop(Backup::open(&to).unwrap());
    std::fs::create_dir(&obstacle).unwrap();
    assert!(matches!(take(&base, &to), Err(BackupError::Io { .. })));
    assert!(matches!(check(&to), Err(BackupError::NoBackup(_))));

    let left = pieces(&to, "seg");
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(take(&base, &to).unwrap().head.position, 60);
    assert_eq!(pieces(&to, "seg"), left, "full segments were not copied again");
    assert_eq!(restored(&to).await, all);

    append(&open(&base).unwrap(), 60..75).await;
    std::fs::create_dir(&obstacle).unwrap();
    assert!(take(&base, &to).is_err());
    assert_eq!(check(&to).unwrap(), 60);
    assert_eq!(restored(&to).await, all);
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(take(&base, &to).unwrap().head.position, 75);
}

#[tokio::test]
async fn damage_in_a_backup_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    filled(&base, 20).await;
    take(&base, &to).unwrap();
    let segments = to.join("segments");
    let damage = |path: &Path, offset: usize| {
        let whole = std::fs::read(path).unwrap();
        let mut bytes = whole.clone();
        bytes[offset] ^= 4;
        std::fs::write(path, bytes).unwrap();
        let refused = check(&to).unwrap_err();
        let data = tempfile::tempdir().unwrap();
        let restoration = Backup::existing(&to).unwrap().restore(data.path(), &mut |_, _| {});
        assert_eq!(restoration.unwrap_err().to_string(), refused.to_string());
        assert!(!data.path().join("log").exists(), "there is no log of it");
        std::fs::write(path, whole).unwrap();
        refused.to_string()
    };
    for (name, _) in [pieces(&to, "seg"), pieces(&to, "part")].concat() {
        let path = segments.join(name);
        let whole = std::fs::read(&path).unwrap();
        for (start, end) in frames(&whole) {
            for offset in (start..end).step_by(97) {
                let told = damage(&path, offset);
                assert!(told.contains(&format!("{} at offset {start}", path.display())), "{told}");
            }
        }
        assert!(damage(&path, 20).contains(&format!("{} at offset 0", path.display())));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(check(&to).unwrap_err().to_string().contains(path.to_str().unwrap()));
        std::fs::remove_file(&path).unwrap();
        assert!(check(&to).unwrap_err().to_string().contains(path.to_str().unwrap()));
        std::fs::write(&path, whole).unwrap();
    }
    let beside = std::fs::read_dir(to.join("beside")).unwrap().next().unwrap().unwrap().path();
    assert!(damage(&beside, 0).contains(beside.to_str().unwrap()));
    assert_eq!(check(&to).unwrap(), 20);
}

#[tokio::test]
async fn a_damaged_log_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    filled(&base, 20).await;
    for path in segment_paths(&base) {
        let whole = std::fs::read(&path).unwrap();
        let (start, _) = frames(&whole)[0];
        let mut bytes = whole.clone();
        bytes[start + 100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let refused = take(&base, &to).unwrap_err().to_string();
        assert!(refused.contains(&format!("{} at offset {start}", path.display())), "{refused}");
        assert!(matches!(check(&to), Err(BackupError::NoBackup(_))));
        std::fs::write(&path, whole).unwrap();
    }
    filled(&base, 40).await;
    let paths = segment_paths(&base);
    let aside = folder.path().join("aside");
    for (missing, told) in [(0, "begins at position 1"), (1, "the next segment begins at")] {
        std::fs::rename(&paths[missing], &aside).unwrap();
        let refused = take(&base, &to).unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
        std::fs::rename(&aside, &paths[missing]).unwrap();
    }
    std::fs::remove_file(paths.last().unwrap()).unwrap();
    let refused = take(&base, &to).unwrap_err().to_string();
    assert!(refused.contains("the segment is sealed, and"), "{refused}");
}

#[tokio::test]
async fn a_group_that_is_being_written_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    let all = filled(&base, 3).await;
    let path = segment_paths(&base).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let (start, end) = *frames(&whole).last().unwrap();
    for cut in [start + 5, start + 60, end - 1] {
        let mut bytes = whole.clone();
        bytes[cut..end].fill(0);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(take(&base, &to).unwrap().head.position, 2, "cut at {cut}");
        assert_eq!(restored(&to).await, all[..2]);
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(take(&base, &to).unwrap().head.position, 3);
}

#[tokio::test]
async fn a_restored_log_goes_on_and_is_backed_up_further() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    let data = folder.path().join("data");
    let all = filled(&base, 20).await;
    take(&base, &to).unwrap();
    Backup::existing(&to).unwrap().restore(&data, &mut |_, _| {}).unwrap();
    let again = Backup::existing(&to).unwrap().restore(&data, &mut |_, _| {});
    assert!(matches!(again, Err(BackupError::NotEmpty(_))));
    let log = open(&data.join("log")).unwrap();
    append(&log, 20..40).await;
    let known = log.append(stream("a"), ExpectedRevision::Any, vec![all[0].event.clone()]).await;
    assert_eq!(known.unwrap()[0].position, 1);
    let longer = log.read_all(0, 100).await.unwrap();
    assert_eq!((&longer[..20], longer.len()), (&all[..], 40));
    take(&data.join("log"), &to).unwrap();
    assert_eq!(restored(&to).await, longer);

    let refused = take(&base, &to).unwrap_err();
    assert!(matches!(refused, BackupError::Diverges { position: 40, .. }), "{refused}");
    append(&open(&base).unwrap(), 20..60).await;
    let refused = take(&base, &to).unwrap_err();
    assert!(matches!(refused, BackupError::Diverges { position: 40, .. }), "{refused}");
    assert_eq!(restored(&to).await, longer, "and the backup is what it was");
}

#[tokio::test]
async fn an_empty_log_is_backed_up_and_none_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    assert!(matches!(take(&base, &to), Err(BackupError::NoLog(_))));
    drop(open(&base).unwrap());
    assert_eq!(take(&base, &to).unwrap().head.position, 0);
    assert!(restored(&to).await.is_empty());
    filled(&base, 3).await;
    assert_eq!(take(&base, &to).unwrap().head.position, 3);
}

#[tokio::test]
async fn a_folder_that_holds_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 10).await;
    let before = segment_paths(folder.path());
    let refused = take(folder.path(), folder.path());
    assert!(matches!(refused, Err(BackupError::Foreign(_))));
    assert_eq!(segment_paths(folder.path()), before);
    let to = folder.path().join("backup");
    let held = Backup::open(&to).unwrap();
    assert!(matches!(Backup::open(&to), Err(BackupError::Locked(_))));
    drop(held);
    take(folder.path(), &to).unwrap();
}

#[tokio::test]
async fn compressed_segments_are_backed_up_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    filled(&base, 60).await;
    take(&base, &to).unwrap();
    let plain = pieces(&to, "seg");
    let compressing = || Options { compression: Some(3), ..options() };
    let packed = || {
        let names = std::fs::read_dir(base.join("segments")).unwrap();
        names.filter(|name| name.as_ref().unwrap().path().extension().unwrap() == "segz").count()
    };
    let log = EmbeddedLog::open(&base, compressing()).unwrap();
    while packed() < plain.len() {
        tokio::task::yield_now().await;
    }
    append(&log, 60..100).await;
    drop(log);
    let log = EmbeddedLog::open(&base, compressing()).unwrap();
    while packed() < segment_count(&base) - 1 {
        tokio::task::yield_now().await;
    }
    let all = log.read_all(0, 200).await.unwrap();
    assert_eq!(take(&base, &to).unwrap().head.position, 100);
    assert_eq!(pieces(&to, "seg"), plain, "what the backup has is the same segment");
    assert!(!pieces(&to, "segz").is_empty());
    assert_eq!(restored(&to).await, all);

    let fresh = folder.path().join("fresh");
    take(&base, &fresh).unwrap();
    assert!(pieces(&fresh, "seg").is_empty());
    assert_eq!(restored(&fresh).await, all);
    let again = take(&base, &fresh).unwrap();
    assert_eq!(again.copied, 1);
    for (name, _) in pieces(&fresh, "segz") {
        let path = fresh.join("segments").join(name);
        let whole = std::fs::read(&path).unwrap();
        for offset in (0..whole.len()).step_by(53) {
            let mut bytes = whole.clone();
            bytes[offset] ^= 2;
            std::fs::write(&path, bytes).unwrap();
            let refused = check(&fresh).unwrap_err().to_string();
            assert!(refused.contains(path.to_str().unwrap()), "{refused}");
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(check(&fresh).unwrap(), 100);
}

fn segment_count(base: &Path) -> usize {
    std::fs::read_dir(base.join("segments")).unwrap().count()
}
