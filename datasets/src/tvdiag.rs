//! TVDiag: what alarmed during an incident (metrics, log templates, calls), and its call graph.
//!
//! Xie et al., "TVDiag: A Task-oriented and View-invariant Failure Diagnosis Framework with
//! Multimodal Data" (arXiv 2407.19711), WHU-AISE/TVDiag, MIT.
//!
//! ```text
//! <system>/<split>/label.csv     index, instance, anomaly_type: the truth; other columns are not read
//! <system>/<split>/metrics.json  {index: [[instance, metric, "up"|"down"], …]}, as they were detected
//! <system>/<split>/logs.json     {index: [[instance, template], …]}
//! <system>/<split>/traces.json   {index: [[caller, callee, operation, "PD"|status], …]}
//! <system>/<split>/nodes.json    {index: [instance, …]}
//! <system>/<split>/edges.json    {index: [[place in nodes, place in nodes], …]}
//! ```
//!
//! The files carry no times. The cases of a split lie an hour apart in the order of their
//! numbers; the metrics of a case, which stand in the order of detection, a tenth of a second.

mod files;
mod incident;
mod labels;

use std::path::Path;

use crate::case::{Case, DataSet, Skipped};
use crate::table::{self, ReadError};
use files::Files;

const NAME: &str = "tvdiag";

/// Reads every split of every system below `path`; `path` may also be one system or one split.
pub fn read(path: &Path) -> Result<DataSet, ReadError> {
    let mut data_set = DataSet { name: NAME, ..DataSet::default() };
    let own = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| NAME.to_owned())
    };
    if Files::are_in(path)? {
        let path = std::path::absolute(path).map_err(|error| ReadError::io(path, error))?;
        let system = path.parent().map_or_else(|| NAME.to_owned(), own);
        read_split(&mut data_set, &path, &format!("{system}/{}", own(&path)))?;
    }
    for first in table::folders(path)? {
        let folder = path.join(&first);
        if Files::are_in(&folder)? {
            let path = std::path::absolute(path).map_err(|error| ReadError::io(path, error))?;
            read_split(&mut data_set, &folder, &format!("{}/{first}", own(&path)))?;
        }
        for second in table::folders(&folder)? {
            if Files::are_in(&folder.join(&second))? {
                read_split(&mut data_set, &folder.join(&second), &format!("{first}/{second}"))?;
            }
        }
    }
    if data_set.cases.is_empty() && data_set.skipped.is_empty() {
        let expected = "alerts of TVDiag (SYSTEM/SPLIT/metrics.json and the like)";
        return Err(ReadError::NotFound { path: path.to_owned(), expected });
    }
    Ok(data_set)
}

fn read_split(data_set: &mut DataSet, folder: &Path, prefix: &str) -> Result<(), ReadError> {
    let files = Files::read(folder, &mut data_set.skipped)?;
    let labels = labels::read(&folder.join("label.csv"))?;
    let system = prefix.split('/').next().unwrap_or(prefix);
    for index in files.indexes(labels.keys().map(String::as_str)) {
        let name = format!("{prefix}/{index}");
        match incident::events(&name, &index, &files.of(&index)) {
            Some((events, noticed)) => data_set.cases.push(Case {
                name,
                group: system.to_owned(),
                periods: Vec::new(),
                events,
                noticed,
                title: None,
                truth: labels.get(&index).cloned(),
            }),
            None => {
                let reason = format!("case {index} names no component: nothing alarmed");
                data_set.skipped.push(Skipped { path: folder.to_owned(), reason });
            }
        }
    }
    Ok(())
}
