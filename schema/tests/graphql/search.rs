//! Full text over incidents, post-mortems, runbooks and log patterns.

use diagnosis::search::Meaning;
use events::log::EventLog;
use serde_json::{Value, json};

use super::base::{TestBase, event};
use super::history::shop;

/// The shop, with a log pattern and a post-mortem at the end.
fn told() -> Vec<events::Event> {
    let mut history = shop();
    let window = json!({ "start": "2026-03-01T10:05:00Z", "duration_ms": 10000 });
    history.push(event(
        50,
        310,
        "logs.patternsrecorded",
        json!({
            "component": "payments", "window": window,
            "patterns": [{ "template": "PaymentTimeout after <*> ms", "severity": "error", "count": 3 }],
        }),
    ));
    history.push(event(
        51,
        320,
        "incident.postmortempublished",
        json!({
            "incident": "inc-1", "title": "Pool of payments", "author": "kim",
            "text": "It began calmly.\n\nThen the connection pool was exhausted and payments timed out.",
        }),
    ));
    history
}

const ASK: &str = r#"query($query: String!, $kinds: [SearchKind!], $asOf: AsOf) {
    search(query: $query, kinds: $kinds, asOf: $asOf) {
        kind score field fields since event { eventType } terms { word contribution }
        meaning { cosine contribution }
        snippet { text matched }
        node {
            __typename
            ... on Incident { key title provenance { since } }
            ... on Runbook { key }
            ... on LogTemplate { template component { name } }
        }
    }
}"#;

