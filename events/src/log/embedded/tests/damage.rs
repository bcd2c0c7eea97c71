//! EL-6: damage to acknowledged history is an error that names the place.

use super::*;

/// The place and the reason of a refusal to open.
fn refusal(folder: &Path) -> (String, String) {
    match open(folder).map(drop) {
        Err(OpenError::Damaged { place, what }) => (place, what),
        other => panic!("expected damage, got {other:?}"),
    }
}

fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_the_last_segment_is_refused_with_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let path = segment_paths(folder.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for (start, end) in frames(&whole) {
        for (step, byte) in (start..end).step_by(13).enumerate() {
            overwrite(&path, |bytes| bytes[byte] ^= 1 << (step % 8));
            let (place, _) = refusal(folder.path());
            assert_eq!(place, format!("{} at offset {start}", path.display()), "byte {byte}");
            std::fs::write(&path, &whole).unwrap();
        }
    }
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_a_full_segment_is_an_error_to_whoever_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 40).await;
    let path = segment_paths(folder.path()).remove(0);
    let (start, _) = frames(&std::fs::read(&path).unwrap())[2];
    let record = start + frame::FRAME_BYTES;
    overwrite(&path, |bytes| bytes[record + 70] ^= 0x10);

    let log = open(folder.path()).unwrap();
    let place = format!("{} at offset {record}", path.display());
    let named = |error: &ReadError| error.to_string().contains(&place);
    assert!(log.read_all(0, 40).await.is_err_and(|error| named(&error)));
    assert!(log.find(all[2].event.id).await.is_err_and(|error| named(&error)));
    assert_eq!(log.read_all(0, 2).await.unwrap(), all[..2]);
    assert_eq!(log.read_all(3, 40).await.unwrap(), all[3..]);
    let mut subscription = log.subscribe(2);
    let next = futures::StreamExt::next(&mut subscription).await.unwrap();
    assert!(next.is_err_and(|error| named(&error)));
    assert!(futures::StreamExt::next(&mut subscription).await.is_none());
    drop(log);

    delete_index(folder.path());
    let (place, _) = refusal(folder.path());
    assert_eq!(place, format!("{} at offset {start}", path.display()));
}

#[tokio::test]
async fn damage_before_a_valid_frame_is_refused_without_an_index_too() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let path = segment_paths(folder.path()).pop().unwrap();
    let (start, end) = frames(&std::fs::read(&path).unwrap())[1];
    for damage in [
        |bytes: &mut [u8]| bytes.fill(0),
        |bytes: &mut [u8]| bytes.fill(0xff),
        |bytes: &mut [u8]| bytes[..4].fill(0),
        |bytes: &mut [u8]| bytes[1] ^= 0x7f,
    ] {
        let whole = std::fs::read(&path).unwrap();
        delete_index(folder.path());
        overwrite(&path, |bytes| damage(&mut bytes[start..end]));
        let (place, what) = refusal(folder.path());
        assert_eq!(place, format!("{} at offset {start}", path.display()));
        assert!(what.contains("valid frames follow"), "{what}");
        std::fs::write(&path, &whole).unwrap();
    }
}

#[tokio::test]
async fn an_acknowledged_tail_that_is_gone_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let path = segment_paths(folder.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let (start, end) = *frames(&whole).last().unwrap();
    let place = format!("{} at offset {start}", path.display());

    overwrite(&path, |bytes| bytes[start..end].fill(0));
    let (zeroed, what) = refusal(folder.path());
    assert_eq!(zeroed, place);
    assert!(what.contains("positions 3 to 3 were acknowledged"), "{what}");
    std::fs::write(&path, &whole[..end - 1]).unwrap();
    assert_eq!(refusal(folder.path()).0, place);
    std::fs::write(&path, &whole[..start]).unwrap();
    assert_eq!(refusal(folder.path()).0, place);
}

#[tokio::test]
async fn a_missing_segment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 60).await;
    let paths = segment_paths(folder.path());
    assert!(paths.len() >= 4);
    let aside = folder.path().join("aside");
    for with_index in [true, false] {
        for missing in [0, 1, paths.len() - 2, paths.len() - 1] {
            std::fs::rename(&paths[missing], &aside).unwrap();
            if !with_index {
                let _ = std::fs::remove_dir_all(folder.path().join("index"));
            }
            let (place, what) = refusal(folder.path());
            assert!(what.contains("missing"), "{what}");
            let neighbour = if missing + 1 < paths.len() { missing + 1 } else { missing - 1 };
            assert!(place.contains(paths[neighbour].to_str().unwrap()), "{place}");
            std::fs::rename(&aside, &paths[missing]).unwrap();
        }
    }
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn all_segments_missing_is_refused_when_the_index_knows_better() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    std::fs::remove_file(&segment_paths(folder.path())[0]).unwrap();
    let (_, what) = refusal(folder.path());
    assert!(what.contains("positions 1 to 3 were acknowledged"), "{what}");
}

