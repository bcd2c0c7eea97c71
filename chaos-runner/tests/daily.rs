//! What one does with it every day: plan, abort, run side by side, run at times, import.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/program.rs"]
mod program;
#[path = "support/sink.rs"]
mod sink;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use chaos_runner::shop::control::ControlClient;
use events::EventData;
use events::catalogue::experiment::ClearedBy;
use nix::sys::signal::Signal;
use program::{Program, SLOW_PAYMENTS, experiment, open_shop};
use serde_json::{Value, json};
use sink::Sink;
use tokio::net::TcpListener;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// All lines of a program that ends by itself.
async fn lines(mut program: Program) -> (Option<i32>, Vec<Value>) {
    let mut lines = Vec::new();
    while let Some(line) = program.lines.next_line().await.unwrap() {
        lines.push(serde_json::from_str(&line).unwrap());
    }
    (program.child.wait().await.unwrap().code(), lines)
}

fn cell(component: &str, criticality: &str, kind: &str, state: &str, real: u64) -> Value {
    json!({"node": {
        "component": {"name": component, "criticality": criticality},
        "faultKind": kind, "state": state, "realIncidents": real,
        "lastVerdict": if state == "NEVER" { Value::Null } else { "HELD".into() },
        "lastExercisedAt": if state == "NEVER" { Value::Null } else { "2026-01-01T00:00:00Z".into() },
    }})
}

/// A server that answers `coverage` in two pages, to whoever has the token.
async fn coverage(headers: HeaderMap, Json(request): Json<Value>) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|it| it != "Bearer s3cret") {
        let error = json!({"error": {"code": "unauthorized", "message": "a token is needed"}});
        return (StatusCode::UNAUTHORIZED, Json(error));
    }
    assert!(request["query"].as_str().unwrap().contains("staleAfterDays: $stale"));
    assert_eq!(request["variables"]["stale"], 7);
    let first = request["variables"]["after"].is_null();
    let edges = if first {
        vec![
            cell("cart", "MEDIUM", "latency", "STALE", 0),
            cell("cart", "MEDIUM", "pool_exhaustion", "NEVER", 0),
        ]
    } else {
        assert_eq!(request["variables"]["after"], "c1");
        vec![cell("gateway", "CRITICAL", "flood", "NEVER", 2)]
    };
    let page = json!({"hasNextPage": first, "endCursor": if first { "c1" } else { "c2" }});
    (StatusCode::OK, Json(json!({"data": {"coverage": {"edges": edges, "pageInfo": page}}})))
}

#[tokio::test]
async fn a_plan_ranks_what_the_server_knows_and_writes_files_that_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(Router::new().route("/graphql", post(coverage))).await;
    let plan = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(program::PROGRAM);
        command.args(["plan", "--server", &url, "--stale-after-days", "7"]).args(arguments);
        command.env("FAULTLINE_TOKEN", "s3cret").current_dir(folder.path());
        command
    };
    let output = plan(&["--json", "--write", "planned"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let plan_json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan_json["without_driver"], 1);
    let proposals = plan_json["proposals"].as_array().unwrap();
    let cells: Vec<_> = proposals.iter().map(|it| (&it["component"], &it["fault_kind"])).collect();
    assert_eq!(cells, [(&json!("gateway"), &json!("flood")), (&json!("cart"), &json!("latency"))]);
    for proposal in proposals {
        let file = folder.path().join(proposal["file"].as_str().unwrap());
        let validate = ["validate", file.to_str().unwrap()];
        let checked = tokio::process::Command::new(program::PROGRAM).args(validate).output();
        assert!(checked.await.unwrap().status.success(), "{proposal}");
    }
    let table = String::from_utf8(plan(&["--write", "planned"]).output().await.unwrap().stdout);
    let table = table.unwrap();
    assert!(table.contains("2 real incidents of this kind"), "{table}");
    assert!(table.contains("left as it is: planned/flood-gateway.yaml"), "{table}");

    let refused = plan(&[]).env("FAULTLINE_TOKEN", "wrong").output().await.unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(said.contains("asks for a token") && !said.contains("wrong"), "{said}");
}

