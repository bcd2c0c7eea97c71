//! QU-2: what was asked as of a position is answered the same for good, byte for byte: as it was
//! answered when the log ended there, whatever was recorded since, and by a rebuilt graph.

use async_graphql::Request;
use events::log::EventLog;
use events::{Event, EventId};
use proptest::prelude::*;
use schema::graphql::WithoutAudit;
use serde_json::{Value, json};

use super::base::{TestBase, event, id};
use super::history::shop;
use super::steps::{Step, step};

/// Every root field of the query type, with everything below it. `@()` stands for the moment.
const QUESTIONS: &[&str] = &[
    "head@()",
    "projectedPosition@()",
    "setAsideEvents@(first: 3) { nodes { event position code error } pageInfo { hasNextPage } }",
    "components@(first: 3) { nodes { ...component calls { nodes { ...call } }
        calledBy { nodes { ...call } } incidents { nodes { key status } }
        faults { nodes { ...fault } } } pageInfo { hasNextPage endCursor } }",
    "components@(filter: { kind: \"service\" }, after: \"~cart\") { nodes { name } }",
    "incidents@(first: 2) { nodes { ...incident } pageInfo { hasNextPage endCursor } }",
    "incidents@(filter: { status: OPEN, severity: ERROR }) { nodes { key openedAt } }",
    "incidents@(first: 1, after: \"2026-03-01T10:20:00Z~i2\") { nodes { key openedAt } }",
    "experiments@() { nodes { ...experiment faults { nodes { ...fault } } } }",
    "faults@() { nodes { ...fault triggered { nodes { key } } } }",
    "faults@(filter: { active: true }) { nodes { key } }",
    "labels@() { nodes { ...label } }",
    "labels@(filter: { incident: \"i1\" }, first: 1) { nodes { key } pageInfo { hasNextPage } }",
    "diagnoses@() { nodes { ...diagnosis } }",
    "runbooks@() { nodes { ...runbook } }",
    "runbooks@(filter: { component: \"cart\" }) { nodes { key } }",
    "component@(id: \"cart\") { ...component }",
    "incident@(id: \"i1\") { ...incident labels { nodes { ...label } }
        all: labels(retracted: true) { nodes { ...label } }
        diagnoses { nodes { ...diagnosis } } mitigations { nodes { ...mitigation } }
        triggeredBy { nodes { ...fault } } precededBy { nodes { id version leadMs } }
        timeline { nodes { summary position } } similar { ...similar } }",
    "experiment@(id: \"r1\") { ...experiment }",
    "fault@(id: \"l1\") { ...fault }",
    "label@(id: \"l1\") { ...label }",
    "diagnosis@(id: \"l1\") { ...diagnosis }",
    "runbook@(id: \"r1\") { ...runbook }",
    "auditEvents@() { nodes { id at actor action subject outcome provenance { ...provenance } }
        pageInfo { hasNextPage } }",
    "event@(id: \"00000000-0000-0000-0000-000000000003\") { id cloudEvent cause { id }
        effects(first: 2) { nodes { id position cause { id } effects { nodes { id } } }
            pageInfo { hasNextPage } } }",
    "timeline@(incident: \"i1\") { nodes { event at position summary by component { name } } }",
    "search@(query: \"cart slow restart learned timeout much\") { kind score field fields since
        event { id } terms { word contribution } snippet { text matched } node { __typename } }",
    "similarIncidents@(incident: \"i1\") { ...similar }",
    "faultKinds@(incident: \"i1\") { model faultKind kinds { faultKind probability } }",
    "faultKinds@(text: \"cart is slow\") { model faultKind kinds { faultKind probability } }",
    "similarIncidents@(symptoms: [{ component: \"cart\", signal: LATENCY, strength: 9 }]) {
        ...similar }",
    "rootCauses@(incident: \"i1\") { method abstained evidencePosition diagnosis { key }
        suspects { ...suspect } }",
    "rootCauses@(incident: \"i2\", method: \"max-z@1\") { method abstained
        suspects { ...suspect } }",
    "node@(id: \"incident:i1\") { id ... on Incident { ...incident verdict { rootCause { name }
        faultKind isFalsePositive severity counting { key } overruled { label { key } because } }
        feedback { nodes { by rightRank } } } }",
    "nodes@(ids: [\"component:cart\", \"label:l1\", \"fault:l1\", \"experiment:r1\"]) { id }",
    "alert@(id: \"a1\") { ...alert }",
    "alerts@(first: 2) { nodes { ...alert } pageInfo { hasNextPage } }",
    "alerts@(orderBy: { field: SEVERITY }, filter: { status: FIRING }) { nodes { key } }",
    "changes@() { nodes { id kind version component { name } provenance { ...provenance } } }",
    "maintenance@(filter: { active: true }) { nodes { key components { name } reason } }",
    "components@(orderBy: { field: LAST_SEEN, direction: DESC }, first: 2) { nodes { name } }",
    "components@(orderBy: { field: CRITICALITY, direction: DESC }) { nodes { name } }",
    "incidents@(orderBy: { field: SEVERITY }, first: 2) { nodes { key } pageInfo { endCursor } }",
    "incidents@(orderBy: { field: STATUS, direction: ASC }) { nodes { key status } }",
    "experiments@(orderBy: { field: FINISHED_AT }) { nodes { key } }",
    "goldenSignals@(component: \"cart\", from: \"2026-03-01T09:00:00Z\",
        to: \"2026-03-01T12:00:00Z\", points: 5) { points { at windows requests p95Ms events }
        outgoing { callee { name } points { at requests errors } }
        incoming { caller { name } points { at requests errors } } }",
    "retentions@(first: 2) { nodes { id at pruned { kind untilPosition recordedUntil events bytes
        pinnedEvents } provenance { ...provenance } } }",
    "objectives@(first: 3) { nodes { name component { name } indicator thresholdMs objective windowMs
        definedAt standing { requests } lastBurn { at rate windowMs budgetLeftRatio }
        provenance { ...provenance } } }",
    "models@(first: 2) { nodes { key method trainedAt dataFromPosition dataToPosition rejected
        metrics { name value before } weights { name weight } provenance { ...provenance } } }",
    "trackRecord@(from: \"2026-01-01T00:00:00Z\") { all { key incidents falsePositives
        timeToDetect { count p50Ms } timeToResolve { count p50Ms } first { hits of ratio low high }
        firstThree { hits of } faultKind { hits of } similar { hits of } } byMonth { key incidents } byDetector { key unexplained }
        byFaultKind { faultKind faults unnoticed }
        byModel { key incidents } faults unnoticedFaults }",
    "modelInUse@()",
    "modelSelections@(first: 2) { nodes { choice model by reason at
        provenance { ...provenance } } }",
    "coverage@(first: 60) { nodes { component { name } faultKind state lastVerdict lastRun { key }
        lastExercisedAt runs realIncidents lastRealIncidentAt } }",
    "blastRadius@(component: \"cart\") { affected { nodes { component { name kind } distance path
        observedIn { nodes { key } } } } entrances { name } entranceShare }",
    "criticalPoints@() { nodes { component { name } behind membersBehind
        separates { size members } } }",
    "recovery@(component: \"cart\") { incidents faults timeToDetect { count p50Ms }
        timeToResolve { count p90Ms } actions { action count } }",
];

