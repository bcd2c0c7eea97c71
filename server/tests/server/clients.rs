//! The programs of others, as their authors ship them: OpenTelemetry's SDKs for Python and Node,
//! Prometheus and Alertmanager. `scripts/clients` installs them below the target folder; where
//! they are not, these tests say so and check nothing, unless `FAULTLINE_CLIENTS=required`.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, eventually};

/// The folder of an installed program.
fn installed(what: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(what);
    if folder.join("complete").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("FAULTLINE_CLIENTS").is_none_or(|it| it != "required"),
        "{} is missing: run scripts/clients",
        folder.display()
    );
    eprintln!("{what} is not installed (scripts/clients): nothing was checked");
    None
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A server whose window is still open when everything was sent: only its end closes it.
async fn server() -> Server {
    Server::start_with(|config| {
        config.otlp.windows.window_ms = 3_600_000;
        config.reactors.enabled = false;
    })
    .await
}

/// Runs a client to its end.
async fn run(mut command: Command) {
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // An exporter that fails says so and goes on.
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// What five calls of `NAME-web` to `NAME-db` come to, over however many windows they fell into.
async fn told(server: &Server, name: &str) -> Value {
    let (web, db) = (format!("{name}-web"), format!("{name}-db"));
    let sum = |events: &[Value], of: &dyn Fn(&Value) -> u64| events.iter().map(of).sum::<u64>();
    let of = |events: Vec<Value>, field: &str, component: &str| -> Vec<Value> {
        events.into_iter().filter(|event| event["data"][field] == component).collect()
    };
    let edges = of(server.recorded("io.faultline.traces.edgesrecorded.v1").await, "caller", &web);
    let edge = |field: &'static str| {
        sum(&edges, &|it| {
            assert_eq!(it["data"]["edges"][0]["callee"], db);
            it["data"]["edges"][0][field].as_u64().unwrap()
        })
    };
    let snapshots = server.recorded("io.faultline.metrics.snapshotrecorded.v1").await;
    let snapshots = of(snapshots, "component", &db);
    let requests = |it: &Value| it["data"]["requests"].as_u64().unwrap_or_default();
    let logs = server.recorded("io.faultline.logs.patternsrecorded.v1").await;
    let logs = of(logs, "component", &db);
    let mut templates: Vec<Value> =
        logs.iter().flat_map(|it| it["data"]["patterns"].as_array().unwrap()).cloned().collect();
    templates.sort_by_key(|it| it["template"].to_string());
    let lines = sum(&templates, &|it| it["count"].as_u64().unwrap());
    let traced = templates.iter().all(|it| !it["exemplar_trace_ids"][0].is_null());
    json!({
        "calls": edge("calls"), "errors": edge("errors"),
        "requests": sum(&snapshots, &requests), "lines": lines, "traced": traced,
    })
}

