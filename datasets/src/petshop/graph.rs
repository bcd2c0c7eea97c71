//! Who calls whom: an adjacency matrix with names.

use std::path::Path;

use events::ComponentName;

use crate::table::{self, ReadError};

/// The calls of a scenario.
#[derive(Debug, Default)]
pub struct Graph(Vec<(ComponentName, ComponentName)>);

impl Graph {
    /// Reads the matrix; no file is no known call.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let Some(rows) = table::rows(path)? else { return Ok(Self::default()) };
        let mut calls = Vec::new();
        let mut callees: Option<Vec<Option<ComponentName>>> = None;
        for row in rows.into_records() {
            let row = row.map_err(|error| ReadError::io(path, error.into()))?;
            let mut cells = row.iter();
            let caller = cells.next().and_then(|name| ComponentName::new(name).ok());
            let Some(callees) = &callees else {
                callees = Some(cells.map(|name| ComponentName::new(name).ok()).collect());
                continue;
            };
            for (callee, cell) in callees.iter().zip(cells) {
                let is_call = table::number(cell).is_some_and(|number| number != 0.0);
                if let (true, Some(caller), Some(callee)) = (is_call, &caller, callee)
                    && caller != callee
                {
                    calls.push((caller.clone(), callee.clone()));
                }
            }
        }
        Ok(Self(calls))
    }

    /// Caller and callee of every call.
    pub fn calls(&self) -> impl Iterator<Item = (&ComponentName, &ComponentName)> {
        self.0.iter().map(|(caller, callee)| (caller, callee))
    }
}