async fn search(base: &TestBase, variables: Value) -> Vec<Value> {
    let answer = base.ask_with(ASK, variables).await;
    assert_eq!(answer.get("errors"), None, "{answer:#}");
    answer["data"]["search"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_kind_of_text_is_found_with_what_it_belongs_to() {
    let base = TestBase::of(told()).await;
    let hits = search(&base, json!({ "query": "payments timeout" })).await;
    let types: Vec<&str> =
        hits.iter().map(|hit| hit["node"]["__typename"].as_str().unwrap()).collect();
    assert!(types.contains(&"LogTemplate") && types.contains(&"Runbook"), "{types:?}");
    let pattern = hits.iter().find(|hit| hit["kind"] == "LOG_PATTERN").unwrap();
    assert_eq!(pattern["node"]["template"], "PaymentTimeout after <*> ms");
    assert_eq!(pattern["node"]["component"]["name"], "payments");

    let hits = search(&base, json!({ "query": "exhausted pools" })).await;
    assert_eq!(hits[0]["kind"], "POSTMORTEM");
    assert_eq!(hits[0]["node"]["key"], "inc-1");
    assert_eq!(hits[0]["field"], "text");
    assert_eq!(hits[0]["fields"], json!(["text", "title"]));
    assert_eq!(hits[0]["event"]["eventType"], "io.faultline.incident.postmortempublished.v1");
    let shown: String = hits[0]["snippet"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["text"].as_str().unwrap())
        .collect();
    assert_eq!(shown, "Then the connection pool was exhausted and payments timed out.");
    let terms = hits[0]["terms"].as_array().unwrap();
    let sum: f64 = terms.iter().map(|term| term["contribution"].as_f64().unwrap()).sum();
    assert!((sum - hits[0]["score"].as_f64().unwrap()).abs() < 1e-9);

    let only = search(&base, json!({ "query": "payments", "kinds": ["RUNBOOK"] })).await;
    assert_eq!(only.len(), 1);
    assert_eq!(only[0]["node"]["key"], "slow-payments");
}

/// QU-2.
#[tokio::test]
async fn an_earlier_answer_stays_what_it_was() {
    let base = TestBase::of(told()).await;
    let head = base.log.head();
    let then = search(&base, json!({ "query": "payments", "asOf": { "position": head } })).await;
    let early = json!({ "query": "exhausted", "asOf": { "position": head - 1 } });
    assert!(search(&base, early.clone()).await.is_empty());
    let add = r#"mutation { assignLabel(input: { incident: "inc-1",
        claim: { rootCause: "gateway" }, by: "kim" }) { projected } }"#;
    base.data(add).await;
    let again = search(&base, json!({ "query": "payments", "asOf": { "position": head } })).await;
    assert_eq!(again, then);
    assert!(search(&base, early).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_asked_says_what_can() {
    let base = TestBase::of(told()).await;
    let long = "a".repeat(1_001);
    let many: Vec<String> = (100..140).map(|n| n.to_string()).collect();
    let many = many.join(" ");
    for (arguments, field) in [
        (r#"query: """#.to_owned(), "query"),
        (r#"query: "?! …""#.to_owned(), "query"),
        (format!("query: {long:?}"), "query"),
        (format!("query: {many:?}"), "query"),
        (r#"query: "a", first: 0"#.to_owned(), "first"),
        (r#"query: "a", kinds: []"#.to_owned(), "kinds"),
    ] {
        let refusal = base.refusal(&format!("{{ search({arguments}) {{ score }} }}")).await;
        assert_eq!(refusal, ("invalid_input".to_owned(), Some(field.to_owned())), "{arguments}");
    }
    assert!(search(&base, json!({ "query": "nobody wrote this word: zyxw" })).await.is_empty());
    assert!(search(&base, json!({ "query": "\u{0}\u{202e}𝕏 or 'DROP'" })).await.is_empty());
}

/// What is slow is one thing, everything else another.
#[derive(Debug)]
struct Slowness;

impl Meaning for Slowness {
    fn of(&self, text: &str) -> Option<Vec<f32>> {
        let slow = ["slow", "timed out", "sluggish"].iter().any(|word| text.contains(word));
        Some(if slow { vec![1.0, 0.1] } else { vec![0.0, 1.0] })
    }

    fn dimensions(&self) -> usize {
        2
    }

    fn least_near(&self) -> f64 {
        0.9
    }
}

#[tokio::test]
async fn what_means_the_same_is_found_as_of_any_moment() {
    let mut history = told();
    let published = history.pop().unwrap();
    let base = TestBase::of(history).await;
    base.graph.index().understand(std::sync::Arc::new(Slowness));
    let head = base.log.head();
    let ask = json!({ "query": "sluggish", "kinds": ["POSTMORTEM"] });
    let before = search(&base, json!({ "query": "sluggish", "asOf": { "position": head } })).await;
    base.record(published).await;
    let hits = search(&base, ask).await;
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!((&hits[0]["terms"], &hits[0]["fields"]), (&json!([]), &json!([])));
    assert_eq!(hits[0]["meaning"]["contribution"], hits[0]["score"]);
    assert_eq!(
        hits[0]["snippet"][0]["text"],
        "Then the connection pool was exhausted and payments timed out."
    );
    let both = search(&base, json!({ "query": "sluggish pool", "kinds": ["POSTMORTEM"] })).await;
    let of = |value: &Value| value["contribution"].as_f64().unwrap();
    let words: f64 = both[0]["terms"].as_array().unwrap().iter().map(of).sum();
    let sum = words + of(&both[0]["meaning"]);
    assert!(words > 0.0 && (sum - both[0]["score"].as_f64().unwrap()).abs() < 1e-9, "{both:?}");
    let again = search(&base, json!({ "query": "sluggish", "asOf": { "position": head } })).await;
    assert_eq!(again, before);
}

#[tokio::test]
async fn a_page_of_hits_costs_a_fixed_number_of_statements() {
    let base = TestBase::of(told()).await;
    let ask = r#"{ search(query: "payments gateway slow timeout pool") {
        node { ... on Incident { key } ... on Runbook { key } } } }"#;
    let statements = base.statements(ask).await;
    assert!(statements <= 2, "one for incidents and one for runbooks, not {statements}");
}
