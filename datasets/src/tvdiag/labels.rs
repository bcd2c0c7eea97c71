//! The truth of the cases, where it is told.

use std::collections::BTreeMap;
use std::path::Path;

use events::{ComponentName, FaultKind};

use crate::case::Truth;
use crate::table::{self, ReadError};

/// The root cause and kind of fault by the number of the case. A row without a root cause tells
/// nothing; its case is there without truth, as is one without a row or a file.
pub fn read(path: &Path) -> Result<BTreeMap<String, Truth>, ReadError> {
    let mut truths = BTreeMap::new();
    let Some(mut rows) = table::rows(path)? else { return Ok(truths) };
    let mut columns: Option<[Option<usize>; 3]> = None;
    for row in rows.records().filter_map(Result::ok) {
        let Some([index, instance, kind]) = columns else {
            let find = |name: &str| row.iter().position(|cell| cell.trim() == name);
            columns = Some(["index", "instance", "anomaly_type"].map(find));
            continue;
        };
        let cell = |column: Option<usize>| Some(row.get(column?)?.trim());
        let Some(index) = cell(index) else { continue };
        let Some(component) = cell(instance).and_then(|it| ComponentName::new(it).ok()) else {
            continue;
        };
        let fault_kind = cell(kind).and_then(|it| FaultKind::new(it).ok());
        truths.insert(index.to_owned(), Truth { root_causes: vec![component], fault_kind });
    }
    Ok(truths)
}
