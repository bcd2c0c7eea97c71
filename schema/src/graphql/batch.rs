//! Batching within one request: siblings that ask for the same kind of thing share a statement.
//!
//! The executor polls siblings a few at a time, between turns of the scheduler. So the first
//! that asks waits, turn by turn, for as long as others join it, and then fetches for all. No
//! timer is involved: a batch costs a few turns, not a fixed delay.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::error::ApiResult;

type Found<K, V> = Arc<HashMap<K, V>>;
type Pending<K, V> = Shared<BoxFuture<'static, ApiResult<Found<K, V>>>>;
type Fetch<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, ApiResult<HashMap<K, V>>> + Send + Sync;

/// A batch leaves when no key has joined for so many turns. In a turn it may be polled before
/// the siblings that join in it, so one is not enough.
const QUIET_TURNS: usize = 2;

struct State<K, V> {
    /// Every key that this request asked for, with the batch that answers it.
    asked: HashMap<K, Pending<K, V>>,
    /// Asked for since the last batch left.
    wanted: Vec<K>,
    /// The batch that `wanted` will leave with.
    open: Option<Pending<K, V>>,
}

impl<K, V> Default for State<K, V> {
    fn default() -> Self {
        Self { asked: HashMap::new(), wanted: Vec::new(), open: None }
    }
}

/// Loads values by key, those asked for together in one fetch and each only once a request.
pub struct Batch<K, V> {
    state: Arc<Mutex<State<K, V>>>,
    fetch: Arc<Fetch<K, V>>,
}

impl<K, V> Batch<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// `fetch` answers the keys that exist; the others count as absent.
    pub fn new<F>(fetch: F) -> Self
    where
        F: Fn(Vec<K>) -> BoxFuture<'static, ApiResult<HashMap<K, V>>> + Send + Sync + 'static,
    {
        Self { state: Arc::default(), fetch: Arc::new(fetch) }
    }

    /// The value of `key`, or `None` where there is none.
    pub async fn load(&self, key: K) -> ApiResult<Option<V>> {
        let pending = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match state.asked.get(&key) {
                Some(pending) => pending.clone(),
                None => {
                    let pending = state.open.get_or_insert_with(|| self.next_batch()).clone();
                    state.wanted.push(key.clone());
                    state.asked.insert(key.clone(), pending.clone());
                    pending
                }
            }
        };
        Ok(pending.await?.get(&key).cloned())
    }

    /// Forgets what was loaded, for what was just changed.
    pub fn forget(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    fn next_batch(&self) -> Pending<K, V> {
        let (state, fetch) = (self.state.clone(), self.fetch.clone());
        async move {
            let (mut known, mut quiet) = (0, 0);
            while quiet < QUIET_TURNS {
                tokio::task::yield_now().await;
                let wanted = state.lock().unwrap_or_else(PoisonError::into_inner).wanted.len();
                quiet = if wanted == known { quiet + 1 } else { 0 };
                known = wanted;
            }
            let keys = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.open = None;
                std::mem::take(&mut state.wanted)
            };
            Ok(Arc::new(fetch(keys).await?))
        }
        .boxed()
        .shared()
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ApiError;
    use super::*;
    use futures::future::join_all;

    fn doubling(batches: Arc<Mutex<Vec<usize>>>) -> Batch<u32, u32> {
        Batch::new(move |keys: Vec<u32>| {
            batches.lock().unwrap().push(keys.len());
            async move {
                tokio::task::yield_now().await;
                Ok(keys.into_iter().filter(|key| *key < 100).map(|key| (key, key * 2)).collect())
            }
            .boxed()
        })
    }

    #[tokio::test]
    async fn siblings_share_one_fetch() {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let batch = doubling(batches.clone());
        let answers = join_all((0..80).map(|key| batch.load(key % 40))).await;
        assert_eq!(answers[41].as_ref().unwrap(), &Some(2));
        assert_eq!(*batches.lock().unwrap(), [40]);
    }

    #[tokio::test]
    async fn what_is_known_is_not_fetched_again_until_forgotten() {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let batch = doubling(batches.clone());
        assert_eq!(batch.load(100).await.unwrap(), None);
        assert_eq!(batch.load(100).await.unwrap(), None);
        assert_eq!(*batches.lock().unwrap(), [1]);
        batch.forget();
        assert_eq!(batch.load(3).await.unwrap(), Some(6));
        assert_eq!(*batches.lock().unwrap(), [1, 1]);
    }

    #[tokio::test]
    async fn a_failed_fetch_fails_all_who_wait() {
        let batch: Batch<u32, u32> =
            Batch::new(|_| async { Err(ApiError::invalid("x", "no")) }.boxed());
        let answers = join_all([batch.load(1), batch.load(2)]).await;
        assert!(answers.iter().all(Result::is_err));
    }
}