/// Fields that speak of no moment.
const TIMELESS: &[&str] = &["methods"];

const FRAGMENTS: &[(&str, &str)] = &[
    ("provenance", "fragment provenance on Provenance { since until events eventCount }"),
    (
        "component",
        "fragment component on Component { name kind owner version firstSeen lastSeen discoveredBy
            provenance { ...provenance } }",
    ),
    (
        "alert",
        "fragment alert on Alert { key name status severity component { name } firedAt resolvedAt
            provenance { ...provenance } }",
    ),
    (
        "call",
        "fragment call on Call { caller { name } callee { name } protocol firstSeen lastSeen
            provenance { ...provenance } }",
    ),
    (
        "fault",
        "fragment fault on Fault { key kind component { name } experiment { key } parameters
            injectedAt clearedAt clearedBy verified provenance { ...provenance } }",
    ),
    (
        "experiment",
        "fragment experiment on Experiment { key title tags plannedAt startedAt finishedAt outcome
            steadyStates { phase at event } provenance { ...provenance } }",
    ),
    (
        "label",
        "fragment label on Label { key claim incident { key status } component { name } faultKind
            severity by confidence fault { key clearedAt } retractedAt retractedBy
            provenance { ...provenance } }",
    ),
    (
        "suspect",
        "fragment suspect on Suspect { rank component { name owner } score faultKind path evidence
            terms { name contribution evidence } provenance { ...provenance } }",
    ),
    (
        "similar",
        "fragment similar on SimilarIncident { incident { key title status } score
            reasons { name contribution evidence } rootCause { name } faultKind
            fixedBy { action } provenance { ...provenance } }",
    ),
    (
        "diagnosis",
        "fragment diagnosis on Diagnosis { key incident { key } method abstained proposedAt
            suspects { ...suspect } similar { ...similar } provenance { ...provenance } }",
    ),
    (
        "mitigation",
        "fragment mitigation on Mitigation { id kind action runbook { ...runbook } by at
            provenance { ...provenance } }",
    ),
    (
        "runbook",
        "fragment runbook on Runbook { key title text faultKinds component { name } publishedAt
            provenance { ...provenance } }",
    ),
    (
        "incident",
        "fragment incident on Incident { key title status severity component { name } openedAt
            acknowledgedAt acknowledgedBy mitigatedAt mitigatedBy resolvedAt resolvedBy reopenedAt
            mergedInto { key status } evidence postmortem { title text author at event }
            affects { component { name } strength symptoms { signal strength at event evidence }
                provenance { ...provenance } }
            provenance { ...provenance } }",
    ),
];