#[tokio::test]
async fn a_met_abort_condition_ends_the_run_at_the_next_check() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    // Fine three times, then not: how often it is asked after that is how late the end comes.
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = {
        let asked = asked.clone();
        move || async move {
            let good = asked.fetch_add(1, Ordering::SeqCst) < 3;
            if good { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
        }
    };
    let url = serve(Router::new().route("/", get(answer))).await;
    let condition = format!(
        "span_ms: 1500, abort: [{{name: the till is open, type: probe, tolerance: 200, \
         provider: {{type: http, url: \"{url}\"}}}}]"
    );
    let text = SLOW_PAYMENTS.replace("DURATION", "300000").replace("span_ms: 1500", &condition);
    let file = folder.path().join("abort.yaml");
    std::fs::write(&file, text).unwrap();
    let sink = Sink::start().await;
    let arguments = ["run", file.to_str().unwrap(), "--shop", &control, "--server", &sink.url];
    let (code, story) = lines(Program::start(folder.path(), &arguments)).await;
    assert_eq!(code, Some(4));
    assert_eq!(asked.load(Ordering::SeqCst), 4, "the check that saw it was the last");
    let place = |name: &str| story.iter().position(|line| line["event"] == name).unwrap();
    assert!(place("stopping") < place("fault_cleared"));
    let reason = story[place("stopping")]["reason"].as_str().unwrap();
    assert_eq!(reason, "abort condition: the till is open was 500, expected 200");
    let cleared = sink.events().into_iter().find_map(|event| match event.data {
        EventData::FaultCleared(cleared) => Some(cleared.cleared_by),
        _ => None,
    });
    assert_eq!(cleared, Some(ClearedBy::Interrupt));
    assert_eq!(ControlClient::new(control).faults().await.unwrap(), []);
}

#[tokio::test]
async fn a_condition_that_cannot_be_checked_ends_the_run_too() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let condition = "span_ms: 1500, abort: [{name: the till is open, type: probe, tolerance: 200, \
                     provider: {type: http, url: \"http://127.0.0.1:9\"}}]";
    let text = SLOW_PAYMENTS.replace("DURATION", "300000").replace("span_ms: 1500", condition);
    let file = folder.path().join("blind.yaml");
    std::fs::write(&file, text).unwrap();
    let arguments = ["run", file.to_str().unwrap(), "--shop", &control];
    let (code, story) = lines(Program::start(folder.path(), &arguments)).await;
    assert_eq!(code, Some(4));
    let reason = &story.iter().find(|line| line["event"] == "stopping").unwrap()["reason"];
    assert!(reason.as_str().unwrap().starts_with("abort condition: could not be checked"));
}

fn latency(folder: &Path, name: &str, component: &str, duration_ms: u64) -> String {
    let text = format!(
        "title: {name}\ndescription: D\nmethod:\n  - name: slow\n    type: action\n    provider: \
         {{type: faultline, fault: latency, component: {component}, duration_ms: {duration_ms}}}\n"
    );
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn disjoint_experiments_run_together_and_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let one = latency(folder.path(), "one", "payments", 3_000);
    let same = latency(folder.path(), "same", "payments", 200);
    let other = latency(folder.path(), "other", "catalog", 3_000);
    let arguments = ["run", &one, &same, &other, "--shop", &control, "--parallel", "3"];
    let (code, story) = lines(Program::start(folder.path(), &arguments)).await;
    assert_eq!(code, Some(0));
    let place = |run: &str, event: &str| {
        let of_run = |line: &Value| {
            let run_id = line["experiment"].as_str().unwrap_or_default();
            run_id.starts_with(&format!("{run}-")) && line["event"] == event
        };
        story.iter().position(of_run).unwrap_or_else(|| panic!("{run} {event}: {story:#?}"))
    };
    assert!(place("other", "fault_injected") < place("one", "fault_cleared"), "together");
    assert!(place("one", "fault_injected") < place("other", "fault_cleared"), "together");
    assert!(place("one", "fault_cleared") < place("same", "fault_injected"), "it waits");
    let finished = story.iter().filter(|line| line["event"] == "finished").count();
    assert_eq!(finished, 3, "an outcome each");
}

#[tokio::test]
async fn an_interrupt_undoes_all_that_run_together() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let one = latency(folder.path(), "one", "payments", 300_000);
    let other = latency(folder.path(), "other", "catalog", 300_000);
    let arguments = ["run", &one, &other, "--shop", &control, "--parallel", "2"];
    let mut program = Program::start(folder.path(), &arguments);
    program.event("fault_injected").await;
    program.event("fault_injected").await;
    program.signal(Signal::SIGINT);
    let (code, story) = lines(program).await;
    assert_eq!(code, Some(130));
    assert_eq!(story.iter().filter(|line| line["event"] == "fault_cleared").count(), 2);
    assert_eq!(ControlClient::new(control).faults().await.unwrap(), []);
}

