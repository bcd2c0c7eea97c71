//! How fast telemetry is taken, and how much memory it takes.
//!
//! `cargo bench -p receivers --bench absorb` decodes requests as a client sends them, once only
//! decoding and once decoding and summarising, and prints items a second of processor time and
//! the ratio of both.
//! Then it sends 10,000 series of each of 200 components and prints the memory of the process, and
//! fewer for ten minutes, in which memory should stay as it is.
#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use events::Timestamp;
use receivers::aggregate::Settings;
use receivers::body::{BodyLimits, Content, Encoding, Media};
use receivers::otlp::{Request, decode};
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use receivers::wire::common::v1::any_value::Value;
use receivers::wire::common::v1::{AnyValue, KeyValue};
use receivers::wire::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use receivers::wire::metrics::v1::metric::Data;
use receivers::wire::metrics::v1::number_data_point::Value as Number;
use receivers::wire::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics,
};
use receivers::wire::resource::v1::Resource;
use receivers::wire::trace::v1::{ResourceSpans, ScopeSpans, Span};
use receivers::{Absorbed, Aggregator};

const START_S: i64 = 1_767_225_600;
const BATCH: u64 = 500;
const BATCHES: u64 = 400;
const ROUNDS: usize = 5;
const CONTENT: Content = Content { media: Media::Protobuf, encoding: Encoding::Identity };

/// The argument by which the benchmark starts itself.
const MEMORY_OF: &str = "memory-of";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [MEMORY_OF, what] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return memory_of(what);
    }
    println!("{BATCHES} requests of {BATCH}, median of {ROUNDS} rounds");
    let limits = BodyLimits::default();
    measure("spans", &batches(spans), |it, bytes| {
        decode(CONTENT, bytes, &limits).map(|request| it.traces(&request))
    });
    measure("data points", &batches(points), |it, bytes| {
        decode(CONTENT, bytes, &limits).map(|request| it.metrics(&request))
    });
    measure("log lines", &batches(lines), |it, bytes| {
        decode(CONTENT, bytes, &limits).map(|request| it.logs(&request))
    });
    each_memory();
}

type Taken = Result<Absorbed, receivers::Refusal>;

/// Requests, each with the second that it is sent in.
struct Batches {
    sent: Vec<(i64, Vec<u8>)>,
    decode: fn(&[u8]),
}

fn batches<R: Request>(of: fn(u64, i64) -> R) -> Batches {
    let at = |batch: u64| i64::try_from(batch / 10).expect("small");
    let sent = (0..BATCHES).map(|batch| (at(batch), of(batch, at(batch)).encode_to_vec()));
    let decode = |bytes: &[u8]| {
        std::hint::black_box(R::decode(bytes).expect("it was encoded by the same types"));
    };
    Batches { sent: sent.collect(), decode }
}

fn measure(what: &str, batches: &Batches, take: impl Fn(&mut Aggregator, &[u8]) -> Taken) {
    let bytes: usize = batches.sent.iter().map(|(_, bytes)| bytes.len()).sum();
    let items = (BATCH * BATCHES) as f64;
    let (mut decoding, mut absorbing, mut events) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let begun = cpu_s();
        batches.sent.iter().for_each(|(_, bytes)| (batches.decode)(bytes));
        decoding.push(cpu_s() - begun);

        let mut aggregator = Aggregator::new(Settings::default(), second(0), None);
        let begun = cpu_s();
        events = 0;
        for (at, bytes) in &batches.sent {
            let absorbed = take(&mut aggregator, bytes).expect("the request is valid");
            assert_eq!(absorbed.accepted, BATCH, "{:?}", absorbed.rejected());
            events += aggregator.advance(second(*at)).len();
        }
        events += aggregator.advance(second(1_000)).len();
        absorbing.push(cpu_s() - begun);
    }
    let (decoding, absorbing) = (median(decoding), median(absorbing));
    println!(
        "{what:12} {:>9.0}/s decoded and summarised, {:>9.0}/s decoded, ratio {:.2}; {:.0} bytes each, {events} events",
        items / absorbing,
        items / decoding,
        decoding / absorbing,
        bytes as f64 / items,
    );
}

const COMPONENTS: u64 = 200;