/// The question with the fragments that it uses, as of a position or now.
fn query(question: &str, position: Option<u64>) -> String {
    let moment = position.map_or(String::new(), |it| format!("asOf: {{ position: {it} }}"));
    let alone = if moment.is_empty() { String::new() } else { format!("({moment})") };
    let with_others = if moment.is_empty() { "(".to_owned() } else { format!("({moment}, ") };
    let mut text = format!("{{ {question} }}").replace("@()", &alone).replace("@(", &with_others);
    let mut used = Vec::new();
    loop {
        let next = FRAGMENTS.iter().find(|(name, _)| {
            !used.contains(name)
                && (text.contains(&format!("...{name} ")) || text.contains(&format!("...{name}\n")))
        });
        let Some((name, fragment)) = next else { return text };
        used.push(*name);
        text = format!("{text}\n{fragment}");
    }
}

/// What is answered to every question, as clients get it.
async fn answers(base: &TestBase, position: Option<u64>) -> Vec<String> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        let answer = base.ask(&query(question, position)).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(code.is_null() || code == "not_found", "{question}: {answer:#}");
        answers.push(serde_json::to_string(&answer).unwrap());
    }
    answers
}

fn held(asked: u64, then: &[String], later: &[String], what: &str) {
    for ((question, then), later) in QUESTIONS.iter().zip(then).zip(later) {
        assert_eq!(then, later, "as of {asked}, {what}: {question}");
    }
}

/// Records `history` one event after another, asking now at `positions`; then asks as of them.
async fn replayed(history: Vec<Event>, positions: &[u64]) {
    let base = TestBase::of(Vec::new()).await;
    let mut then = Vec::new();
    for event in history {
        let position = base.record(event).await;
        if positions.contains(&position) {
            then.push((position, answers(&base, None).await));
        }
    }
    let (rebuilt, now) = (base.rebuilt().await, answers(&base, None).await);
    if let Some((asked, then)) = then.iter().min_by_key(|(position, _)| *position)
        && base.log.head() > asked + 30
    {
        let changed = then.iter().zip(&now).filter(|(then, now)| then != now).count();
        assert!(changed > 5, "what followed {asked} changes few answers: {changed}");
    }
    for (position, then) in &then {
        held(*position, then, &answers(&base, Some(*position)).await, "after all that followed");
        held(*position, then, &answers(&rebuilt, Some(*position)).await, "after a rebuild");
    }
}

fn told(steps: Vec<Step>) -> Vec<Event> {
    let first = event(1, 0, "component.described", json!({ "component": "users" }));
    let numbered = (2u128..).zip(steps).map(|(number, step)| {
        let mut event = event(number, step.second, step.event_type, step.data);
        event.causation_id = step.cause.map(|cause| id(1 + cause as u128 % (number - 1)));
        event
    });
    std::iter::once(first).chain(numbered).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_as_of_a_position_stays_what_it_was(
        steps in prop::collection::vec(step(), 40..80),
        at in prop::collection::vec(0.0..1.0f64, 3),
    ) {
        let history = told(steps);
        let positions: Vec<u64> =
            at.iter().map(|share| 1 + (share * history.len() as f64) as u64).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(replayed(history, &positions));
    }
}

