//! Spans, summed over windows: what each component answered and whom it called.

mod sums;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use events::{ComponentName, Timestamp};

use super::{Recorded, pods};
use crate::table::{self, ReadError};
use sums::Sums;
use tree::Span;

const COLUMNS: [&str; 7] = [
    "TraceID",
    "SpanID",
    "ParentID",
    "PodName",
    "OperationName",
    "StartTimeUnixNano",
    "EndTimeUnixNano",
];

/// Records calls and snapshots; answers through which component most traces enter.
pub fn read(
    folders: &[PathBuf],
    recorded: &mut Recorded,
) -> Result<Option<ComponentName>, ReadError> {
    let mut sums = Sums::default();
    for folder in folders {
        let folder = folder.join("trace");
        for file in table::files(&folder)? {
            let spans = read_file(&folder.join(file))?;
            sums.add(&spans, &recorded.clock);
        }
    }
    Ok(sums.record(recorded))
}

// A trace is in one file, so that files can be read one at a time.
fn read_file(path: &Path) -> Result<Vec<Span>, ReadError> {
    let Some(rows) = table::rows(path)? else { return Ok(Vec::new()) };
    let mut columns: Option<[usize; 7]> = None;
    let mut pods: BTreeMap<Vec<u8>, Option<ComponentName>> = BTreeMap::new();
    let mut spans = Vec::new();
    for row in rows.into_byte_records() {
        let row = row.map_err(|error| ReadError::io(path, error.into()))?;
        let Some([trace, span, parent, pod, operation, start, end]) = columns else {
            let found = COLUMNS.map(|name| row.iter().position(|cell| cell == name.as_bytes()));
            if found.contains(&None) {
                return Ok(Vec::new());
            }
            columns = Some(found.map(Option::unwrap_or_default));
            continue;
        };
        let cell = |column: usize| String::from_utf8_lossy(row.get(column).unwrap_or_default());
        let nanos = |column: usize| {
            let nanos: Option<i128> = cell(column).trim().parse().ok();
            nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok())
        };
        let pod = row.get(pod).unwrap_or_default();
        let component = pods
            .entry(pod.to_owned())
            .or_insert_with(|| pods::component(String::from_utf8_lossy(pod).trim()));
        let (Some(component), Some(start), Some(end)) = (component, nanos(start), nanos(end))
        else {
            continue;
        };
        spans.push(Span {
            trace: cell(trace).into_owned(),
            id: cell(span).into_owned(),
            parent: cell(parent).into_owned(),
            component: component.clone(),
            operation: cell(operation).trim().to_owned(),
            start,
            ms: end.duration_since(start).as_secs_f64().max(0.0) * 1_000.0,
        });
    }
    Ok(spans)
}
