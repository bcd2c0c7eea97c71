//! `faultline replay`: past diagnoses asked again under another method, each as of its own moment.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use diagnosis::evaluation::place;
use diagnosis::rank::{Ranking, methods};
use events::log::EventLog;
use events::{ComponentName, DiagnosisId, EventData, IncidentId};
use schema::reads::Unsaid;
use schema::{Graph, Method, Models, Projector, Question};
use serde_json::{Value, json};

use super::meter::Meter;
use super::{BaseArgs, open_log, tell};
use crate::evaluation::report::plain;

/// What to ask again.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// The method to compare with, or the version of a model
    #[arg(long, value_name = "NAME@VERSION")]
    method: String,
    /// What is tried
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
    /// The cause stands where it stood, or nobody knows it.
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
    let (method, against) = (method(&args.method)?, method(&args.against)?);
    let config = args.base.config()?;
    let log = Arc::new(open_log(&config, true).await?);
    let past = diagnoses(&*log).await?;
    let graph = schema::open_or_rebuild(&config.storage.graph_url(), log.as_ref()).await?;
    let graph = Arc::new(graph);
    // What a server that stopped had not projected yet.
    Projector::new(graph.clone(), log.clone()).await.catch_up().await?;
    let method = method.known_at(&graph, log.head()).await?;
    let against = against.known_at(&graph, log.head()).await?;
    let asked = ask(&graph, log.head(), past, method, against).await?;
    if args.json {
        let changed = asked.iter().filter(|it| it.is_changed()).map(Asked::line);
        let all = json!({ "summary": summary(&asked, &args.method, &args.against) });
        return changed.chain([all]).try_for_each(|line| tell(&line.to_string()));
    }
    tell(&table(&asked, &args.method, &args.against))
}

fn method(name: &str) -> anyhow::Result<Method> {
    Method::named(name).with_context(|| {
        let names: Vec<_> = methods().iter().map(|ranker| ranker.name()).collect();
        let names = names.join(", ");
        format!("there is no method {name:?}: expected one of {names}, or the version of a model")
    })
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
    graph: &Arc<Graph>,
    head: u64,
    past: Vec<Past>,
    method: Method,
    against: Method,
) -> anyhow::Result<Vec<Asked>> {
    let known = graph.past_incidents(head, None).await?;
    let truths: BTreeMap<IncidentId, ComponentName> =
        known.into_iter().filter_map(|it| Some((it.incident, it.root_cause?))).collect();
    let models = Models::default();
    let mut meter = Meter::new("asking again");
    let total = past.len() as u64;
    let mut asked = Vec::with_capacity(past.len());
    for past in past {
        meter.at(asked.len() as u64, total);
        let (incident, position) = (&past.incident, past.position);
        let Some(evidence) = graph.evidence(incident, position).await? else {
            tracing::warn!(
                "{} of {} is not asked: its incident was never opened",
                past.diagnosis,
                past.incident
            );
            continue;
        };
        let unsaid = &Unsaid::default();
        let question = Question { incident, position, evidence: &evidence, unsaid };
        let (_, before) = method.rank(&models, graph, question).await?;
        let (_, after) = against.rank(&models, graph, question).await?;
        let truth = truths.get(&past.incident).cloned();
        asked.push(Asked { past, before, after, truth });
    }
    meter.end();
    Ok(asked)
}

/// Suspects that are looked at.
const FIRST: usize = 3;

fn first(ranking: &Ranking) -> Vec<&ComponentName> {
    ranking.suspects.iter().take(FIRST).map(|suspect| &suspect.component).collect()
}

impl Asked {
    fn is_changed(&self) -> bool {
        first(&self.before) != first(&self.after)
    }

    fn is_right(&self, ranking: &Ranking) -> bool {
        self.place(ranking) == 0
    }

    /// Where the cause stands, from 0; last when it is not named, or nobody knows it.
    fn place(&self, ranking: &Ranking) -> usize {
        let truth = self.truth.as_slice();
        place(truth, first(ranking)).unwrap_or(FIRST)
    }

    fn change(&self) -> Change {
        match self.place(&self.after).cmp(&self.place(&self.before)) {
            Ordering::Less => Change::Improvement,
            Ordering::Greater => Change::Regression,
            Ordering::Equal => Change::Other,
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
    let names = |components: Vec<&ComponentName>| match components.is_empty() {
        true => "-".to_owned(),
        false => components.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    for it in asked.iter().filter(|it| it.is_changed()) {
        table.add_row([
            it.past.incident.to_string(),
            it.past.position.to_string(),
            names(first(&it.before)),
            names(first(&it.after)),
            names(it.truth.iter().collect()),
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