/// What is measured in a process of its own each, so that no memory is left over from another.
const MEASURED: [&str; 3] = ["gauges", "histograms", "ten minutes"];

fn each_memory() {
    let this = std::env::current_exe().expect("a process knows its own file");
    for what in MEASURED {
        let ended = std::process::Command::new(&this).args([MEMORY_OF, what]).status();
        assert!(ended.expect("the file runs").success(), "{what}");
    }
}

/// 10,000 series of each of 200 components, which export one after the other, every ten seconds.
/// Windows close six seconds late, so that of two out of three series two points wait. Or 500 of
/// each, over ten minutes.
fn memory_of(what: &str) {
    let before = resident_mb();
    let mut aggregator = Aggregator::new(Settings::default(), second(0), None);
    let mut most = |of: fn(u64, u64, i64) -> _, series, windows: std::ops::Range<i64>| {
        let peaks = windows.map(|window| export(&mut aggregator, of, series, window));
        let peak = peaks.fold(0.0, f64::max) - before;
        format!("{} series: {peak:.0} MB at most", aggregator.held().series)
    };
    match what {
        "gauges" => println!("{what}, {}", most(gauges, 10_000, 0..3)),
        "histograms" => println!("{what}, {}", most(histograms, 10_000, 0..3)),
        _ => {
            println!("histograms, first minute, {}", most(histograms, 500, 0..6));
            most(histograms, 500, 6..54);
            println!("histograms, tenth minute, {}", most(histograms, 500, 54..60));
        }
    }
}

/// A window in which each component exports once, and the most memory that was used in it.
fn export(
    aggregator: &mut Aggregator,
    of: fn(u64, u64, i64) -> ExportMetricsServiceRequest,
    series: u64,
    window: i64,
) -> f64 {
    let mut peak: f64 = 0.0;
    for component in 0..COMPONENTS {
        let at = window * 10 + (component * 10 / COMPONENTS).cast_signed();
        aggregator.advance(second(at));
        let absorbed = aggregator.metrics(&of(component, series, at).into());
        assert_eq!(absorbed.rejected(), None);
        peak = peak.max(resident_mb());
    }
    peak
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Processor time of this process, which has one thread: on a machine that others use, wall time
/// would tell of them.
fn cpu_s() -> f64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.expect("Linux tells how long a process ran") / 1e9
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kb.unwrap_or_default() / 1_024.0
}

fn second(after: i64) -> Timestamp {
    Timestamp::from_second(START_S + after).expect("a moment of this century")
}

fn nanos(second: i64, fraction: u64) -> u64 {
    (START_S + second).unsigned_abs() * 1_000_000_000 + fraction
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource(component: u64) -> Option<Resource> {
    let attributes = vec![
        text("service.name", format!("service-{component}")),
        text("service.version", "1.4.2"),
        text("service.instance.id", format!("{component:032x}")),
        text("telemetry.sdk.language", "rust"),
        text("k8s.namespace.name", "shop"),
        text("k8s.node.name", format!("node-{}", component % 7)),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

/// A trace is a chain of calls through ten services: of each a server's and a client's span.
fn spans(batch: u64, at: i64) -> ExportTraceServiceRequest {
    let service = batch % 10;
    let span = |n: u64| {
        let (trace, client) = (batch / 10 * BATCH + n / 2, n % 2 == 1);
        let id = service * 2 + u64::from(client) + 1;
        let mut attributes = vec![
            text("http.request.method", "GET"),
            text("url.scheme", "http"),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "shop/1.0"),
            pair("http.response.status_code", Value::IntValue(200)),
            text("server.address", format!("service-{}", service + u64::from(client))),
            pair("server.port", Value::IntValue(8080)),
        ];
        attributes.push(match client {
            true => text("url.full", "http://service/carts/17/items?page=2"),
            false => text("http.route", "/carts/{id}/items"),
        });
        let took = 1_000_000 * (20 - id) + n * 1_000;
        Span {
            trace_id: (u128::from(trace) + 1).to_be_bytes().into(),
            span_id: id.to_be_bytes().into(),
            parent_span_id: if id == 1 { Vec::new() } else { (id - 1).to_be_bytes().into() },
            name: "GET /carts/{id}/items".to_owned(),
            kind: if client { 3 } else { 2 },
            start_time_unix_nano: nanos(at, 100_000_000),
            end_time_unix_nano: nanos(at, 100_000_000 + took),
            attributes,
            ..Span::default()
        }
    };
    let scope = ScopeSpans { spans: (0..BATCH).map(span).collect(), ..ScopeSpans::default() };
    let of = ResourceSpans {
        resource: resource(service),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![of] }
}

fn one_metric(component: u64, name: &str, data: Data) -> ExportMetricsServiceRequest {
    let metric = Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let of = ResourceMetrics {
        resource: resource(component),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![of] }
}

/// Half counters, half histograms of requests.
fn points(batch: u64, at: i64) -> ExportMetricsServiceRequest {
    if batch.is_multiple_of(2) {
        return one_metric(batch % 10, "http.server.request.duration", durations(BATCH, at));
    }
    let name = "jvm.memory.used";
    one_metric(batch % 10, name, Data::Gauge(Gauge { data_points: values(BATCH, at) }))
}

fn attributes(n: u64) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "GET"),
        text("http.route", format!("/carts/{{id}}/items/{n}")),
        pair("http.response.status_code", Value::IntValue(200)),
        text("url.scheme", "http"),
    ]
}

