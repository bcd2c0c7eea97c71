//! Full text that knows what is meant.

use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::harness::{JSON, Server, event, settings};
use crate::rebuild::ended;

const ASK: &str = "{ search(query: \"storage ran out of space\", waitFor: 2) {
    score fields terms { contribution } meaning { cosine contribution }
    snippet { text matched } node { ... on Incident { key } } } }";

async fn with_incidents(server: &Server) {
    for (key, title) in [("i-1", "checkout answers slowly"), ("i-2", "database disk is full")] {
        let opened = json!({ "incident": key, "title": title, "component": "checkout",
                             "severity": "error", "opened_by": "alice" });
        assert_eq!(server.append(&event("incident.opened", opened)).await.status, 200);
    }
}

async fn found(server: &Server, ask: &str) -> Vec<Value> {
    let answer = server.graphql(ask).await;
    answer["search"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

#[tokio::test]
async fn a_text_is_found_that_says_it_in_other_words_and_after_a_rebuild_as_well() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    with_incidents(&server).await;
    let hits = found(&server, ASK).await;
    assert_eq!(hits.len(), 1, "{hits:?}");
    let hit = &hits[0];
    assert_eq!(hit["node"]["key"], "i-2");
    assert_eq!((&hit["terms"], &hit["fields"]), (&json!([]), &json!([])));
    assert_eq!(hit["score"], hit["meaning"]["contribution"]);
    assert!(hit["meaning"]["cosine"].as_f64().unwrap() >= 0.4, "{hit}");
    assert_eq!(hit["snippet"], json!([{ "text": "database disk is full", "matched": false }]));
    assert_eq!(server.post("/v1/admin/rebuild", JSON, "").await.status, 202);
    assert_eq!(ended(&server).await["status"], "done");
    assert_eq!(found(&server, ASK).await, hits);
}

#[tokio::test]
async fn words_alone_count_where_that_is_configured() {
    let server = Server::start_with(|config| {
        config.reactors.enabled = false;
        config.search.embedding = server::config::Embedding::Off;
    })
    .await;
    with_incidents(&server).await;
    assert_eq!(found(&server, ASK).await, Vec::<Value>::new());
    let hits = found(&server, &ASK.replace("storage", "disk")).await;
    assert_eq!((&hits[0]["meaning"], &hits[0]["fields"]), (&Value::Null, &json!(["title"])));
}

#[tokio::test]
async fn an_embedding_that_is_not_there_is_an_error_at_the_start() {
    let (mut config, data) = settings();
    config.search.embedding = server::config::Embedding::Folder(data.path().join("potion"));
    let error = server::run(config, &Handle::current()).await.err().expect("refused");
    assert_eq!(error.to_string(), "search.embedding");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("potion"), "{cause}");
}
