//! PR-1 to PR-4 over one long history.

use schema::Graph;
use schema::executor::Applied;

use crate::history::{everything, id_at};

#[tokio::test]
async fn rebuilt_equals_incremental_on_both_embedded_stores() {
    let history = everything().0;
    let whole = Graph::open("mem://").await.unwrap();
    whole.apply(&history).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let grown = Graph::open(&url).await.unwrap();
    for event in &history {
        grown.apply(std::slice::from_ref(event)).await.unwrap();
    }
    assert_eq!(grown.content_hash().await.unwrap(), whole.content_hash().await.unwrap());
    assert_eq!(grown.checkpoint().await, whole.checkpoint().await);
}

#[tokio::test]
async fn twice_equals_once() {
    let history = everything().0;
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history).await.unwrap();
    let once = graph.content_hash().await.unwrap();

    assert_eq!(graph.apply(&history).await.unwrap(), Applied::default());
    // A delivery that overlaps what is known and brings something new.
    let (known, last) = history.split_at(history.len() - 1);
    let other = Graph::open("mem://").await.unwrap();
    other.apply(known).await.unwrap();
    assert_ne!(other.content_hash().await.unwrap(), once, "the last event changes something");
    let applied = other.apply(&history).await.unwrap();
    assert_eq!(applied.applied, last.len());
    assert_eq!(other.content_hash().await.unwrap(), once);
    assert_eq!(graph.content_hash().await.unwrap(), once);
}

#[tokio::test]
async fn what_cannot_be_projected_is_listed_and_blocks_nothing() {
    let history = everything().0;
    let graph = Graph::open("mem://").await.unwrap();
    let applied = graph.apply(&history).await.unwrap();
    assert_eq!(applied, Applied { applied: history.len(), set_aside: 2 });
    assert_eq!(graph.checkpoint().await.event, Some(id_at(history.len() as u64)));

    let listed = graph.set_aside(0, 10).await.unwrap();
    let shown: Vec<_> = listed.iter().map(|it| (it.code.as_str(), it.error.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("unknown_row", "diagnosis \"never proposed\" is not known"),
            ("unknown_row", "label \"never given\" is not known"),
        ]
    );
    assert_eq!(listed[0].event_type, "io.faultline.feedback.given.v1");
    assert_eq!(listed[0].event, history[(listed[0].position - 1) as usize].event.id);
    assert_eq!(graph.set_aside_count().await.unwrap(), 2);

    let behind_the_first = graph.set_aside(listed[0].position, 10).await.unwrap();
    assert_eq!(behind_the_first, listed[1..]);
    assert_eq!(graph.set_aside(0, 1).await.unwrap(), listed[..1]);
}
