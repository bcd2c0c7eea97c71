//! `faultline report`: how the base did on its own incidents, for people.

mod page;
mod plot;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_graphql::{Request, Variables};
use events::Timestamp;
use events::log::EventLog;
use schema::Projector;
use schema::graphql::{self, Base, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::{BaseArgs, ServerArgs, open_log, tell};

const QUESTION: &str = include_str!("report/report.graphql");
/// How long a base of many incidents may think.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to report.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Only what was opened or injected at this moment or later, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what was opened or injected before this moment
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Also write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, conflicts_with = "html")]
    json: bool,
}

/// How often something was so.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Rate {
    of: u32,
    ratio: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Durations {
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
}

/// How the base did on some incidents.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    key: String,
    incidents: u32,
    false_positives: u32,
    unexplained: u32,
    time_to_detect: Durations,
    time_to_resolve: Durations,
    first: Rate,
    first_three: Rate,
    fault_kind: Rate,
    similar: Rate,
}

/// How injected faults of a kind were noticed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Faults {
    fault_kind: String,
    faults: u32,
    unnoticed: u32,
    time_to_detect: Durations,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrackRecord {
    all: Part,
    by_month: Vec<Part>,
    by_model: Vec<Part>,
    by_detector: Vec<Part>,
    by_fault_kind: Vec<Faults>,
    faults: u32,
    unnoticed_faults: u32,
}

#[derive(Clone, Debug, Deserialize)]
struct Metric {
    name: String,
    value: f64,
    before: Option<f64>,
}

/// A trained model.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    key: String,
    trained_at: Option<Timestamp>,
    rejected: Option<String>,
    metrics: Vec<Metric>,
}

impl Model {
    fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Models {
    nodes: Vec<Model>,
}

/// All that is reported.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    track_record: TrackRecord,
    models: Models,
    model_in_use: Option<String>,
    projected_position: u64,
}

impl Report {
    /// Whether a model is in use, or why not.
    fn state(&self, model: &Model) -> String {
        match &model.rejected {
            _ if Some(&model.key) == self.model_in_use.as_ref() => "in use".to_owned(),
            Some(why) => format!("rejected: {why}"),
            None => String::new(),
        }
    }
}

/// Said where there is no model.
const NOTHING_LEARNED: &str =
    "nothing was learned yet: five labelled incidents that are over teach the first model";
/// Of fewer an interval says nothing.
const LEAST_FOR_INTERVAL: u32 = 5;

/// Prints the report of a running server, or of a data folder that nobody holds.
pub async fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let variables = json!({ "from": args.from, "to": args.to });
    let answer = match args.server.client()? {
        Some(client) => asked(&client, variables).await?,
        None => of_folder(&args.base, variables).await?,
    };
    if args.json {
        return tell(&serde_json::to_string_pretty(&answer)?);
    }
    let mut report: Report = serde_json::from_value(answer).context("reading the answer")?;
    // They come with the newest first.
    report.models.nodes.reverse();
    tell(&table::of(&report))?;
    if let Some(file) = &args.html {
        std::fs::write(file, page::of(&report, Timestamp::now())?)
            .with_context(|| format!("writing {}", file.display()))?;
        tell(&format!("\nplots in {}", file.display()))?;
    }
    Ok(())
}

async fn asked(client: &Client, variables: Value) -> anyhow::Result<Value> {
    let body = json!({ "query": QUESTION, "variables": variables });
    data(client.post("/graphql", &body).await?)
}

async fn of_folder(base: &BaseArgs, variables: Value) -> anyhow::Result<Value> {
    let config = base.config()?;
    let log = Arc::new(open_log(&config, true).await?);
    let graph = schema::open_or_rebuild(&config.storage.graph_url(), log.as_ref()).await?;
    let graph = Arc::new(graph);
    let projector = Projector::new(graph.clone(), log.clone()).await;
    let projected = projector.projected();
    // What a server that stopped had not projected yet.
    projector.catch_up().await?;
    let limits = Limits { timeout: PATIENCE, wait: PATIENCE, ..Limits::default() };
    let log: Arc<dyn EventLog> = log;
    let schema = graphql::schema(Base::new(graph, log, projected, Timestamp::now, limits));
    let request = Request::new(QUESTION).variables(Variables::from_json(variables));
    data(serde_json::to_value(schema.execute(request).await)?)
}

fn data(mut answer: Value) -> anyhow::Result<Value> {
    match answer["errors"].as_array().filter(|errors| !errors.is_empty()) {
        Some(errors) => bail!("{}", errors[0]["message"].as_str().unwrap_or("no answer")),
        None => Ok(answer["data"].take()),
    }
}
