//! The shop by its OpenTelemetry alone: what a receiver makes of it is what the shop is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use chaos_runner::shop::control::ControlClient;
use chaos_runner::shop::otlp::{Count, Receiver};
use chaos_runner::shop::topology::{
    CHECKOUT, COMPONENTS, DATABASE, EDGES, Edge, GATEWAY, Kind, PAYMENTS, USERS,
};
use chaos_runner::shop::{Closing, Shop, ShopOptions};
use events::catalogue::experiment::ClearedBy;
use events::catalogue::fault_kind::*;
use events::catalogue::telemetry::{CallStatistics, Latency, Window};
use events::{Event, EventData};
use receivers::wire::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, Running, program, spec};
use crate::receiver::{Otlp, Told, receiver, service, text};

async fn start(receiver: Option<Receiver>) -> Running {
    let (sender, events) = mpsc::channel(100_000);
    let window = Duration::from_secs(1);
    let options = ShopOptions {
        program: program(),
        window,
        receiver,
        observations: false,
        ..ShopOptions::default()
    };
    let shop = Shop::start(options, sender).await.unwrap();
    let control = ControlClient::new(shop.control_url());
    Running { shop, control, events }
}

async fn closed(shop: Running) -> (Closing, Vec<Event>) {
    let Running { shop, mut events, .. } = shop;
    let closing = shop.stop().await;
    let mut sent = Vec::new();
    while let Ok(event) = events.try_recv() {
        sent.push(event);
    }
    (closing, sent)
}

type Pairs = BTreeSet<(String, String)>;

fn pairs(edges: impl IntoIterator<Item = Edge>) -> Pairs {
    edges.into_iter().map(|edge| (edge.caller.to_owned(), edge.callee.to_owned())).collect()
}

/// Dependencies, and those of them that had calls in some window.
fn edges(events: &[Event]) -> (Pairs, Pairs) {
    let (mut observed, mut called) = (Pairs::new(), Pairs::new());
    for event in events {
        match &event.data {
            EventData::DependencyObserved(it) => {
                observed.insert((it.caller.to_string(), it.callee.to_string()));
            }
            EventData::TraceEdgesRecorded(it) => {
                let calls = it.edges.iter().map(|edge| edge.callee.to_string());
                called.extend(calls.map(|callee| (it.caller.to_string(), callee)));
            }
            _ => {}
        }
    }
    (observed, called)
}