#[tokio::test]
async fn a_schedule_runs_what_is_due_once_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    latency(folder.path(), "short", "payments", 100);
    let file = folder.path().join("times.yaml");
    let text = "schedules: [{name: often, experiments: [short.yaml], every: 10s}]";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (code, due) =
        lines(Program::start(folder.path(), &["schedule", file, "--dry-run", "--next", "3"])).await;
    assert_eq!((code, due.len()), (Some(0), 3));

    let mut begun = Vec::new();
    for _ in 0..2 {
        let mut program = Program::start(folder.path(), &["schedule", file, "--shop", &control]);
        begun.push(program.event("due").await["at"].clone());
        program.event("finished").await;
        // Killed: what was begun is on disk, and not begun again.
        program.signal(Signal::SIGKILL);
        program.end().await;
    }
    assert_ne!(begun[0], begun[1]);
}

#[tokio::test]
async fn an_imported_journal_adds_what_was_not_told_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (_shop, control) = open_shop(folder.path()).await;
    let live = Sink::start().await;
    let file = experiment(folder.path(), 1_500);
    let arguments = ["run", file.to_str().unwrap(), "--shop", &control, "--server", &live.url];
    let (code, _) = lines(Program::start(folder.path(), &arguments)).await;
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let told = live.events();
    let import = |server: String| {
        let folder = folder.path().to_owned();
        async move {
            let arguments = ["journal", "import", "journal.json", "--server", &server];
            lines(Program::start(&folder, &arguments)).await
        }
    };
    let (code, summary) = import(live.url.clone()).await;
    assert_eq!(code, Some(0));
    assert_eq!(summary[0]["faults"][0], json!({"kind": "latency", "component": "payments"}));
    assert_eq!(live.events(), told, "the run was told as it happened: nothing is new");

    let empty = Sink::start().await;
    assert_eq!(import(empty.url.clone()).await.0, Some(0));
    assert_eq!(import(empty.url.clone()).await.0, Some(0));
    let ids = |sink: &Sink| {
        let mut ids: Vec<_> = sink.events().iter().map(|event| event.id).collect();
        ids.sort();
        ids
    };
    let run_only: Vec<_> = {
        let own = told.iter().filter(|event| event.source.as_str() == "/chaos-runner");
        let mut ids: Vec<_> = own.map(|event| event.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&empty), run_only);
}

/// A sink behind TLS with a certificate of its own.
#[tokio::test]
async fn a_server_behind_tls_is_reached_with_its_certificate_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certified.cert.pem()).unwrap();
    let config = axum_server::tls_rustls::RustlsConfig::from_pem(
        certified.cert.pem().into_bytes(),
        certified.signing_key.serialize_pem().into_bytes(),
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let take = {
        let seen = seen.clone();
        move |headers: HeaderMap, Json(events): Json<Vec<Value>>| async move {
            let token = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
            seen.lock().unwrap().push((token, events.len()));
            Json(json!({"events": [], "position": 1}))
        }
    };
    // Other crates of a build may bring another provider: then none is chosen by itself.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let router = Router::new().route("/v1/events", post(take));
    let server = axum_server::from_tcp_rustls(listener, config.await.unwrap()).unwrap();
    tokio::spawn(server.serve(router.into_make_service()));

    let journal = folder.path().join("j.json");
    let text = json!({
        "experiment": {"title": "T"}, "status": "completed", "deviated": false,
        "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:01:00Z",
    });
    std::fs::write(&journal, text.to_string()).unwrap();
    let state = folder.path().join("state");
    let import = |ca: bool| {
        let mut command = tokio::process::Command::new(program::PROGRAM);
        command.args(["journal", "import"]).arg(&journal).args(["--server", &url]);
        command.arg("--state").arg(&state).env("FAULTLINE_TOKEN", "s3cret");
        if ca {
            command.arg("--ca-file").arg(&ca_file);
        }
        command
    };
    let distrusted = import(false).output().await.unwrap();
    let said = String::from_utf8(distrusted.stderr).unwrap();
    assert_eq!(distrusted.status.code(), Some(5), "{said}");
    assert!(seen.lock().unwrap().is_empty() && !said.contains("s3cret"), "{said}");
    let trusted = import(true).output().await.unwrap();
    assert!(trusted.status.success(), "{trusted:?}");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(token, _)| token.as_deref() == Some("Bearer s3cret")), "{seen:?}");
    assert_eq!(seen.iter().map(|(_, count)| count).sum::<usize>(), 6, "kept before, and again");
}
