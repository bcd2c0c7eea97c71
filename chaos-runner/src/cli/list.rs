//! `list`: what can be run.

use std::io::{self, Write};

use clap::Args;
use events::catalogue::fault_kind;
use serde_json::json;

use super::exit::Exit;
use super::{select, suite};
use crate::experiment::shipped;

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Writes one JSON object.
    #[arg(long)]
    json: bool,
}

/// Lists the shipped experiments and the fault kinds.
pub(super) fn run(args: &ListArgs) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for shipped in shipped::ALL {
        let experiment = select::experiment(shipped.name)?;
        rows.push((shipped.name, experiment.title.to_string(), suite::faults(&experiment)));
    }
    let mut out = io::stdout().lock();
    if args.json {
        let experiments: Vec<_> = rows
            .iter()
            .map(|(name, title, faults)| json!({"name": name, "title": title, "faults": faults}))
            .collect();
        writeln!(out, "{}", json!({"experiments": experiments, "fault_kinds": fault_kind::LOCAL}))?;
        return Ok(Exit::Held);
    }
    let mut table = suite::plain_table(&["experiment", "title", "fault"]);
    for (name, title, faults) in rows {
        table.add_row([name.to_owned(), title, faults.join("\n")]);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "\nFault kinds")?;
    for kinds in fault_kind::LOCAL.chunks(4) {
        writeln!(out, "  {}", kinds.join(", "))?;
    }
    writeln!(out)?;
    writeln!(out, "Run one with `chaos-runner run NAME`, all with `chaos-runner suite`.")?;
    Ok(Exit::Held)
}
