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
