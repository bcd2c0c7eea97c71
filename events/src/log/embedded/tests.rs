//! What the embedded backend promises beyond the conformance suite.

use super::*;
use crate::catalogue::topology::ComponentDiscovered;
use crate::id::ComponentName;
use crate::value::Line;

pub(super) fn discovered(name: &str) -> Event {
    Event::new(
        Line::clipped("/test"),
        Timestamp::UNIX_EPOCH,
        ComponentDiscovered {
            component: ComponentName::new(name).unwrap(),
            discovered_by: Line::clipped("a test"),
        },
    )
}

#[tokio::test]
async fn events_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 4096, ..Options::default() };
    let stream = StreamId::new("s").unwrap();
    let mut all = Vec::new();
    for round in 0..5u64 {
        let log = EmbeddedLog::open(folder.path(), options.clone()).unwrap();
        assert_eq!(log.head(), round * 20);
        for n in 0..20 {
            let event = discovered(&format!("c{round}-{n}"));
            let at = log
                .append(stream.clone(), ExpectedRevision::Any, vec![event.clone()])
                .await
                .unwrap();
            assert_eq!(at[0].revision, round * 20 + n);
            assert_eq!(at[0].position, round * 20 + n + 1);
            all.push(event);
        }
        let read = log.read_all(0, 1000).await.unwrap();
        assert_eq!(read.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), all);
        let read = log.read_stream(stream.clone(), 3, 10).await.unwrap();
        assert_eq!(
            read.iter().map(|r| r.revision).collect::<Vec<_>>(),
            (3..13).collect::<Vec<_>>()
        );
        let found = log.find(all[7].id).await.unwrap().unwrap();
        assert_eq!(found.position, 8);
    }
    let segments = std::fs::read_dir(folder.path().join("segments")).unwrap().count();
    assert!(segments > 3, "{segments} segments");
}
