//! Every kind of question, through GraphQL and bare, at rising numbers of incidents.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_graphql::Request;
use diagnosis::search::Query;
use embedding::{Meanings, StaticEmbedding};
use events::log::{EmbeddedLog, Options};
use events::{Event, RecordedEvent, Timestamp};
use schema::graphql::{Base, FaultlineSchema, Limits};
use schema::{Graph, NearestTo, Projector};
use serde_json::Value;
use tests::measure::{Progress, memory_mb, row};
use tests::multiply::{Copy, Random, Recorded};

use super::Sizes;
use super::bare::{self, Level};
use super::table::{Asked, heading, line};

/// Events in one transaction.
const BATCH: usize = 4_000;
/// Questions before those that count.
const WARM_UP: usize = 5;

const PAGE: &str = "query($id: ID!) { incident(id: $id) {
    key title status severity openedAt resolvedAt resolution
    component { name criticality } postmortem { title text author }
    affects { component { name } strength }
    labels { edges { node { key by confidence } } }
    diagnoses { edges { node { key method proposedAt
        suspects { rank score faultKind component { name } terms { name contribution evidence } } } } }
    mitigations { edges { node { kind action at by } } }
    timeline(first: 50) { edges { node { at summary } } }
} }";
const ROOT_CAUSES: &str = "query($id: ID!) { rootCauses(incident: $id) { method abstained
    suspects { rank score faultKind component { name } terms { name contribution evidence } path } } }";
const SIMILAR: &str = "query($id: ID!) { similarIncidents(incident: $id, first: 5) {
    score reasons { name contribution } incident { key title status }
    rootCause { name } faultKind fixedBy { action } } }";
const SEARCH: &str = "query($query: String!) { search(query: $query, first: 20) {
    kind score snippet { text matched } node { ... on Incident { key title status } } } }";

/// A graph that grows, and everything that is asked of it.
struct Grown {
    graph: Arc<Graph>,
    /// Empty: what is asked is in the graph alone.
    log: Arc<EmbeddedLog>,
    schema: FaultlineSchema,
    recorded: Recorded,
    position: u64,
    copies: usize,
}

pub async fn measure(sizes: &Sizes, events: &[Event], folder: &Path) {
    let recorded = Recorded::of(events);
    println!("\n== questions ==");
    row("incidents recorded", recorded.incidents().to_string());
    assert!(recorded.incidents() > 0, "nothing recorded is a diagnosed incident");
    let mut grown = Grown::open(sizes, recorded, folder).await;
    for &incidents in &sizes.incidents {
        grown.grow_to(incidents).await;
        println!();
        row("incidents", incidents.to_string());
        row("memory of this process", format!("{:.0} MB", memory_mb(std::process::id())));
        row("index", format!("{:?}", grown.graph.index().size()));
        heading();
        grown.ask(sizes.questions).await;
    }
}

impl Grown {
    async fn open(sizes: &Sizes, recorded: Recorded, folder: &Path) -> Self {
        let url = match sizes.store.as_str() {
            "mem" => "mem://".to_owned(),
            "surrealkv" => format!("surrealkv://{}", folder.join("questions").display()),
            other => panic!("expected mem or surrealkv, got {other}"),
        };
        let graph = Arc::new(Graph::open(&url).await.unwrap());
        let meanings = Meanings::by(StaticEmbedding::builtin(), embedding::LEAST_NEAR);
        graph.index().understand(Arc::new(meanings));
        graph.index().start();
        let log =
            Arc::new(EmbeddedLog::open(&folder.join("empty-log"), Options::default()).unwrap());
        let schema = schema_over(&graph, &log).await;
        let mut grown = Self { graph, log, schema, recorded, position: 0, copies: 0 };
        let base = grown.recorded.base.clone();
        grown.apply(base).await;
        grown
    }

    async fn apply(&mut self, events: Vec<Event>) {
        let recorded: Vec<RecordedEvent> = events
            .into_iter()
            .map(|event| {
                self.position += 1;
                RecordedEvent {
                    stream: event.data.stream(),
                    revision: self.position,
                    position: self.position,
                    recorded_at: event.time,
                    event,
                    pruned: None,
                }
            })
            .collect();
        self.graph.apply_unread(&recorded).await.unwrap();
    }

    async fn grow_to(&mut self, incidents: usize) {
        let mut progress = Progress::new("incidents made", incidents - self.copies);
        let started = Instant::now();
        let before = self.position;
        while self.copies < incidents {
            let mut batch = Vec::with_capacity(BATCH + 50);
            while batch.len() < BATCH && self.copies < incidents {
                batch.extend(self.recorded.copy(self.copies).events);
                self.copies += 1;
                progress.add(1);
            }
            self.apply(batch).await;
        }
        let rate = (self.position - before) as f64 / started.elapsed().as_secs_f64();
        // Questions are answered as of where the projection was when it was given to the schema.
        self.schema = schema_over(&self.graph, &self.log).await;
        row("incidents made of events", format!("{} at {rate:.0}/s", self.position - before));
    }

