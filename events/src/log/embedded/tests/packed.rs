//! A full segment that was compressed is the segment that it was.

use super::*;

fn packing() -> Options {
    Options { compression: Some(3), ..options() }
}

fn packed_paths(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("segments")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "segz"));
    paths.sort();
    paths
}

/// A log whose full segments are all compressed; what it holds.
async fn packed(folder: &Path) -> Vec<RecordedEvent> {
    let all = filled(folder, 60).await;
    let log = open(folder).unwrap();
    for segment in log.segments.all().split_last().unwrap().1 {
        log.segments.pack(segment.header.base, 3, &|| false).unwrap();
    }
    drop(log);
    assert_eq!(segment_paths(folder).len(), 1);
    assert!(packed_paths(folder).len() > 2);
    all
}

#[tokio::test]
async fn it_is_read_verified_and_appended_to_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let all = packed(folder.path()).await;
    for with_index in [true, false] {
        if !with_index {
            delete_index(folder.path());
        }
        let log = open(folder.path()).unwrap();
        assert_eq!(log.read_all(0, 100).await.unwrap(), all);
        for recorded in &all {
            assert_eq!(log.find(recorded.event.id).await.unwrap().as_ref(), Some(recorded));
        }
        assert_eq!(log.verify(&mut |_| ()).unwrap().position, 60);
    }
    let log = EmbeddedLog::open(folder.path(), packing()).unwrap();
    log.append(stream("a"), ExpectedRevision::Any, vec![discovered("more")]).await.unwrap();
    assert_eq!(log.head(), 61);
}

#[tokio::test]
async fn full_segments_are_compressed_behind_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 60).await;
    let log = EmbeddedLog::open(folder.path(), packing()).unwrap();
    let only_the_last = || segment_paths(folder.path()).len() == 1;
    let mut more = 0;
    while !only_the_last() || more < 30 {
        let event = discovered(&format!("more-{more}"));
        log.append(stream("a"), ExpectedRevision::Any, vec![event]).await.unwrap();
        assert_eq!(log.read_all(0, 60).await.unwrap(), all);
        more = (more + 1).min(30);
    }
    log.verify(&mut |_| ()).unwrap();
}

#[tokio::test]
async fn a_crash_before_the_original_was_removed_keeps_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 60).await;
    let first = segment_paths(folder.path()).remove(0);
    let copy = std::fs::read(&first).unwrap();
    packed(folder.path()).await;
    std::fs::write(&first, copy).unwrap();
    std::fs::write(first.with_extension("segz.tmp"), b"begun").unwrap();
    let log = open(folder.path()).unwrap();
    assert!(first.exists() && !first.with_extension("segz").exists());
    assert!(!first.with_extension("segz.tmp").exists());
    assert_eq!(log.read_all(0, 60).await.unwrap()[..2], all[..2]);
}

#[tokio::test]
async fn any_altered_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    packed(folder.path()).await;
    let path = packed_paths(folder.path()).remove(1);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, bytes).unwrap();
        let place = match open(folder.path()) {
            Err(OpenError::Damaged { place, .. }) => place,
            Err(other) => panic!("byte {at}: {other}"),
            Ok(log) => match log.verify(&mut |_| ()) {
                Err(ReadError::Damaged { place, .. }) => place,
                other => panic!("byte {at}: {other:?}"),
            },
        };
        assert!(place.contains(path.to_str().unwrap()), "{place}");
    }
}
