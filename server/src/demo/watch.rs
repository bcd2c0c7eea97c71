//! What the demo asks its server, over HTTP like any other client.

use std::time::Duration;

use anyhow::{Context, bail};
use events::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::plan::Phase;

/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Questions in a row that a busy machine may leave unanswered.
const TRIES: u32 = 5;
const WATCH: &str = include_str!("watch.graphql");

/// A client of the demo's own server.
#[derive(Clone, Debug)]
pub struct Watch {
    http: reqwest::Client,
    server: String,
}

/// A Relay connection, as far as the demo reads it.
#[derive(Debug, Deserialize)]
pub struct Edges<T> {
    edges: Vec<Edge<T>>,
}

#[derive(Debug, Deserialize)]
struct Edge<T> {
    node: T,
}

impl<T> Edges<T> {
    /// The nodes.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.edges.iter().map(|edge| &edge.node)
    }
}

/// The newest fault of the phase's kind and component, and the newest incidents.
#[derive(Debug, Deserialize)]
pub struct Seen {
    faults: Edges<Fault>,
    incidents: Edges<Incident>,
}

/// An injected fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Its key.
    pub key: String,
    /// When it began to act.
    pub injected_at: Option<Timestamp>,
    /// What undid it.
    pub action: Option<String>,
}

/// An incident with its newest diagnosis.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its key.
    pub key: String,
    /// What is wrong, in a line.
    pub title: Option<String>,
    status: String,
    opened_at: Option<Timestamp>,
    provenance: Provenance,
    triggered_by: Edges<Key>,
    diagnoses: Edges<Diagnosis>,
}

#[derive(Debug, Deserialize)]
struct Provenance {
    events: Vec<String>,
}

/// Something that is only referred to.
#[derive(Debug, Deserialize)]
pub struct Key {
    /// Its key.
    pub key: String,
}

/// A component that is only referred to.
#[derive(Debug, Deserialize)]
pub struct Name {
    /// Its name.
    pub name: String,
}

/// A recorded diagnosis.
#[derive(Debug, Deserialize)]
pub struct Diagnosis {
    /// Why there are no suspects.
    pub abstained: Option<String>,
    /// The most suspected first.
    pub suspects: Vec<Suspect>,
    /// The most similar first.
    pub similar: Vec<Similar>,
}

/// A component that may be the root cause.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspect {
    component: Option<Name>,
    /// How strongly.
    pub score: f64,
    /// What kind of fault it looks like.
    pub fault_kind: Option<String>,
    /// From where it was noticed to the suspect.
    pub path: Vec<String>,
    /// What makes the score.
    pub terms: Vec<Term>,
}

impl Suspect {
    /// The component's name.
    pub fn component(&self) -> &str {
        self.component.as_ref().map_or("", |component| &component.name)
    }
}

/// A part of a score.
#[derive(Debug, Deserialize)]
pub struct Term {
    /// What it measures.
    pub name: String,
    /// Its share.
    pub contribution: f64,
    /// The events it was computed from.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// A past incident that looks alike.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Similar {
    /// The incident.
    pub incident: Option<Key>,
    /// How similar.
    pub score: f64,
    /// What caused it, by its labels.
    pub root_cause: Option<Name>,
    /// The kind of fault, by its labels.
    pub fault_kind: Option<String>,
    /// What was done against it.
    pub fixed_by: Vec<Mitigation>,
    /// What makes the score.
    pub reasons: Vec<Term>,
}

/// Something that was done.
#[derive(Debug, Deserialize)]
pub struct Mitigation {
    /// In the words of an operator.
    pub action: String,
}

impl Incident {
    /// The id of the event that opened it.
    pub fn opening_event(&self) -> Option<&str> {
        self.provenance.events.first().map(String::as_str)
    }

    /// Whether it is over.
    pub fn is_resolved(&self) -> bool {
        self.status == "RESOLVED"
    }

    /// Whether the experiment's labels have arrived.
    pub fn is_labelled_from(&self, fault: &str) -> bool {
        self.triggered_by.iter().any(|known| known.key == fault)
    }

    /// The newest diagnosis.
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnoses.iter().next()
    }
}

impl Seen {
    /// The fault that was injected at or after `since`.
    pub fn fault(&self, since: Timestamp) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.injected_at.is_some_and(|at| at >= since))
    }

    /// The incident of a fault: of those opened since it began to act, the one that is labelled
    /// from it, or else the first. An older incident that the fault made worse does not count as
    /// noticing it.
    pub fn incident_of(&self, fault: &Fault) -> Option<&Incident> {
        self.incidents
            .iter()
            .filter(|incident| {
                incident.opened_at.is_some() && incident.opened_at > fault.injected_at
            })
            .min_by_key(|incident| (!incident.is_labelled_from(&fault.key), incident.opened_at))
    }

    /// Whether an incident is not over yet.
    pub fn any_open(&self) -> bool {
        self.incidents.iter().any(|incident| !incident.is_resolved())
    }
}

impl Watch {
    /// A client of the server at this URL.
    pub fn new(server: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .context("building the demo's HTTP client")?;
        Ok(Self { http, server: server.to_owned() })
    }

    /// What is known of the phase.
    pub async fn look(&self, phase: &Phase) -> anyhow::Result<Seen> {
        let variables = json!({ "kind": phase.fault_kind, "component": phase.component });
        let mut tries = 1;
        loop {
            match self.query(WATCH, &variables).await {
                Err(_) if tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }

    /// When the log recorded an event.
    pub async fn recorded_at(&self, event: &str) -> anyhow::Result<Timestamp> {
        #[derive(Deserialize)]
        struct Recorded {
            recordedtime: Timestamp,
        }
        let url = format!("{}/v1/events/{event}", self.server);
        let answer = self.http.get(url).send().await?.error_for_status()?;
        let recorded: Recorded = answer.json().await.context("reading a recorded event")?;
        Ok(recorded.recordedtime)
    }

    async fn query<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: &Value,
    ) -> anyhow::Result<T> {
        #[derive(Deserialize)]
        struct Answer<T> {
            data: Option<T>,
            #[serde(default)]
            errors: Vec<Value>,
        }
        let answer: Answer<T> = self
            .http
            .post(format!("{}/graphql", self.server))
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await
            .context("asking the demo's server")?
            .json()
            .await
            .context("reading the answer of the demo's server")?;
        match answer.data {
            Some(data) if answer.errors.is_empty() => Ok(data),
            _ => bail!("the demo's server answered {}", json!(answer.errors)),
        }
    }
}
