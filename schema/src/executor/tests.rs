//! What the store, other writers and other versions can do to a batch.

use std::sync::Arc;

use events::value::Line;
use events::{Event, EventData, EventId, RecordedEvent, Timestamp};
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::*;
use crate::lease::{FenceError, Tenure};

fn described(position: u64, component: &str, owner: &str) -> RecordedEvent {
    let data = json!({"component": component, "owner": owner});
    let data = EventData::from_json("io.faultline.component.described.v1", data).unwrap();
    let id = EventId(Uuid::from_u128(position.into()));
    let event = Event::with_id(id, Line::clipped("/test"), Timestamp::UNIX_EPOCH, data);
    RecordedEvent {
        stream: event.data.stream(),
        event,
        revision: 0,
        position,
        recorded_at: Timestamp::UNIX_EPOCH,
        pruned: None,
    }
}

async fn run(graph: &Graph, statement: &str) {
    graph.db.query(statement).await.unwrap().check().unwrap();
}

async fn owners(graph: &Graph) -> Vec<String> {
    let mut response = graph.db.query("SELECT VALUE owner FROM component").await.unwrap();
    response.take(0).unwrap()
}

/// Another writer of the same store, at the checkpoint that the first one has now.
async fn another_writer(graph: &Graph) -> Graph {
    let checkpoint = Mutex::new(graph.checkpoint().await);
    let alive = tokio::sync::watch::Sender::new(());
    let index = crate::index::Index::of(&graph.db);
    let tenure = graph.tenure().number().into();
    let (db, ahead) = (graph.db.clone(), Ahead::default());
    Graph { db, checkpoint, ahead, alive, index, tenure, generation: 1 }
}

#[tokio::test]
async fn an_event_that_the_store_refuses_is_set_aside_alone() {
    let graph = Graph::open("mem://").await.unwrap();
    run(
        &graph,
        "DEFINE FIELD OVERWRITE owner ON component TYPE option<string> ASSERT $value != 'nobody'",
    )
    .await;
    let batch: Vec<_> = [(1, "a", "ada"), (2, "b", "nobody"), (3, "c", "grace"), (4, "d", "ida")]
        .map(|(position, component, owner)| described(position, component, owner))
        .into();
    let applied = graph.apply(&batch).await.unwrap();
    assert_eq!(applied, Applied { applied: 4, set_aside: 1 });
    assert_eq!(owners(&graph).await, ["ada", "grace", "ida"]);
    assert_eq!(graph.checkpoint().await.position, 4);
    let listed = graph.set_aside(0, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].position, listed[0].code.as_str()), (2, "refused_by_store"));
}

fn caused(position: u64, component: &str, owner: &str) -> RecordedEvent {
    let mut recorded = described(position, component, owner);
    recorded.event.causation_id = Some(EventId(Uuid::from_u128(1)));
    recorded
}

#[tokio::test]
async fn parts_are_the_same_graph_and_are_taken_back_when_one_is_refused() {
    let taken = [described(1, "a", "ada"), caused(2, "b", "grace")];
    let refused = [caused(3, "a", "ida"), caused(4, "c", "nobody"), caused(5, "d", "joan")];
    let assertion =
        "DEFINE FIELD OVERWRITE owner ON component TYPE option<string> ASSERT $value != 'nobody'";
    let (graph, whole) =
        (Graph::open("mem://").await.unwrap(), Graph::open("mem://").await.unwrap());
    for graph in [&graph, &whole] {
        run(graph, assertion).await;
    }
    let applied = graph.apply_at_once(&taken).await.unwrap();
    assert_eq!(applied, Some(Applied { applied: 2, set_aside: 0 }));
    let before = graph.content_hash().await.unwrap();
    assert_eq!(graph.apply_at_once(&refused).await.unwrap(), None);
    assert_eq!(graph.content_hash().await.unwrap(), before);

    let applied = graph.apply_unread(&refused).await.unwrap();
    assert_eq!(applied, Applied { applied: 3, set_aside: 1 });
    whole.apply(&taken).await.unwrap();
    whole.apply(&refused).await.unwrap();
    assert_eq!(graph.content_hash().await.unwrap(), whole.content_hash().await.unwrap());
}

#[tokio::test]
async fn the_next_batch_is_folded_on_rows_that_are_still_to_be_written() {
    let graph = Graph::open("mem://").await.unwrap();
    let first = [described(1, "a", "ada"), described(2, "b", "bea")];
    let next = Batch::new(vec![described(3, "a", "grace"), described(4, "c", "ida")]);
    graph.apply_before(&first, Some(&next)).await.unwrap();
    assert!(graph.ahead.take(1, &next).await.is_none(), "it is of another place");

    let other = Graph::open("mem://").await.unwrap();
    other.apply_before(&first, Some(&next)).await.unwrap();
    let folded = other.ahead.take(2, &next).await.expect("folded ahead");
    let former: Vec<_> = folded.rows.former().iter().map(|former| former.superseded).collect();
    assert_eq!(former, [3], "what the first batch said of one row");

    graph.apply(&next).await.unwrap();
    graph.apply_before(&[described(5, "b", "joan")], None).await.unwrap();
    assert_eq!(owners(&graph).await, ["grace", "joan", "ida"]);
}

