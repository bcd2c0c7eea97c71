//! Telemetry with incidents in it, the same in every run.

use std::path::Path;

use events::{Event, Timestamp};
use serde_json::Value;
use tests::multiply::Recorded;
use tests::{recorded, shop_history};

/// Incidents to a round of about a thousand events of telemetry.
const INCIDENTS: usize = 3;

/// Where batches come from.
pub struct Workload {
    recorded: Recorded,
    batch: usize,
}

impl Workload {
    pub fn of(files: &Path, batch: usize) -> Self {
        let recorded = Recorded::of(&recorded::from_files(files));
        assert!(recorded.incidents() > 0, "no incidents in {}", files.display());
        Self { recorded, batch }
    }

    /// The first batches.
    pub fn batches(&self, count: usize) -> Vec<Vec<Event>> {
        let mut events = self.events();
        (0..count).map(|_| events.by_ref().take(self.batch).collect()).collect()
    }

    /// The first batches as they are posted.
    pub fn bodies(&self, count: usize) -> Vec<String> {
        let mut events = self.events();
        let body = |_| {
            let batch = events.by_ref().take(self.batch);
            let documents: Vec<Value> = batch.map(|event| event.to_cloud_event()).collect();
            serde_json::to_string(&documents).unwrap()
        };
        (0..count).map(body).collect()
    }

    /// Incidents among telemetry, at the time of the telemetry before them.
    fn events(&self) -> impl Iterator<Item = Event> {
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        shop_history::rounds(begin).enumerate().flat_map(|(round, telemetry)| {
            let every = telemetry.len() / INCIDENTS;
            let mut mixed = Vec::with_capacity(telemetry.len() * 2);
            for (index, event) in telemetry.into_iter().enumerate() {
                let at = event.time;
                mixed.push(event);
                if index % every == every / 2 {
                    let copy = self.recorded.copy(round * INCIDENTS + index / every);
                    mixed.extend(copy.events.into_iter().map(|mut event| {
                        event.time = at;
                        event
                    }));
                }
            }
            mixed
        })
    }
}
