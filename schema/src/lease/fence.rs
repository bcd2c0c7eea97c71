//! The tenure beside the checkpoint.
//!
//! Each graph that is shared has a record with the last tenure that writes it. A projection's
//! transaction checks the number and writes the record: it and a new holder's entry are in each
//! other's way, whichever way the store orders them, and only one of them commits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use surrealdb::types::{Object, Value};

use super::Tenure;
use crate::graph::{Checkpoint, Graph, OpenError, is_conflict, made};

/// Before an entry that met a transaction of the holder before is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// What a transaction throws whose tenure is over.
pub(crate) const OVER: &str = "the tenure is over";

/// Why the graph was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// A later tenure writes the graph.
    #[error("the lease was lost before the graph was taken over")]
    Over,
    /// The store failed.
    #[error("the graph could not be taken over")]
    Store(#[from] Box<surrealdb::Error>),
    /// What the one before left behind is not known.
    #[error("the checkpoint of the holder before could not be read")]
    Checkpoint(#[from] OpenError),
}

/// The statements of a transaction of `tenure` that moves the checkpoint to `$behind`.
pub(crate) fn statements(tenure: Tenure) -> Option<[String; 2]> {
    tenure.is_shared().then(|| {
        [
            format!(
                "IF ((SELECT VALUE tenure FROM ONLY fence:graph) ?? 0) != $tenure \
                 {{ THROW '{OVER}' }}"
            ),
            "UPDATE fence:graph SET position = $behind.position RETURN NONE".to_owned(),
        ]
    })
}

impl Graph {
    /// From now on the graph is written under `tenure` and no earlier one; answers where the one
    /// before left it. Whoever asks bounds it by the lease: it takes as long as others write.
    pub(crate) async fn fence(&self, tenure: Tenure) -> Result<Checkpoint, FenceError> {
        let mut checkpoint = self.checkpoint.lock().await;
        made(
            &self.db,
            "DEFINE TABLE IF NOT EXISTS fence TYPE NORMAL SCHEMALESS; \
             INSERT IGNORE INTO fence { id: fence:graph, tenure: 0, position: 0 } RETURN NONE",
        )
        .await
        .map_err(Box::new)?;
        let mut binds = Object::new();
        binds.insert("tenure", tenure.stored());
        let text = "UPDATE fence:graph SET tenure = $tenure WHERE tenure <= $tenure RETURN tenure";
        let entered: Vec<Value> = loop {
            let asked = self.db.query(text).bind(Value::Object(binds.clone())).await;
            match asked.and_then(|answer| answer.check()?.take(0)) {
                Ok(entered) => break entered,
                // The one before still writes; it stops when its lease is over.
                Err(error) if is_conflict(&error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the entry is tried again"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(Box::new(error).into()),
            }
        };
        if entered.is_empty() {
            return Err(FenceError::Over);
        }
        *checkpoint = self.stored_checkpoint().await?;
        self.tenure.store(tenure.number(), Ordering::Release);
        Ok(*checkpoint)
    }

    /// Another server writes the graph from now on: nothing of this one is accepted, and the
    /// index follows what the store has.
    pub(crate) async fn resign(&self) {
        let checkpoint = self.checkpoint.lock().await;
        self.tenure.store(Tenure::NONE.number(), Ordering::Release);
        self.index.follow_from(checkpoint.position).await;
    }
}