fn values(count: u64, at: i64) -> Vec<NumberDataPoint> {
    let point = |n: u64| NumberDataPoint {
        attributes: attributes(n),
        start_time_unix_nano: nanos(0, 0),
        time_unix_nano: nanos(at, n),
        value: Some(Number::AsDouble(n as f64)),
        ..NumberDataPoint::default()
    };
    (0..count).map(point).collect()
}

/// Histograms of a process that counts for a while already: ten thousands of requests each.
fn durations(count: u64, at: i64) -> Data {
    let counted = 1_000 + at.unsigned_abs();
    let point = |n: u64| HistogramDataPoint {
        attributes: attributes(n),
        start_time_unix_nano: nanos(0, 0),
        time_unix_nano: nanos(at, n),
        count: 49 * counted,
        sum: Some(counted as f64 * 0.37),
        bucket_counts: (0..15).map(|bucket| bucket / 2 * counted).collect(),
        explicit_bounds: (0..14).map(|bound| 0.005 * f64::powi(2.0, bound)).collect(),
        ..HistogramDataPoint::default()
    };
    let data_points = (0..count).map(point).collect();
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    Data::Histogram(Histogram { data_points, aggregation_temporality })
}

fn gauges(component: u64, series: u64, at: i64) -> ExportMetricsServiceRequest {
    let data = Data::Gauge(Gauge { data_points: values(series, at) });
    one_metric(component, "jvm.memory.used", data)
}

fn histograms(component: u64, series: u64, at: i64) -> ExportMetricsServiceRequest {
    one_metric(component, "http.server.request.duration", durations(series, at))
}

fn lines(batch: u64, at: i64) -> ExportLogsServiceRequest {
    let line = |n: u64| {
        let text = match n % 5 {
            0 => format!("GET /carts/{n}/items 200 in {n} ms"),
            1 => format!("order {n} of user=u{n} was paid with card ending {:04}", n % 10_000),
            2 => "connection to the database was given back to the pool".to_owned(),
            3 => format!("cache miss for key cart:{n}, asking the database"),
            _ => format!("retrying request {n} after 503 from stock, attempt {}", n % 3),
        };
        LogRecord {
            time_unix_nano: nanos(at, n),
            observed_time_unix_nano: nanos(at, n),
            severity_number: if n % 5 == 4 { 13 } else { 9 },
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(text)) }),
            attributes: vec![
                self::text("code.namespace", "shop::cart"),
                self::text("thread.name", "tokio-runtime-worker"),
            ],
            trace_id: (u128::from(batch * BATCH + n) + 1).to_be_bytes().into(),
            span_id: (n + 1).to_be_bytes().into(),
            ..LogRecord::default()
        }
    };
    let scope = ScopeLogs { log_records: (0..BATCH).map(line).collect(), ..ScopeLogs::default() };
    let of = ResourceLogs {
        resource: resource(batch % 10),
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![of] }
}
