//! `faultline replay`: past diagnoses asked again under another method, each as of its own moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnosis::evidence::Evidence;
use diagnosis::rank::{Ranker, Ranking};
use events::log::EventLog;
use events::{ComponentName, DiagnosisId, EventData, IncidentId};
use schema::{Graph, Projector};
use serde_json::{Value, json};

use super::meter::Meter;
use super::{BaseArgs, eval, open_log, tell};
use crate::evaluation::report::plain;

/// What to ask again.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// The method to compare with
    #[arg(long, value_name = "NAME@VERSION")]
    method: String,
    /// The method that is tried
    #[arg(long, value_name = "NAME@VERSION")]
    against: String,
    /// Print a JSON line a changed answer and one for all
    #[arg(long)]
    json: bool,
}

/// Events that are read at once.
const PAGE: usize = 1_000;

/// A diagnosis of the past.
struct Past {
    diagnosis: DiagnosisId,
    incident: IncidentId,
    position: u64,
}

/// Two answers to the same evidence.
struct Asked {
    past: Past,
    before: Ranking,
    after: Ranking,
    truth: Option<ComponentName>,
}

/// What another answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Improvement,
    Regression,
    /// Both are wrong, or nobody knows.
    Other,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Improvement => "improvement",
            Self::Regression => "regression",
            Self::Other => "other",
        }
    }
}

/// Prints the answers that changed, and how often each method is right where labels tell.
pub async fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let (method, against) = (eval::method(&args.method)?, eval::method(&args.against)?);
    let config = args.base.config()?;
    let log = Arc::new(open_log(&config, true).await?);
    let past = diagnoses(&*log).await?;
    let graph = schema::open_or_rebuild(&config.storage.graph_url(), log.as_ref()).await?;
    let graph = Arc::new(graph);
    // What a server that stopped had not projected yet.
    Projector::new(graph.clone(), log.clone()).await.catch_up().await?;
    let asked = ask(&graph, log.head(), past, method, against).await?;
    if args.json {
        let changed = asked.iter().filter(|it| it.is_changed()).map(Asked::line);
        let all = json!({ "summary": summary(&asked, &args.method, &args.against) });
        return changed.chain([all]).try_for_each(|line| tell(&line.to_string()));
    }
    tell(&table(&asked, &args.method, &args.against))
}

async fn diagnoses(log: &dyn EventLog) -> anyhow::Result<Vec<Past>> {
    let mut past = Vec::new();
    let mut after = 0;
    loop {
        let page = log.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(past) };
        after = last.position;
        past.extend(page.iter().filter_map(|recorded| match &recorded.event.data {
            EventData::DiagnosisProposed(data) => Some(Past {
                diagnosis: data.diagnosis.clone(),
                incident: data.incident.clone(),
                position: data.evidence_position,
            }),
            _ => None,
        }));
    }
}

async fn ask(
    graph: &Graph,
    head: u64,
    past: Vec<Past>,
    method: &'static dyn Ranker,
    against: &'static dyn Ranker,
) -> anyhow::Result<Vec<Asked>> {
    let known = graph.past_incidents(head, None).await?;
    let truths: BTreeMap<IncidentId, ComponentName> =
        known.into_iter().filter_map(|it| Some((it.incident, it.root_cause?))).collect();
    let mut meter = Meter::new("asking again");
    let total = past.len() as u64;
    let mut asked = Vec::with_capacity(past.len());
    for past in past {
        meter.at(asked.len() as u64, total);
        let evidence: Option<Evidence> = graph.evidence(&past.incident, past.position).await?;
        let Some(evidence) = evidence else {
            tracing::warn!(
                "{} of {} is not asked: its incident was never opened",
                past.diagnosis,
                past.incident
            );
            continue;
        };
        let answers =
            tokio::task::spawn_blocking(move || (method.rank(&evidence), against.rank(&evidence)));
        let (before, after) = answers.await?;
        let truth = truths.get(&past.incident).cloned();
        asked.push(Asked { past, before, after, truth });
    }
    meter.end();
    Ok(asked)
}

fn first(ranking: &Ranking) -> Option<&ComponentName> {
    ranking.suspects.first().map(|suspect| &suspect.component)
}

impl Asked {
    fn is_changed(&self) -> bool {
        first(&self.before) != first(&self.after)
    }

    fn is_right(&self, ranking: &Ranking) -> bool {
        self.truth.is_some() && first(ranking) == self.truth.as_ref()
    }

    fn change(&self) -> Change {
        match (self.is_right(&self.before), self.is_right(&self.after)) {
            (false, true) => Change::Improvement,
            (true, false) => Change::Regression,
            _ => Change::Other,
        }
    }

    fn line(&self) -> Value {
        json!({
            "diagnosis": self.past.diagnosis,
            "incident": self.past.incident,
            "evidence_position": self.past.position,
            "method": first(&self.before),
            "against": first(&self.after),
            "root_cause": self.truth,
            "change": self.change().as_str(),
        })
    }
}

fn summary(asked: &[Asked], method: &str, against: &str) -> Value {
    let told = || asked.iter().filter(|it| it.truth.is_some());
    let changed =
        |change| asked.iter().filter(|it| it.is_changed() && it.change() == change).count();
    json!({
        "method": method,
        "against": against,
        "diagnoses": asked.len(),
        "changed": asked.iter().filter(|it| it.is_changed()).count(),
        "with_truth": told().count(),
        "method_right": told().filter(|it| it.is_right(&it.before)).count(),
        "against_right": told().filter(|it| it.is_right(&it.after)).count(),
        "improvements": changed(Change::Improvement),
        "regressions": changed(Change::Regression),
    })
}

fn table(asked: &[Asked], method: &str, against: &str) -> String {
    let mut table = plain(["INCIDENT", "AT", method, against, "LABELLED", "CHANGE"]);
    let name =
        |component: Option<&ComponentName>| component.map_or("-".to_owned(), ToString::to_string);
    for it in asked.iter().filter(|it| it.is_changed()) {
        table.add_row([
            it.past.incident.to_string(),
            it.past.position.to_string(),
            name(first(&it.before)),
            name(first(&it.after)),
            name(it.truth.as_ref()),
            it.change().as_str().to_owned(),
        ]);
    }
    let all = summary(asked, method, against);
    let of = |field: &str| all[field].as_u64().unwrap_or_default();
    let told = format!(
        "{} diagnoses, {} changed: {} improvements, {} regressions\n\
         of {} whose cause is labelled {method} named it first in {}, {against} in {}",
        of("diagnoses"),
        of("changed"),
        of("improvements"),
        of("regressions"),
        of("with_truth"),
        of("method_right"),
        of("against_right"),
    );
    if of("changed") == 0 { told } else { format!("{}\n\n{told}", table.trim_fmt()) }
}