fn discovered(events: &[Event]) -> BTreeSet<String> {
    let name = |event: &Event| match &event.data {
        EventData::ComponentDiscovered(it) => Some(it.component.to_string()),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// Whom a purchase passes: the way to the checkout, and everything behind it.
fn purchase() -> BTreeSet<Edge> {
    let mut edges: BTreeSet<Edge> = EDGES
        .into_iter()
        .filter(|edge| edge.caller == USERS || (edge.caller, edge.callee) == (GATEWAY, CHECKOUT))
        .collect();
    let mut reached = BTreeSet::from([CHECKOUT]);
    // Every round goes one hop further.
    for _ in EDGES {
        let next = EDGES.into_iter().filter(|edge| reached.contains(edge.caller));
        edges.extend(next.clone());
        reached.extend(next.map(|edge| edge.callee).collect::<Vec<_>>());
    }
    edges
}

/// Who called whom in each trace, by the ids of the spans. The database has no spans: its client
/// names it.
fn traces(told: &Told) -> BTreeMap<Vec<u8>, Pairs> {
    let by_id: BTreeMap<_, _> =
        told.spans.iter().map(|(resource, span)| (&span.span_id, service(resource))).collect();
    let mut traces = BTreeMap::<_, Pairs>::new();
    for (resource, span) in &told.spans {
        let own = service(resource);
        let pair = match span.kind() {
            SpanKind::Server => by_id.get(&span.parent_span_id).map(|caller| (*caller, own)),
            _ => Some((own, text(&span.attributes, "peer.service"))),
        };
        let pair = pair.map(|(caller, callee)| (caller.to_owned(), callee.to_owned()));
        traces.entry(span.trace_id.clone()).or_default().extend(pair);
    }
    traces
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_as_told_is_the_shop_as_it_is() {
    let otlp = Otlp::start(None).await;
    let shop = start(otlp.receiver()).await;
    let topology = pairs(EDGES);
    otlp.told("every edge", |told| {
        let windows: BTreeSet<_> = told.events.iter().filter_map(window).collect();
        windows.len() >= 5 && edges(&told.events).1 == topology
    })
    .await;
    let (closing, sent) = closed(shop).await;
    let delivery = closing.delivery.unwrap();
    assert_eq!(delivery.shortfall(), None, "all of it arrived before the shop was closed");
    let told = otlp.close();
    let totals = otlp.totals();
    assert!(totals.calls_unresolved == 0 && totals.dropped.is_empty(), "{totals:?}");
    assert_eq!(delivery.spans, whole(told.spans.len()));
    assert_eq!(delivery.lines, whole(told.lines.len()));

    assert_eq!(edges(&told.events), (topology.clone(), topology));
    let names: BTreeSet<_> = COMPONENTS.iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(discovered(&told.events), names);
    // The proxies leave to OpenTelemetry what it tells.
    let described = |event: &Event| matches!(event.data, EventData::ComponentDescribed(_));
    assert!(sent.len() == COMPONENTS.len() && sent.iter().all(described), "{sent:?}");

    every_process_tells_of_itself(&told);
    traces_cross_the_whole_shop(&told);
    lines_stand_in_their_traces(&told);
}

fn whole(count: usize) -> Count {
    let count = count as u64;
    Count { made: count, delivered: count }
}

fn window(event: &Event) -> Option<events::Timestamp> {
    match &event.data {
        EventData::TraceEdgesRecorded(it) => Some(it.window.start),
        _ => None,
    }
}

fn every_process_tells_of_itself(told: &Told) {
    for component in COMPONENTS.iter().filter(|it| it.has_process()) {
        let mut expected = vec!["process.cpu.time", "process.memory.usage"];
        if component.kind == Kind::Service {
            expected.extend(["http.server.request.duration", "http.server.active_requests"]);
        }
        for metric in expected {
            let wanted = (component.name.to_owned(), metric.to_owned());
            assert!(told.metrics.contains(&wanted), "{wanted:?} of {:?}", told.metrics);
        }
        let snapshot = told.events.iter().find_map(|event| match &event.data {
            EventData::MetricSnapshotRecorded(it) if it.component == component.id() => {
                it.cpu_cores.zip(it.memory_bytes)
            }
            _ => None,
        });
        assert!(snapshot.is_some_and(|(_, memory)| memory.get() > 1e6), "{}", component.name);
        let mut lines = told.lines.iter().filter(|(it, _)| service(it) == component.name);
        let (resource, _) = lines.next().expect("every process says that it is up");
        assert_eq!(text(&resource.attributes, "service.version"), "1.0.0");
        assert!(!text(&resource.attributes, "service.instance.id").is_empty());
    }
    for name in ["db.client.operation.duration", "db.client.connection.count"] {
        assert!(told.metrics.contains(&("orders".to_owned(), name.to_owned())), "{name}");
    }
}

fn traces_cross_the_whole_shop(told: &Told) {
    let traces = traces(told);
    let all = pairs(EDGES);
    assert!(traces.values().all(|trace| trace.is_subset(&all)));
    let purchase = pairs(purchase());
    assert!(traces.values().any(|trace| *trace == purchase), "no trace crosses {purchase:?}");
    let routes: BTreeSet<_> = told
        .spans
        .iter()
        .filter(|(resource, span)| service(resource) == GATEWAY && span.kind() == SpanKind::Server)
        .map(|(_, span)| span.name.as_str())
        .collect();
    let expected = "GET /catalog, GET /catalog/{id}, GET /cart/{user}, \
                    POST /cart/{user}/items, POST /checkout";
    assert_eq!(routes, expected.split(", ").collect());
}

fn lines_stand_in_their_traces(told: &Told) {
    let spans: BTreeSet<_> =
        told.spans.iter().map(|(_, span)| (&span.trace_id, &span.span_id)).collect();
    let mut writers = BTreeSet::new();
    for (resource, line) in told.lines.iter().filter(|(_, line)| !line.trace_id.is_empty()) {
        assert!(spans.contains(&(&line.trace_id, &line.span_id)), "{line:?}");
        writers.insert(service(resource));
    }
    assert!(
        writers.is_superset(&BTreeSet::from(["checkout", "payments", "orders"])),
        "{writers:?}"
    );
    let linked = told.events.iter().any(|event| match &event.data {
        EventData::LogPatternsRecorded(it) => {
            it.component.as_str() == PAYMENTS
                && it.patterns.iter().any(|pattern| !pattern.exemplar_trace_ids.is_empty())
        }
        _ => false,
    });
    assert!(linked, "a pattern of payments names a trace");
}

/// What `caller` saw of `callee`, and what the callee saw of itself, in the same window.
fn both_sides(told: &Told, caller: &str, callee: &str) -> Vec<(CallStatistics, Latency)> {
    let own = |window: &Window| {
        told.events.iter().find_map(|event| match &event.data {
            EventData::MetricSnapshotRecorded(it)
                if it.component.as_str() == callee && it.window == *window =>
            {
                it.latency.clone()
            }
            _ => None,
        })
    };
    let seen = told.events.iter().filter_map(|event| match &event.data {
        EventData::TraceEdgesRecorded(it) if it.caller.as_str() == caller => {
            let edge = it.edges.iter().find(|edge| edge.callee.as_str() == callee)?;
            Some((edge.clone(), own(&it.window)?))
        }
        _ => None,
    });
    seen.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_connection_a_bad_version_and_a_dead_database_are_told_apart() {
    let otlp = Otlp::start(None).await;
    let shop = start(otlp.receiver()).await;
    shop.calm(GATEWAY).await;
    let slow = spec(LATENCY, PAYMENTS, json!({ "arguments": { "delay_ms": 400 } }));
    let slow = shop.control.inject(&slow).await.unwrap();
    let told = otlp
        .told("a slow edge to payments that are quick", |told| {
            both_sides(told, CHECKOUT, PAYMENTS).iter().any(|(edge, own)| {
                let p50 = edge.latency.as_ref().unwrap().p50_ms.get();
                edge.errors == 0 && p50 >= 400.0 && own.p50_ms.get() < 200.0
            })
        })
        .await;
    let sides = both_sides(&told, CHECKOUT, PAYMENTS);
    let exemplars = sides.iter().flat_map(|(edge, _)| &edge.exemplar_trace_ids);
    let traces: BTreeSet<_> = traces(&told).into_keys().map(hex).collect();
    assert!(
        exemplars.clone().count() > 0 && exemplars.clone().all(|it| traces.contains(it.as_str()))
    );
    shop.control.clear(&slow.fault, ClearedBy::Rollback).await.unwrap();

    let broken = spec(ERROR_VERSION, PAYMENTS, json!({ "arguments": { "probability": 1.0 } }));
    let broken = shop.control.inject(&broken).await.unwrap();
    otlp.told("a version whose requests fail", |told| {
        let deployed = told.events.iter().any(|event| match &event.data {
            EventData::DeploymentRecorded(it) => {
                let versions =
                    (it.previous_version.as_ref().map(|it| it.as_str()), it.version.as_str());
                it.component.as_str() == PAYMENTS && versions == (Some("1.0.0"), "1.1.0")
            }
            _ => false,
        });
        deployed && failing(told, CHECKOUT, PAYMENTS)
    })
    .await;
    shop.control.clear(&broken.fault, ClearedBy::Rollback).await.unwrap();

    let dead = spec(PROCESS_KILL, DATABASE, json!({}));
    shop.control.inject(&dead).await.unwrap();
    otlp.told("calls to a database that is gone", |told| failing(told, "orders", DATABASE)).await;
    let (closing, _) = closed(shop).await;
    assert_eq!(closing.delivery.unwrap().untold, 1, "the database was killed");
    let told = otlp.close();
    assert_eq!(edges(&told.events).0, pairs(EDGES), "no fault makes up a dependency");
}

/// Whether in some window every call failed.
fn failing(told: &Told, caller: &str, callee: &str) -> bool {
    let edges = told.events.iter().filter_map(|event| match &event.data {
        EventData::TraceEdgesRecorded(it) if it.caller.as_str() == caller => Some(&it.edges),
        _ => None,
    });
    let mut edges = edges.flatten().filter(|edge| edge.callee.as_str() == callee);
    edges.any(|edge| edge.calls > 0 && edge.errors == edge.calls)
}

fn hex(bytes: Vec<u8>) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_costs_the_shop_nothing_and_the_loss_is_counted() {
    // One refuses connections, the other takes them and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses: [SocketAddr; 2] = [silent.local_addr().unwrap(), gone.local_addr().unwrap()];
    drop(gone);
    for address in addresses {
        let shop = start(receiver(address)).await;
        for component in COMPONENTS.iter().filter(|it| it.has_process()) {
            shop.calm(component.name).await;
        }
        let pids = shop.pids().await;
        let (closing, _) = closed(shop).await;
        assert!(pids.iter().all(|pid| !crate::harness::is_running(*pid)));
        let delivery = closing.delivery.unwrap();
        assert_eq!(
            (delivery.spans.delivered, delivery.lines.delivered, delivery.untold),
            (0, 0, 0)
        );
        assert!(delivery.spans.lost() > 0 && delivery.lines.lost() > 0);
        assert!(delivery.shortfall().unwrap().contains("log lines were lost"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_sent_and_stands_in_no_list_of_processes() {
    let otlp = Otlp::start(Some("s3cret")).await;
    let url = format!("http://{}", otlp.address);
    let mut shop = Command::new(program())
        .args(["shop", "--window", "1s", "--until-stdin-closes", "--json", "--otlp", &url])
        .args(["--otlp-namespace", "demo"])
        .env("FAULTLINE_OTLP_TOKEN", "s3cret")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shop.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    let control: Value = serde_json::from_str(&ready).unwrap();
    let control = ControlClient::new(control["control"].as_str().unwrap());
    for component in control.status().await.unwrap().components {
        let pid = component.pid.unwrap();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(command.contains("--otlp=http://127.0.0.1") && !command.contains("s3cret"));
    }
    let topology: Pairs = pairs(EDGES)
        .into_iter()
        .map(|(caller, callee)| (format!("demo/{caller}"), format!("demo/{callee}")))
        .collect();
    let complete = |told: &Told| edges(&told.events).1.is_superset(&topology);
    let told = otlp.told("every edge, with the namespace in its names", complete).await;
    assert_eq!(told.refused, 0);
    drop(shop.stdin.take());
    let said = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let spans = &said["telemetry"]["spans"];
    assert!(spans["made"].as_u64().unwrap() > 0 && spans["made"] == spans["delivered"], "{said}");
    assert!(shop.wait().await.unwrap().success());
}
