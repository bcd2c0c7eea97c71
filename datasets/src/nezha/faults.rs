//! The list of faults of a day.

use events::{ComponentName, FaultKind, Timestamp};
use serde_json::Value;

use super::pods;
use crate::case::Truth;

/// One injection.
#[derive(Debug)]
pub struct Fault {
    pub at: Timestamp,
    pub truth: Option<Truth>,
}

impl Fault {
    /// The name of its case.
    pub fn case(&self, day: &str) -> String {
        format!("{day}/{}", self.at.strftime("%H:%M:%S"))
    }
}

/// Reads `{hour: [{inject_time, inject_pod, inject_type}]}` in the order of time. The time stamps
/// beside are hours off in places and are not read.
pub fn parse(text: &str) -> Result<Vec<Fault>, String> {
    let list: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let hours = list.as_object().ok_or("expected an object of hours")?;
    let entries = hours.values().filter_map(Value::as_array).flatten();
    let mut faults: Vec<Fault> = entries.filter_map(fault).collect();
    faults.sort_by_key(|fault| fault.at);
    faults.dedup_by_key(|fault| fault.at);
    Ok(faults)
}

fn fault(entry: &Value) -> Option<Fault> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::trim);
    let at = format!("{}Z", text("inject_time")?.replace(' ', "T")).parse().ok()?;
    let pod = text("inject_pod").filter(|pod| !pod.is_empty());
    let truth = pod.and_then(pods::component).map(|component: ComponentName| Truth {
        root_causes: vec![component],
        fault_kind: text("inject_type").and_then(|kind| FaultKind::new(kind).ok()),
    });
    Some(Fault { at, truth })
}
