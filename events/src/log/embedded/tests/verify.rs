//! What a log that was altered behind its back is found out by.

use super::*;
use crate::log::{ChainHash, ReadError, Restore, Verified, Walked};

fn verify(folder: &Path) -> (Verified, Vec<Walked>) {
    let log = open(folder).unwrap();
    let mut walked = Vec::new();
    let verified = log.verify(&mut |group| walked.push(group)).unwrap();
    (verified, walked)
}

#[tokio::test]
async fn a_sound_log_names_its_head_and_the_hash_of_every_group() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let (verified, walked) = verify(folder.path());
    assert_eq!((verified.position, verified.streams), (60, 2));
    assert!(verified.segments > 3);
    assert_eq!(walked.last().map(|last| last.chain), Some(verified.chain));
    assert!(walked.iter().map(|group| group.position).eq(1..=60));
    assert_eq!(verified.chain.to_string().parse::<ChainHash>(), Ok(verified.chain));

    // The hash of a position stays what it was when more is appended.
    let log = open(folder.path()).unwrap();
    log.append(stream("a"), ExpectedRevision::Any, vec![discovered("more")]).await.unwrap();
    drop(log);
    let (_, longer) = verify(folder.path());
    assert_eq!(longer[..60], walked);
}

#[tokio::test]
async fn an_empty_log_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (verified, walked) = verify(folder.path());
    assert_eq!((verified.position, verified.streams, walked.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_byte_altered_in_a_full_segment_is_found_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let path = segment_paths(folder.path()).remove(1);
    let mut bytes = std::fs::read(&path).unwrap();
    let (start, _) = frames(&bytes)[2];
    bytes[start + 70] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    // Opening passes over full segments that the index knows; verifying does not.
    let log = open(folder.path()).unwrap();
    let Err(ReadError::Damaged { place, .. }) = log.verify(&mut |_| ()) else {
        panic!("the alteration was not found");
    };
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(place.contains(name) && place.ends_with(&format!("offset {start}")), "{place}");
}

#[tokio::test]
async fn an_index_that_finds_less_than_the_log_has_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let history = filled(folder.path(), 60).await;
    let shorter = tempfile::tempdir().unwrap();
    let log = open(shorter.path()).unwrap();
    log.restore(history[..59].to_vec()).await.unwrap();
    let verified = log.verify(&mut |_| ()).unwrap();
    assert_eq!(verified.position, 59);

    // One entry lost behind the log's back.
    let log = open(folder.path()).unwrap();
    {
        let index = log.index.read().unwrap();
        index.as_ref().unwrap().forget(history[30].event.id).unwrap();
    }
    let Err(ReadError::Damaged { place, what }) = log.verify(&mut |_| ()) else {
        panic!("the lost entry was not found");
    };
    assert_eq!(place, "the index");
    assert!(what.contains(&history[30].event.id.to_string()), "{what}");
}

#[test]
fn a_text_that_is_no_hash_is_refused() {
    for wrong in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
        assert!(wrong.parse::<ChainHash>().is_err(), "{wrong}");
    }
}

/// Whether a log that is sound by itself still contains a head that was published.
fn contains(folder: &Path, published: Walked) -> bool {
    verify(folder).1.contains(&published)
}

/// Removes the last frame from the end of a segment file, and the seal.
fn cut_last_frame(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let (start, _) = *frames(&bytes).last().unwrap();
    bytes[start..].fill(0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_tail_that_was_cut_off_lacks_the_published_head() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let published = *verify(folder.path()).1.last().unwrap();
    assert!(contains(folder.path(), published));
    // Whoever can write the log can delete its index too: then it opens as if it had been torn.
    delete_index(folder.path());
    cut_last_frame(&segment_paths(folder.path()).pop().unwrap());
    assert!(!contains(folder.path(), published));
}

#[tokio::test]
async fn whole_segments_that_were_dropped_lack_the_published_head() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let published = *verify(folder.path()).1.last().unwrap();
    delete_index(folder.path());
    std::fs::remove_file(segment_paths(folder.path()).pop().unwrap()).unwrap();
    assert!(matches!(open(folder.path()).map(drop), Err(OpenError::Damaged { .. })));
    // Even with the seal taken off that says that a segment follows.
    cut_last_frame(&segment_paths(folder.path()).pop().unwrap());
    assert!(!contains(folder.path(), published));
}

#[tokio::test]
async fn a_history_with_an_event_put_in_or_altered_has_other_hashes_from_there_on() {
    let folder = tempfile::tempdir().unwrap();
    let history = filled(folder.path(), 60).await;
    let published = verify(folder.path()).1;
    // The same events at the same times, every checksum and hash computed anew.
    let forge = async |events: Vec<RecordedEvent>| {
        let forged = tempfile::tempdir().unwrap();
        let log = open(forged.path()).unwrap();
        for event in events {
            log.restore(vec![event]).await.unwrap();
        }
        drop(log);
        verify(forged.path()).1
    };
    assert_eq!(forge(history.clone()).await, published, "the hash is of the history alone");

    let mut altered = history.clone();
    altered[30].event.source = Line::clipped("/someone/else");
    let forged = forge(altered).await;
    assert_eq!(forged[..30], published[..30]);
    assert!(forged[30..].iter().zip(&published[30..]).all(|(forged, was)| forged != was));

    let mut inserted = history[..30].to_vec();
    inserted.push(RecordedEvent {
        event: discovered("inserted"),
        stream: stream("of-its-own"),
        revision: 0,
        ..history[30].clone()
    });
    inserted.extend(
        history[30..]
            .iter()
            .cloned()
            .map(|event| RecordedEvent { position: event.position + 1, ..event }),
    );
    let forged = forge(inserted).await;
    assert_eq!(forged[..30], published[..30]);
    assert!(published[30..].iter().all(|was| !forged.contains(was)));
}