#[tokio::test]
async fn what_was_folded_ahead_of_a_batch_that_is_refused_is_folded_anew() {
    let assertion =
        "DEFINE FIELD OVERWRITE owner ON component TYPE option<string> ASSERT $value != 'nobody'";
    let first = [described(1, "a", "ada"), described(2, "b", "nobody")];
    let next = Batch::new(vec![described(3, "b", "grace"), described(4, "a", "ida")]);
    let (ahead, alone) =
        (Graph::open("mem://").await.unwrap(), Graph::open("mem://").await.unwrap());
    for graph in [&ahead, &alone] {
        run(graph, assertion).await;
    }
    let applied = ahead.apply_before(&first, Some(&next)).await.unwrap();
    assert_eq!(applied, Applied { applied: 2, set_aside: 1 });
    ahead.apply(&next).await.unwrap();
    for event in first.iter().chain(&*next) {
        alone.apply(std::slice::from_ref(event)).await.unwrap();
    }
    assert_eq!(ahead.content_hash().await.unwrap(), alone.content_hash().await.unwrap());
}

#[tokio::test]
async fn parts_take_nothing_back_that_another_writer_committed() {
    let graph = Graph::open("mem://").await.unwrap();
    let other = another_writer(&graph).await;
    let history = [described(1, "a", "ada"), caused(2, "b", "grace")];
    other.apply(&history).await.unwrap();
    let before = other.content_hash().await.unwrap();
    let moved = graph.apply_unread(&history).await.unwrap_err();
    assert!(matches!(moved, ApplyError::Moved { expected: 0 }), "{moved:?}");
    assert_eq!(graph.content_hash().await.unwrap(), before);
}

#[tokio::test]
async fn a_writer_that_was_overtaken_skips_what_the_other_wrote() {
    let graph = Graph::open("mem://").await.unwrap();
    let other = another_writer(&graph).await;
    let history = [described(1, "a", "ada"), described(2, "b", "grace")];
    graph.apply(&history[..1]).await.unwrap();
    let applied = other.apply(&history).await.unwrap();
    assert_eq!(applied, Applied { applied: 1, set_aside: 0 });
    assert_eq!(owners(&graph).await, ["ada", "grace"]);
    assert_eq!(graph.apply(&history).await.unwrap(), Applied::default());
    assert_eq!(graph.checkpoint().await, other.checkpoint().await);
}

/// A store that fails is tried again; what is no checkpoint would be none again.
#[tokio::test]
async fn an_overtaken_writer_tells_a_failing_store_from_a_foreign_checkpoint() {
    let graph = Graph::open("mem://").await.unwrap();
    run(&graph, "UPSERT checkpoint:graph SET position = 5, event = 'none', projection = 1").await;
    let foreign = graph.apply(&[described(1, "a", "ada")]).await.unwrap_err();
    assert!(matches!(foreign, ApplyError::Foreign { .. }), "{foreign:?}");
    let source = Box::new(surrealdb::Error::internal("the connection is gone".to_owned()));
    let error = OpenError::Store { url: "mem://".to_owned(), source };
    assert!(matches!(unreadable(error, 3), ApplyError::Store { position: 3, .. }));
}

#[tokio::test]
async fn writers_in_each_others_way_lose_nothing() {
    let graph = Arc::new(Graph::open("mem://").await.unwrap());
    let other = Arc::new(another_writer(&graph).await);
    let history: Arc<Vec<_>> =
        Arc::new((1..=20).map(|n| described(n, &format!("c{n}"), "ada")).collect());
    let writers = [graph.clone(), other].map(|writer| {
        let history = history.clone();
        tokio::spawn(async move {
            for end in 1..=history.len() {
                // Behind the other, or in its way more often than is tried: the next one mends it.
                let _ = writer.apply(&history[..end]).await;
            }
            writer.apply(&history).await.unwrap();
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let alone = Graph::open("mem://").await.unwrap();
    alone.apply(&history).await.unwrap();
    assert_eq!(graph.content_hash().await.unwrap(), alone.content_hash().await.unwrap());
}

#[tokio::test]
async fn a_graph_of_other_projections_or_definitions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let url = format!("surrealkv://{}", path.display());
    for (statement, expected) in [
        ("UPDATE checkpoint:graph SET projection = 9999", "projection"),
        ("UPDATE migration:1 SET digest = 'other'", "migration"),
    ] {
        let _ = std::fs::remove_dir_all(&path);
        let graph = Graph::open(&url).await.unwrap();
        graph.apply(&[described(1, "a", "ada")]).await.unwrap();
        run(&graph, statement).await;
        drop(graph);
        assert!(crate::graph::released(&path, Duration::from_secs(30)).await);
        let error = Graph::open(&url).await.unwrap_err();
        let kind = match &error {
            OpenError::Projection { found: 9999, .. } => "projection",
            OpenError::Migrate { .. } => "migration",
            _ => "other",
        };
        assert_eq!(kind, expected, "{error:?}");
        assert!(error.is_of_another_version());
        assert!(crate::graph::released(&path, Duration::from_secs(30)).await);
    }
}

#[tokio::test]
async fn a_tenure_that_is_over_writes_nothing() {
    let former = Graph::open("mem://").await.unwrap();
    former.fence(Tenure::of(1)).await.unwrap();
    former.apply(&[described(1, "a", "ada")]).await.unwrap();
    let next = another_writer(&former).await;
    assert_eq!(next.fence(Tenure::of(2)).await.unwrap().position, 1);
    let late = former.apply(&[described(2, "b", "bea")]).await;
    assert!(matches!(late, Err(ApplyError::Fenced { position: 1 })), "{late:?}");
    assert_eq!(owners(&next).await, ["ada"]);
    let back = former.fence(Tenure::of(1)).await;
    assert!(matches!(back, Err(FenceError::Over)), "{back:?}");
    next.apply(&[described(2, "b", "grace")]).await.unwrap();
    assert_eq!(owners(&next).await, ["ada", "grace"]);
    let alone = Graph::open("mem://").await.unwrap();
    alone.apply(&[described(1, "a", "ada"), described(2, "b", "grace")]).await.unwrap();
    assert_eq!(next.content_hash().await.unwrap(), alone.content_hash().await.unwrap());
}
