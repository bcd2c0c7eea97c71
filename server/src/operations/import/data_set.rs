//! The incidents of a public data set, with what its authors know of them as labels.

use std::path::Path;

use events::Event;
use events::log::{EmbeddedLog, EventLog};

use super::super::eval::Format;
use super::super::meter::Meter;
use super::super::tell;
use super::append_all;

/// Events between two looks at how far it is.
const BATCH: usize = 5_000;

/// Records everything that is known of the data set, as it would have become known. Imported
/// again, nothing is recorded twice.
pub(super) async fn import(log: &EmbeddedLog, format: Format, folder: &Path) -> anyhow::Result<()> {
    let data_set = format.read(folder)?;
    let name = data_set.name;
    let cases = data_set.cases.iter().flat_map(|case| {
        let incident = case.opening(name).into_iter().chain(case.labels(name));
        case.events.iter().cloned().chain(incident)
    });
    let periods = data_set.periods.iter().flat_map(|period| period.events.iter().cloned());
    let mut events: Vec<Event> = periods.chain(cases).collect();
    events.sort_by_key(|event| event.time);
    let (total, mut new) = (events.len() as u64, 0);
    let mut meter = Meter::new("importing");
    let mut done = 0;
    for batch in events.chunks(BATCH) {
        let batch = batch.iter().map(|event| (event.id, event.clone())).collect();
        let appended = append_all(log, batch).await;
        new += appended.map_err(|(id, error)| anyhow::anyhow!("event {id}: {error}"))?;
        done += BATCH as u64;
        meter.at(done.min(total), total);
    }
    meter.end();
    let labelled = data_set.cases.iter().filter(|case| case.truth.is_some()).count();
    tell(&format!(
        "{} incidents of {name}, {labelled} of them labelled: {total} events, {new} of them new; \
         the log is at position {}",
        data_set.cases.len(),
        log.head()
    ))
}
