//! EL-6: a crash in the middle of a group: whatever bytes of it reached the disk, everything before
//! is kept and the next append goes on.

use super::recovery::Recovered;
use super::*;

/// A log folder with a last group, and its last segment without the index knowing that group.
struct Torn {
    folder: TempDir,
    kept: Vec<RecordedEvent>,
    segment: PathBuf,
    whole: Vec<u8>,
    last_frame: (usize, usize),
    /// Opened once: recovery is told that it has applied nothing.
    index: Index,
}

impl Torn {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = filled(folder.path(), 3).await;
        kept.pop();
        let segment = segment_paths(folder.path()).pop().unwrap();
        let whole = std::fs::read(&segment).unwrap();
        let last_frame = *frames(&whole).last().unwrap();
        // The index is derived: without it nothing is known to be acknowledged.
        delete_index(folder.path());
        let index = Index::in_memory(Default::default());
        Self { folder, kept, segment, whole, last_frame, index }
    }

    /// What recovery makes of `bytes` as the last segment.
    fn recover(&self, bytes: &[u8]) -> Result<Recovered, OpenError> {
        std::fs::write(&self.segment, bytes).unwrap();
        let storage: Arc<dyn Storage> =
            Arc::new(Folder::create(&self.folder.path().join("segments")).unwrap());
        Recovery {
            storage: &storage,
            offsets: &storage,
            index: &self.index,
            applied: index::Applied::START,
            options: &options(),
        }
        .run()
    }

    fn assert_dropped(&self, bytes: &[u8], what: &str) {
        let recovered = self.recover(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(recovered.head, 2, "{what}");
        assert_eq!(recovered.end, self.last_frame.0 as u64, "{what}");
        let left = std::fs::read(&self.segment).unwrap();
        let (kept, tail) = left.split_at(self.last_frame.0.min(left.len()));
        assert_eq!(kept, &self.whole[..kept.len()], "{what}");
        assert!(tail.iter().all(|byte| *byte == 0), "{what}: bytes of the torn group are left");
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_of_the_last_frame_loses_that_frame_only() {
    let torn = Torn::new().await;
    let (start, end) = torn.last_frame;
    for cut in start..end {
        torn.assert_dropped(&torn.whole[..cut], &format!("cut at {cut}"));
    }
    let whole = torn.recover(&torn.whole).unwrap();
    assert_eq!(whole.head, 3);
}

#[tokio::test]
async fn a_frame_with_any_part_unwritten_is_dropped() {
    let torn = Torn::new().await;
    let (start, end) = torn.last_frame;
    for cut in start..end {
        let mut only_the_beginning = torn.whole.clone();
        only_the_beginning[cut..end].fill(0);
        torn.assert_dropped(&only_the_beginning, &format!("zeros from {cut}"));
        if cut > start && torn.whole[start..cut].iter().any(|byte| *byte != 0) {
            let mut only_the_end = torn.whole.clone();
            only_the_end[start..cut].fill(0);
            torn.assert_dropped(&only_the_end, &format!("zeros up to {cut}"));
        }
    }
}

#[tokio::test]
async fn appending_goes_on_behind_a_dropped_tail() {
    let torn = Torn::new().await;
    let cut = torn.last_frame.1 - 5;
    std::fs::write(&torn.segment, &torn.whole[..cut]).unwrap();
    let log = open(torn.folder.path()).unwrap();
    assert_eq!(log.read_all(0, 10).await.unwrap(), torn.kept);
    let again = discovered("again");
    let at = log.append(stream("a"), ExpectedRevision::Any, vec![again.clone()]).await.unwrap();
    assert_eq!(at[0].position, 3);
    drop(log);
    let log = open(torn.folder.path()).unwrap();
    assert_eq!(log.read_all(2, 10).await.unwrap()[0].event, again);
}

#[tokio::test]
async fn a_payload_cannot_pass_for_a_frame() {
    let torn = Torn::new().await;
    let (start, end) = torn.last_frame;
    // A frame that would be valid in a segment of another salt, as an event could carry it.
    let foreign = frame::seal(1, 4, &frame::CHAIN_START);
    let mut bytes = torn.whole.clone();
    bytes[end - 1] ^= 1;
    bytes[end..end + foreign.len()].copy_from_slice(&foreign);
    torn.assert_dropped(&bytes, "a foreign frame follows");
    let header = frame::Header::decode(bytes.first_chunk().unwrap()).unwrap();
    let own = frame::seal(header.salt, 4, &frame::CHAIN_START);
    bytes[start..end].copy_from_slice(&torn.whole[start..end]);
    bytes[end - 1] ^= 1;
    bytes[end..end + own.len()].copy_from_slice(&own);
    let refusal = torn.recover(&bytes).map(drop).unwrap_err().to_string();
    assert!(refusal.contains("valid frames follow"), "{refusal}");
    assert!(refusal.contains(&format!("at offset {start}")), "{refusal}");
}
