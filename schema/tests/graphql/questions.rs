//! What is asked of a history, and the answers in full.

use serde_json::json;

use super::base::{TestBase, id};
use super::history::{FIRST_DIAGNOSIS, SNAPSHOT, UNPROJECTABLE, shop};

#[tokio::test]
async fn an_incident_with_everything_around_it() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ incident(id: "inc-1") {
                id key title status severity openedBy openedAt acknowledgedAt acknowledgedBy
                resolvedAt resolvedBy resolution evidence
                component { id name owner criticality }
                affects { component { name } strength
                    symptoms { signal strength observed baseline at event evidence } }
                labels { nodes { key claim component { name } faultKind by confidence
                    fault { key kind } assignedAt retractedAt } }
                diagnoses { nodes { key method suspects { rank component { name } } } }
                mitigations { nodes { kind action by runbook { title } component { name } } }
                triggeredBy { nodes { key kind component { name } injectedAt clearedAt action
                    experiment { key title outcome } } }
                preceded: precededBy { nodes { version } }
                provenance { since until events eventCount }
            } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn who_is_suspected_and_why() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ rootCauses(incident: "incident:inc-2") {
                method evidencePosition abstained
                diagnosis { key proposedAt similar { score incident { key } } }
                suspects { rank component { name kind } score faultKind path evidence
                    terms { name contribution evidence } }
            }
            incident(id: "inc-2") { precededBy { nodes {
                kind version previousVersion leadMs component { name } } } }
            }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn when_it_was_seen_before_and_what_fixed_it() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ diagnosis(id: "diag-2") { similar { score reasons { name contribution evidence }
                incident { key title } rootCause { name } faultKind
                fixedBy { action runbook { key text } } } } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn similar_incidents_to_an_incident_and_to_symptoms() {
    let base = TestBase::of(shop()).await;
    let fields = "score incident { key } rootCause { name } reasons { name }";
    let data = base
        .data(&format!(
            r#"{{
                incident: similarIncidents(incident: "inc-2", first: 3) {{ {fields} }}
                symptoms: similarIncidents(symptoms: [
                    {{ component: "payments", signal: LATENCY, strength: 14 }},
                    {{ component: "gateway", signal: LATENCY, strength: 20 }}
                ], first: 1) {{ {fields} }}
                none: similarIncidents(symptoms: [
                    {{ component: "users", signal: MEMORY, strength: 30 }}
                ], minScore: 1.0) {{ {fields} }}
            }}"#
        ))
        .await;
    assert_eq!(data["incident"][0]["incident"]["key"], "inc-1", "{data:#}");
    assert_eq!(data["incident"][0]["rootCause"]["name"], "payments");
    let score = |list: &str| data[list][0]["score"].as_f64().unwrap();
    assert!(score("incident") > 0.7, "the same fingerprint: {data:#}");
    assert!(score("symptoms") > 0.5, "the same signals in the same roles: {data:#}");
    assert!(score("symptoms") <= score("incident"), "described less exactly: {data:#}");
    assert!(!data["incident"][0]["reasons"].as_array().unwrap().is_empty());
    assert_eq!(data["none"], json!([]));
}

#[tokio::test]
async fn the_timeline_runs_from_the_opening_to_the_end() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ timeline(incident: "inc-1") { nodes {
                at position eventType summary by event component { name } } } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn components_experiments_faults_runbooks() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{
            components { nodes { name kind attributes { name value } version
                calls { nodes { callee { name } protocol } }
                calledBy { nodes { caller { name } } }
                incidents { nodes { key } } faults { nodes { key } } } }
            experiments { nodes { key title hypothesis tags plannedAt startedAt finishedAt outcome
                steadyStates { phase held probes { name held value tolerance } }
                faults { nodes { key parameters deadlineMs clearedBy verified
                    triggered { nodes { key } } } } } }
            active: faults(filter: { active: true }) { nodes { key } }
            cleared: faults(filter: { active: false, component: "payments", kind: "latency" }) { nodes { key } }
            runbooks(filter: { faultKind: "latency" }) { nodes { key title faultKinds component { name } } }
            other: runbooks(filter: { faultKind: "flood" }) { nodes { key } }
            labels(filter: { faultKind: "latency" }) { nodes { key incident { key } } }
            diagnoses(filter: { incident: "inc-1" }) { nodes { key } }
            open: incidents(filter: { status: OPEN, severity: CRITICAL, component: "gateway" }) { nodes { key } }
            }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn an_event_leads_to_its_cause_and_is_shown_whole() {
    let mut history = shop();
    let caused = history.iter_mut().find(|event| event.id == id(FIRST_DIAGNOSIS)).unwrap();
    caused.causation_id = Some(id(SNAPSHOT));
    let base = TestBase::of(history).await;
    let data = base
        .data(&format!(
            r#"{{ event(id: "{}") {{ eventType stream revision position time recordedAt source
                cause {{ id eventType cause {{ id }} cloudEvent }} }}
                head projectedPosition }}"#,
            id(FIRST_DIAGNOSIS)
        ))
        .await;
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn what_could_not_be_projected_is_listed() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data("{ setAsideEvents { nodes { event position eventType stream code error } } }")
        .await;
    assert_eq!(data["setAsideEvents"]["nodes"][0]["event"], id(UNPROJECTABLE).to_string());
    insta::assert_json_snapshot!(data);
}

#[tokio::test]
async fn what_is_unknown_is_null_and_in_an_argument_an_error() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(&format!(
            r#"{{ incident(id: "inc-9") {{ key }} component(id: "nobody") {{ name }}
                label(id: "label:nothing") {{ key }} event(id: "{}") {{ id }} }}"#,
            id(999)
        ))
        .await;
    assert_eq!(data, json!({ "incident": null, "component": null, "label": null, "event": null }));
    for query in [
        r#"{ timeline(incident: "inc-9") { nodes { at } } }"#,
        r#"{ rootCauses(incident: "inc-9") { method } }"#,
        r#"{ similarIncidents(incident: "inc-9") { score } }"#,
    ] {
        let (code, field) = base.refusal(query).await;
        assert_eq!((code.as_str(), field.as_deref()), ("not_found", Some("incident")), "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let base = TestBase::of(shop()).await;
    let mut seen = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let data = base
            .data(&format!(
                r#"{{ components(first: 2, after: {after}) {{ nodes {{ name }}
                    pageInfo {{ hasNextPage endCursor }} }} }}"#
            ))
            .await;
        let page = &data["components"];
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|n| n["name"].clone()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].to_string();
    }
    assert_eq!(seen, ["gateway", "payments", "users"]);
    let newest = base
        .data("{ incidents(first: 1) { nodes { key } pageInfo { endCursor hasNextPage } } }")
        .await;
    assert_eq!(newest["incidents"]["nodes"], json!([{ "key": "inc-2" }]));
    let cursor = &newest["incidents"]["pageInfo"]["endCursor"];
    let older = base
        .data(&format!("{{ incidents(first: 1, after: {cursor}) {{ nodes {{ key }} }} }}"))
        .await;
    assert_eq!(older["incidents"]["nodes"], json!([{ "key": "inc-1" }]));
}
