//! The files of a split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::case::Skipped;
use crate::table::{self, ReadError};

type ByCase = BTreeMap<String, Vec<Value>>;

/// What the files of a split hold, by the number of the case.
#[derive(Debug, Default)]
pub struct Files {
    metrics: ByCase,
    logs: ByCase,
    traces: ByCase,
    nodes: ByCase,
    edges: ByCase,
}

/// What they hold of one case. Entries of another shape are left out.
#[derive(Debug, Default)]
pub struct Entries {
    /// Instance, metric, direction.
    pub metrics: Vec<[String; 3]>,
    /// Instance, template.
    pub logs: Vec<[String; 2]>,
    /// Caller, callee, operation, what.
    pub calls: Vec<[String; 4]>,
    /// Instances.
    pub nodes: Vec<String>,
    /// Pairs of instances.
    pub edges: Vec<[String; 2]>,
}

const FILES: [&str; 6] =
    ["label.csv", "metrics.json", "logs.json", "traces.json", "nodes.json", "edges.json"];

impl Files {
    /// Whether a folder holds any of them.
    pub fn are_in(folder: &Path) -> Result<bool, ReadError> {
        Ok(table::files(folder)?.iter().any(|name| FILES.contains(&name.as_str())))
    }

    /// Reads those that are there.
    pub fn read(folder: &Path, skipped: &mut Vec<Skipped>) -> Result<Self, ReadError> {
        let mut file = |name: &str| -> Result<ByCase, ReadError> {
            let path = folder.join(name);
            let Some(text) = table::text(&path)? else { return Ok(ByCase::new()) };
            Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
                skipped.push(Skipped { path, reason: error.to_string() });
                ByCase::new()
            }))
        };
        Ok(Self {
            metrics: file("metrics.json")?,
            logs: file("logs.json")?,
            traces: file("traces.json")?,
            nodes: file("nodes.json")?,
            edges: file("edges.json")?,
        })
    }

    /// The numbers of all cases that any file or `labelled` knows, numbers in their order.
    pub fn indexes<'l>(&self, labelled: impl Iterator<Item = &'l str>) -> Vec<String> {
        let files = [&self.metrics, &self.logs, &self.traces, &self.nodes, &self.edges];
        let mut known: BTreeSet<String> = labelled.map(str::to_owned).collect();
        known.extend(files.into_iter().flat_map(BTreeMap::keys).cloned());
        let mut known: Vec<String> = known.into_iter().collect();
        known.sort_by_key(|index| (index.parse::<u64>().unwrap_or(u64::MAX), index.clone()));
        known
    }

    /// The entries of one case.
    pub fn of(&self, index: &str) -> Entries {
        let nodes: Vec<String> = values(&self.nodes, index).filter_map(text).collect();
        let edges = values(&self.edges, index).filter_map(|pair| {
            let place = |at: usize| nodes.get(pair.get(at)?.as_u64()? as usize).cloned();
            Some([place(0)?, place(1)?])
        });
        Entries {
            metrics: values(&self.metrics, index).filter_map(texts).collect(),
            logs: values(&self.logs, index).filter_map(texts).collect(),
            calls: values(&self.traces, index).filter_map(texts).collect(),
            edges: edges.collect(),
            nodes,
        }
    }
}

fn values<'f>(file: &'f ByCase, index: &str) -> impl Iterator<Item = &'f Value> {
    file.get(index).into_iter().flatten()
}

fn texts<const N: usize>(entry: &Value) -> Option<[String; N]> {
    let texts: Vec<String> = entry.as_array()?.iter().filter_map(text).collect();
    texts.try_into().ok()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
