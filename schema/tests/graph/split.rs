//! PR-1 for any history: how events are batched does not show, nor how often they come, nor whether
//! the next ones are known before.

use proptest::prelude::*;
use schema::executor::Batch;
use schema::{ContentHash, Graph};

use crate::history::{History, id_at};
use crate::steps::{Step, step};

fn told(steps: Vec<Step>) -> History {
    let mut history = History::default();
    for Step { second, event_type, data, cause } in steps {
        history.push(second, event_type, data);
        let recorded = history.0.last_mut().unwrap();
        let cause = cause.map(|cause| id_at(1 + cause as u64 % recorded.position));
        recorded.event.causation_id = cause.filter(|cause| *cause != recorded.event.id);
    }
    history
}

async fn hash_of(history: &History, batches: &[usize], ahead: bool) -> ContentHash {
    let graph = Graph::open("mem://").await.unwrap();
    let mut sizes = batches.iter().cycle();
    let mut rest = history.0.as_slice();
    let mut cut = || {
        let (batch, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = behind;
        Batch::new(batch.to_vec())
    };
    let (mut batch, mut done) = (cut(), 0);
    while !batch.is_empty() {
        let next = cut();
        graph.apply_before(&batch, ahead.then_some(&next)).await.unwrap();
        done += batch.len();
        // PR-3: again, with all that came before.
        graph.apply(&history.0[..done]).await.unwrap();
        batch = next;
    }
    graph.content_hash().await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_split_into_batches_makes_the_same_graph(
        steps in prop::collection::vec(step(), 1..80),
        batches in prop::collection::vec(1..20usize, 1..6),
    ) {
        let history = told(steps);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (whole, split, ahead) = runtime.block_on(async {
            (
                hash_of(&history, &[usize::MAX], false).await,
                hash_of(&history, &batches, false).await,
                hash_of(&history, &batches, true).await,
            )
        });
        prop_assert_eq!(whole, split);
        prop_assert_eq!(whole, ahead);
    }
}