/// Sends by every protocol of an SDK and holds what is told against what was done.
async fn check(sdk: &str, protocols: &[&str], send: impl Fn(&str, String, &str) -> Command) {
    let server = server().await;
    let names: Vec<String> =
        protocols.iter().map(|it| format!("{sdk}-{}", it.replace('/', "-"))).collect();
    for (protocol, name) in protocols.iter().zip(&names) {
        let address = match *protocol {
            "grpc" => server.running.otlp_grpc(),
            _ => server.running.otlp_http(),
        };
        run(send(protocol, format!("http://{}", address.unwrap()), name)).await;
    }
    let metrics = server.get("/metrics").await.text;
    assert!(!metrics.contains("otlp_dropped_total{"), "nothing is dropped");
    let server = server.restart(|_| {}).await;
    let whole = json!({ "calls": 5, "errors": 1, "requests": 5, "lines": 5, "traced": true });
    for name in &names {
        assert_eq!(told(&server, name).await, whole, "{name}");
    }
    let known = server.recorded("io.faultline.component.discovered.v1").await.len();
    assert_eq!(known, 2 * names.len(), "every component once, and nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_sdk_is_understood_over_grpc_and_http() {
    let Some(python) = installed("python") else { return };
    check("python", &["grpc", "http/protobuf"], |protocol, endpoint, name| {
        let mut command = Command::new(python.join("bin/python"));
        command.arg(script("send.py")).args([protocol, &endpoint, name]);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_sdk_is_understood_over_grpc_and_both_forms_of_http() {
    let Some(node) = installed("node") else { return };
    check("node", &["grpc", "http/json", "http/protobuf"], |protocol, endpoint, name| {
        let mut command = Command::new("node");
        command.arg(script("send.mjs")).args([protocol, &endpoint, name]).env("CLIENTS", &node);
        command
    })
    .await;
}

/// A program that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended; that is what the test would have failed for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &Path, folder: &Path, arguments: &[String]) -> Ended {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    Ended(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_the_server_and_alertmanager_tells_it_what_fires() {
    let Some(debian) = installed("debian") else { return };
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let [prometheus, alertmanager] =
        ["prometheus", "alertmanager"].map(|it| folder.path().join(it));
    std::fs::create_dir(&prometheus).unwrap();
    std::fs::create_dir(&alertmanager).unwrap();
    let [prometheus_at, alertmanager_at] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let target = server.running.address();
    std::fs::write(
        prometheus.join("prometheus.yml"),
        json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yml"],
            "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [alertmanager_at] }] }] },
            "scrape_configs": [{ "job_name": "faultline", "static_configs": [{ "targets": [target] }] }],
        })
        .to_string(),
    )
    .unwrap();
    let rule = |name: &str, expression: &str| {
        json!({ "alert": name, "expr": expression, "labels": { "service": "faultline", "severity": "critical" },
                "annotations": { "summary": "it answers" } })
    };
    let rules = [
        rule("Answers", "up{job=\"faultline\"} == 1"),
        rule("Never", "faultline_log_head_position < 0"),
    ];
    let rules = json!({ "groups": [{ "name": "test", "rules": rules }] });
    std::fs::write(prometheus.join("rules.yml"), rules.to_string()).unwrap();
    let webhook = json!({ "url": server.url("/v1/webhooks/alertmanager"), "send_resolved": true });
    std::fs::write(
        alertmanager.join("alertmanager.yml"),
        json!({
            "route": { "receiver": "faultline", "group_wait": "1s", "group_interval": "1s" },
            "receivers": [{ "name": "faultline", "webhook_configs": [webhook] }],
        })
        .to_string(),
    )
    .unwrap();
    let option = |name: &str, value: &str| format!("--{name}={value}");
    let _alertmanager = start(
        &debian.join("usr/bin/prometheus-alertmanager"),
        &alertmanager,
        &[
            option("config.file", "alertmanager.yml"),
            option("storage.path", "data"),
            option("web.listen-address", &alertmanager_at),
            option("cluster.listen-address", ""),
        ],
    );
    let _prometheus = start(
        &debian.join("usr/bin/prometheus"),
        &prometheus,
        &[
            option("config.file", "prometheus.yml"),
            option("storage.tsdb.path", "data"),
            option("web.listen-address", &prometheus_at),
        ],
    );
    let title = eventually("an incident", async || {
        let incidents = server.graphql("{ incidents { nodes { title severity } } }").await;
        match &incidents["incidents"]["nodes"][0] {
            Value::Null => Err("none yet".to_owned()),
            incident => Ok(incident.clone()),
        }
    })
    .await;
    assert_eq!(
        title,
        json!({ "title": "Answers on faultline: it answers", "severity": "CRITICAL" })
    );
    let asked = format!("http://{prometheus_at}/api/v1/query?query=faultline_http_requests_total");
    let scraped = eventually("a scrape of the server's own numbers", async || {
        let answer = server.client.get(&asked).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let of = |it: &Value| it["metric"]["route"] == "/v1/webhooks/alertmanager";
        series.iter().find(|it| of(it)).cloned().ok_or_else(|| answer.to_string())
    })
    .await;
    assert_eq!(scraped["metric"]["status"], "200");
    tokio::time::timeout(Duration::from_secs(10), server.running.stop()).await.unwrap().unwrap();
}