#[tokio::test]
async fn an_extra_segment_is_refused_and_an_unfinished_one_removed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let paths = segment_paths(folder.path());
    let extra = folder.path().join("segments").join(segment::file_name(40));
    let unfinished = extra.with_extension("seg.tmp");
    std::fs::copy(&paths[0], &unfinished).unwrap();
    open(folder.path()).unwrap();
    assert!(!unfinished.exists());
    std::fs::copy(&paths[0], &extra).unwrap();
    let (place, what) = refusal(folder.path());
    assert!(place.contains(extra.to_str().unwrap()), "{place}: {what}");
}

#[tokio::test]
async fn a_history_other_than_the_index_saw_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(folder.path(), 3).await;
    filled(other.path(), 3).await;
    std::fs::copy(&segment_paths(other.path())[0], &segment_paths(folder.path())[0]).unwrap();
    let (_, what) = refusal(folder.path());
    assert!(what.contains("not the one that the index was made from"), "{what}");
}

#[tokio::test]
async fn a_segment_of_another_log_is_refused_even_when_its_positions_fit() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(folder.path(), 60).await;
    filled(other.path(), 60).await;
    let (here, there) = (segment_paths(folder.path()), segment_paths(other.path()));
    assert_eq!(here[1].file_name(), there[1].file_name(), "the same events fill the same segments");
    std::fs::copy(&there[1], &here[1]).unwrap();
    delete_index(folder.path());
    let (place, what) = refusal(folder.path());
    assert!(place.contains(here[1].to_str().unwrap()), "{place}");
    assert!(what.contains("hash chain"), "{what}");
}

#[tokio::test]
async fn a_header_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let path = segment_paths(folder.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for byte in 0..frame::HEADER_BYTES {
        overwrite(&path, |bytes| bytes[byte] ^= 1);
        assert_eq!(refusal(folder.path()).0, format!("{} at offset 0", path.display()));
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::write(&path, &whole[..frame::HEADER_BYTES - 1]).unwrap();
    assert!(refusal(folder.path()).1.contains("shorter than a segment header"));

    let mut header: [u8; frame::HEADER_BYTES] = *whole.first_chunk().unwrap();
    header[8] = 9;
    let crc = crc32c::crc32c(&header[..64]);
    header[64..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, header).unwrap();
    let newer = open(folder.path()).map(drop);
    assert!(
        matches!(&newer, Err(OpenError::UnsupportedVersion { found: 9, file }) if *file == path.display().to_string()),
        "{newer:?}"
    );
}

#[tokio::test]
async fn a_deleted_or_damaged_index_is_rebuilt_with_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 60).await;
    let answers = |log: EmbeddedLog| {
        let last = all[59].event.clone();
        async move {
            let mut answers = log.read_all(0, 100).await.unwrap();
            for name in ["a", "ab", "abc"] {
                answers.extend(log.read_stream(stream(name), 0, 100).await.unwrap());
            }
            answers.extend(log.find(last.id).await.unwrap());
            let at = log.append(stream("ab"), ExpectedRevision::NoStream, vec![last]).await;
            (answers, at.unwrap())
        }
    };
    let before = answers(open(folder.path()).unwrap()).await;
    assert_eq!(before.0[..60], all);
    assert_eq!(before.0.len(), 121);

    delete_index(folder.path());
    assert_eq!(answers(open(folder.path()).unwrap()).await, before);

    let offsets = folder.path().join("index/offsets");
    std::fs::remove_dir_all(&offsets).unwrap();
    assert_eq!(answers(open(folder.path()).unwrap()).await, before);

    let entries = folder.path().join("index/entries");
    for entry in std::fs::read_dir(&entries).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_none_or(|name| name != "lock") {
            std::fs::write(path, b"not what was here").unwrap();
        }
    }
    assert_eq!(answers(open(folder.path()).unwrap()).await, before);
}
