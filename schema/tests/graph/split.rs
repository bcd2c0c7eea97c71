//! PR-1 for any history: how events are batched does not show, nor how often they come.

use proptest::prelude::*;
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

async fn hash_of(history: &History, batches: &[usize]) -> ContentHash {
    let graph = Graph::open("mem://").await.unwrap();
    let mut rest = history.0.as_slice();
    for size in batches.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, behind) = rest.split_at(rest.len().min(*size));
        graph.apply(batch).await.unwrap();
        // PR-3: again, with all that came before.
        graph.apply(&history.0[..history.0.len() - behind.len()]).await.unwrap();
        rest = behind;
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
        let (whole, split) = runtime.block_on(async {
            (hash_of(&history, &[usize::MAX]).await, hash_of(&history, &batches).await)
        });
        prop_assert_eq!(whole, split);
    }
}