#[tokio::test]
async fn an_answer_before_a_label_does_not_change_when_the_label_arrives() {
    let label = json!({
        "label": "late", "incident": "inc-2", "by": "kim", "confidence": 1.0,
        "claim": { "claim": "root_cause", "component": "payments" },
    });
    let ask = |position: &str| {
        format!(
            r#"{{ incident(id: "inc-2"{position}) {{ key status labels {{ nodes {{ key }} }}
                provenance {{ events eventCount }} }}
                similarIncidents(incident: "inc-1"{position}) {{ score rootCause {{ name }} }}
                labels{} {{ nodes {{ key }} }} }}"#,
            if position.is_empty() { String::new() } else { format!("({})", &position[2..]) },
        )
    };
    let base = TestBase::of(shop()).await;
    let head = base.data("{ head }").await["head"].as_u64().unwrap();
    let before = base.data(&ask("")).await.to_string();
    let as_of = ask(&format!(", asOf: {{ position: {head} }}"));
    assert_eq!(base.data(&as_of).await.to_string(), before);
    base.record(event(700, 900, "label.assigned", label)).await;
    assert_ne!(base.data(&ask("")).await.to_string(), before, "the label shows");
    assert_eq!(base.data(&as_of).await.to_string(), before);
    assert_eq!(base.rebuilt().await.data(&as_of).await.to_string(), before);
}

#[tokio::test]
async fn every_root_field_is_asked() {
    let base = TestBase::of(Vec::new()).await;
    let data = base.data("{ __schema { queryType { fields { name args { name } } } } }").await;
    for field in data["__schema"]["queryType"]["fields"].as_array().unwrap() {
        let name = field["name"].as_str().unwrap();
        let takes =
            |arg: &str| field["args"].as_array().unwrap().iter().any(|it| it["name"] == arg);
        let timeless = TIMELESS.contains(&name);
        let asked = QUESTIONS.iter().any(|question| question.starts_with(&format!("{name}@(")));
        assert!(asked != timeless, "{name}: no question of QUESTIONS asks it");
        assert_eq!(takes("asOf"), !timeless, "{name}: asOf");
        assert_eq!(takes("waitFor"), !timeless, "{name}: waitFor");
    }
}

#[tokio::test]
async fn an_event_leads_to_what_it_caused() {
    let mut history = shop();
    let cause: EventId = history[0].id;
    for event in &mut history[5..9] {
        event.causation_id = Some(cause);
    }
    let base = TestBase::of(history).await;
    let ask = |arguments: &str| {
        format!(
            "{{ event(id: \"{cause}\"{arguments}) {{ effects(first: 3) {{
                nodes {{ position cause {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        )
    };
    let effects = |data: &Value| -> Vec<u64> {
        let nodes = data["event"]["effects"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["position"].as_u64().unwrap()).collect()
    };
    let data = base.data(&ask("")).await;
    assert_eq!(effects(&data), [6, 7, 8]);
    assert_eq!(data["event"]["effects"]["pageInfo"]["hasNextPage"], true);
    let then = base.data(&ask(", asOf: { position: 7 }")).await;
    assert_eq!(effects(&then), [6, 7]);
    let after = data["event"]["effects"]["pageInfo"]["endCursor"].to_string();
    let rest = base
        .data(&format!(
            "{{ event(id: \"{cause}\") {{ effects(after: {after}) {{ nodes {{ position }} }} }} }}"
        ))
        .await;
    assert_eq!(effects(&rest), [9]);
}

/// Events that the caller may not see take no place on a page and do not end the list.
#[tokio::test]
async fn hidden_effects_do_not_end_the_list_of_the_others() {
    let mut history = shop();
    let cause: EventId = history[0].id;
    for (number, hidden) in [(800, true), (801, true), (802, false), (803, true), (804, false)]
        .into_iter()
        .chain([(805, true)])
    {
        let mut effect = match hidden {
            true => event(
                number,
                900,
                "audit.recorded",
                json!({ "actor": "ada", "action": "label.assign", "outcome": "done" }),
            ),
            false => event(
                number,
                900,
                "component.described",
                json!({ "component": format!("part-{number}"), "kind": "service" }),
            ),
        };
        effect.causation_id = Some(cause);
        history.push(effect);
    }
    let base = TestBase::of(history).await;
    let page = async |after: &str| {
        let query = format!(
            "{{ event(id: \"{cause}\") {{ effects(first: 1{after}) {{
                nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        let request = Request::new(query).data(WithoutAudit);
        let answer = serde_json::to_value(base.schema.execute(request).await).unwrap();
        let effects = &answer["data"]["event"]["effects"];
        let cursor = effects["pageInfo"]["endCursor"].to_string();
        let more = effects["pageInfo"]["hasNextPage"].clone();
        (effects["nodes"].clone(), more, format!(", after: {cursor}"))
    };
    let (nodes, more, after) = page("").await;
    assert_eq!((nodes, more), (json!([{ "id": id(802) }]), json!(true)));
    let (nodes, more, _) = page(&after).await;
    assert_eq!((nodes, more), (json!([{ "id": id(804) }]), json!(false)));
}
