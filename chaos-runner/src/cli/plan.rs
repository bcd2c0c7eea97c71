//! `plan`: what to exercise next.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use comfy_table::Cell as TableCell;
use events::catalogue::experiment::ExperimentOutcome;
use events::catalogue::topology::Criticality;
use events::{ComponentName, FaultKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::exit::Exit;
use super::server::TrustArgs;
use super::suite::plain_table;
use crate::plan::{self, Cell, Plan, Proposal, State};
use crate::progress::{Form, Progress};
use crate::submit::Destination;

/// Cells asked for at a time.
const PAGE: usize = 100;

const COVERAGE: &str = "\
query Coverage($stale: Int!, $first: Int!, $after: String) {
  coverage(staleAfterDays: $stale, first: $first, after: $after) {
    edges { node {
      component { name criticality } faultKind state lastVerdict lastExercisedAt realIncidents
    } }
    pageInfo { hasNextPage endCursor }
  }
}";

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    /// Faultline server that knows what was exercised.
    #[arg(long, value_name = "URL")]
    server: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// Proposals, at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    /// Days after which what was exercised is stale.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    stale_after_days: u32,
    /// Writes an experiment file for each proposal into this folder; files that are there stay.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Writes one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Asks the server what was exercised and says what to do next and why.
pub(super) async fn run(args: PlanArgs, progress: Progress) -> anyhow::Result<Exit> {
    let destination = args.trust.destination(&args.server)?;
    progress.doing("asking what was exercised");
    let cells = coverage(&destination, args.stale_after_days).await;
    progress.done();
    let mut plan = plan::rank(cells?, Timestamp::now(), args.stale_after_days);
    plan.proposals.truncate(args.top);
    let files = match &args.write {
        Some(folder) => write(&plan, folder)?,
        None => vec![None; plan.proposals.len()],
    };
    match progress.form() {
        Form::Json => progress.say(&as_json(&plan, &files).to_string())?,
        Form::Lines => progress.say(&as_table(&plan, &files))?,
    }
    Ok(Exit::Held)
}

/// A file and whether it is new.
type Written = Option<(PathBuf, bool)>;

fn write(plan: &Plan, folder: &std::path::Path) -> anyhow::Result<Vec<Written>> {
    let written = plan.proposals.iter().map(|proposal| {
        let path = folder.join(plan::write::file_name(proposal));
        let new = plan::write::write(proposal, folder)
            .with_context(|| format!("could not write {}", path.display()))?;
        Ok(Some((path, new.is_some())))
    });
    written.collect()
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<Value>,
}

#[derive(Deserialize)]
struct Data {
    coverage: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    edges: Vec<Edge>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Edge {
    node: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    component: NodeComponent,
    fault_kind: FaultKind,
    state: String,
    last_verdict: Option<String>,
    last_exercised_at: Option<Timestamp>,
    real_incidents: u64,
}

#[derive(Deserialize)]
struct NodeComponent {
    name: ComponentName,
    criticality: Option<String>,
}

/// Every cell that the server knows.
async fn coverage(destination: &Destination, stale: u32) -> anyhow::Result<Vec<Cell>> {
    let url = destination.url();
    let mut cells = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let variables = json!({ "stale": stale, "first": PAGE, "after": after });
        let request = destination
            .request(reqwest::Method::POST, "/graphql")
            .timeout(std::time::Duration::from_secs(30))
            .json(&json!({ "query": COVERAGE, "variables": variables }));
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("no answer from {url}"))?;
        let read: Result<Answer, _> = serde_json::from_str(&text);
        let page = match read {
            Ok(Answer { data: Some(data), errors }) if errors.is_empty() => data.coverage,
            Ok(Answer { errors, .. }) if !errors.is_empty() => {
                let message = errors[0]["message"].as_str().unwrap_or("an error without words");
                bail!("{url} does not say what was exercised: {message}")
            }
            _ if status == reqwest::StatusCode::UNAUTHORIZED => {
                bail!("{url} asks for a token: give FAULTLINE_TOKEN or --token")
            }
            _ => bail!("{url} answered {status}, and not as a Faultline server does"),
        };
        cells.extend(page.edges.into_iter().map(|edge| cell(edge.node)));
        match page.page_info {
            PageInfo { has_next_page: true, end_cursor: Some(cursor) } => after = Some(cursor),
            _ => return Ok(cells),
        }
    }
}

fn cell(node: Node) -> Cell {
    // Words of a newer server mean at worst what is not known.
    let criticality = match node.component.criticality.as_deref() {
        Some("CRITICAL") => Some(Criticality::Critical),
        Some("HIGH") => Some(Criticality::High),
        Some("MEDIUM") => Some(Criticality::Medium),
        Some("LOW") => Some(Criticality::Low),
        _ => None,
    };
    let last_verdict = match node.last_verdict.as_deref() {
        Some("HELD") => Some(ExperimentOutcome::Held),
        Some("DEVIATED") => Some(ExperimentOutcome::Deviated),
        Some("ABORTED") => Some(ExperimentOutcome::Aborted),
        Some("FAILED") => Some(ExperimentOutcome::Failed),
        _ => None,
    };
    let state = match node.state.as_str() {
        "EXERCISED" => State::Exercised,
        "STALE" => State::Stale,
        _ => State::Never,
    };
    Cell {
        component: node.component.name,
        criticality,
        fault_kind: node.fault_kind,
        state,
        last_verdict,
        last_exercised_at: node.last_exercised_at,
        real_incidents: node.real_incidents,
    }
}

fn as_json(plan: &Plan, files: &[Written]) -> Value {
    let proposals: Vec<_> = plan
        .proposals
        .iter()
        .zip(files)
        .map(|(Proposal { cell, priority, reasons }, file)| {
            json!({
                "component": cell.component,
                "fault_kind": cell.fault_kind,
                "state": cell.state,
                "priority": priority,
                "reasons": reasons,
                "real_incidents": cell.real_incidents,
                "last_exercised_at": cell.last_exercised_at,
                "last_verdict": cell.last_verdict,
                "file": file.as_ref().map(|(path, _)| path),
                "file_is_new": file.as_ref().map(|(_, new)| new),
            })
        })
        .collect();
    json!({ "proposals": proposals, "without_driver": plan.without_driver })
}

fn as_table(plan: &Plan, files: &[Written]) -> String {
    if plan.proposals.is_empty() {
        return "the server knows no component that the shop's drivers can act on".to_owned();
    }
    let mut table = plain_table(&["priority", "component", "fault", "why"]);
    for Proposal { cell, priority, reasons } in &plan.proposals {
        table.add_row([
            TableCell::new(format!("{priority:.2}")),
            TableCell::new(&cell.component),
            TableCell::new(&cell.fault_kind),
            TableCell::new(reasons.join("; ")),
        ]);
    }
    let mut text = table.to_string();
    if plan.without_driver > 0 {
        let count = plan.without_driver;
        text.push_str(&format!("\n{count} cells have no driver here and are not proposed"));
    }
    for (path, new) in files.iter().flatten() {
        let what = if *new { "wrote" } else { "left as it is" };
        text.push_str(&format!("\n{what}: {}", path.display()));
    }
    text
}