    async fn ask(&self, questions: usize) {
        let mut random = Random(7);
        let mut some = || self.recorded.copy(random.below(self.copies));
        let copies: Vec<Copy> = (0..questions + WARM_UP).map(|_| some()).collect();
        line("incident page", &self.each(&copies, PAGE, bare::incident_page).await);
        line("root causes", &self.each(&copies, ROOT_CAUSES, bare::root_causes).await);
        line("similar incidents", &self.similar(&copies).await);
        let mut random = Random(11);
        for (name, count) in [("search, 2 words", 2), ("search, 12 words", 12)] {
            let asked: Vec<String> = (0..questions + WARM_UP)
                .map(|_| self.recorded.some_words(count, &mut random).join(" "))
                .collect();
            line(name, &self.search(&asked).await);
        }
        let common = self.recorded.common_words(11).join(" ");
        let asked = vec![format!("{common} learned"); questions + WARM_UP];
        line("search, 12 common words", &self.search(&asked).await);
    }

    /// Asks in GraphQL and bare, in turn.
    async fn each(
        &self,
        copies: &[Copy],
        query: &str,
        statements: impl Fn(&Copy) -> Vec<Level>,
    ) -> Asked {
        let mut asked = Asked::default();
        for (n, copy) in copies.iter().enumerate() {
            let started = Instant::now();
            self.graphql(query, "id", &copy.incident).await;
            let graphql = started.elapsed();
            let bare = self.bare(&statements(copy)).await;
            if n >= WARM_UP {
                asked.graphql.add(graphql);
                asked.bare.add(bare);
            }
        }
        asked
    }

    async fn similar(&self, copies: &[Copy]) -> Asked {
        let mut asked = Asked::default();
        for (n, copy) in copies.iter().enumerate() {
            let started = Instant::now();
            let answer = self.graphql(SIMILAR, "id", &copy.incident).await;
            let graphql = started.elapsed();
            let found = keys(&answer, "incident");
            assert!(!found.is_empty(), "nothing is like {}", copy.incident);
            let bare = self.bare(&bare::similar(copy, &found)).await;
            let looks = copy.events.iter().rev().find_map(|event| match &event.data {
                events::EventData::DiagnosisProposed(data) => data.fingerprint.clone(),
                _ => None,
            });
            let nearest = NearestTo {
                told: None,
                fingerprint: serde_json::from_value(Value::Object(looks.unwrap())).unwrap(),
                at: u64::MAX,
                first: 5,
                min_score: 0.0,
                excluding: Some(copy.incident.parse().unwrap()),
                withheld: Arc::default(),
                of_known_kind: false,
            };
            let started = Instant::now();
            self.graph.index().nearest(nearest).await;
            let index = started.elapsed();
            if n >= WARM_UP {
                asked.add(graphql, bare, index);
            }
        }
        asked
    }

    async fn search(&self, questions: &[String]) -> Asked {
        let (mut asked, mut answered) = (Asked::default(), 0);
        for (n, question) in questions.iter().enumerate() {
            let started = Instant::now();
            let answer = self.graphql(SEARCH, "query", question).await;
            let graphql = started.elapsed();
            let found = keys(&answer, "node");
            answered += usize::from(!found.is_empty());
            let bare = self.bare(&bare::search(&found)).await;
            let query = Query::read(question).unwrap();
            let started = Instant::now();
            self.graph.index().search(query, Vec::new(), u64::MAX, 20).await;
            let index = started.elapsed();
            if n >= WARM_UP {
                asked.add(graphql, bare, index);
            }
        }
        assert!(answered > 0, "nothing answers any of {} questions", questions.len());
        asked
    }

    async fn graphql(&self, query: &str, variable: &str, value: &str) -> Value {
        let variables = serde_json::json!({ variable: value });
        let variables = async_graphql::Variables::from_json(variables);
        let response = self.schema.execute(Request::new(query).variables(variables)).await;
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        serde_json::to_value(response.data).unwrap()
    }

    async fn bare(&self, levels: &[Level]) -> std::time::Duration {
        let started = Instant::now();
        for level in levels {
            self.graph.bare(level).await.unwrap();
        }
        started.elapsed()
    }
}

async fn schema_over(graph: &Arc<Graph>, log: &Arc<EmbeddedLog>) -> FaultlineSchema {
    let projected = Projector::new(graph.clone(), log.clone()).await.projected();
    let limits = Limits::default();
    schema::graphql::schema(Base::new(
        graph.clone(),
        log.clone(),
        projected,
        Timestamp::now,
        limits,
    ))
}

/// The keys of the incidents in an answer that is a list.
fn keys(answer: &Value, field: &str) -> Vec<String> {
    let lists = answer.as_object().unwrap().values();
    let entries = lists.filter_map(Value::as_array).flatten();
    let keys = entries.filter_map(|entry| entry[field]["key"].as_str());
    let mut keys: Vec<String> = keys.map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    keys
}
