use super::*;
use crate::aggregate::tests::{aggregator, check, snapshots};
use crate::aggregate::{Aggregate, NamedExtra, Settings};
use crate::sample::{at, metrics, nanos, number, resource, said};
use events::catalogue::telemetry::MetricSnapshotRecorded;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    NumberDataPoint, Sum, Summary, SummaryDataPoint,
};

mod order;

const DELTA: i32 = AggregationTemporality::Delta as i32;
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

fn named(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn point(start_ms: i64, ms: i64, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: nanos(start_ms),
        time_unix_nano: nanos(ms),
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    named(name, Data::Gauge(Gauge { data_points: points }))
}

fn sum(name: &str, aggregation_temporality: i32, data_points: Vec<NumberDataPoint>) -> Metric {
    named(name, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true }))
}

/// Requests of 0 to 100 ms, 100 to 200 ms and more, with 0.1 s each in the sum.
fn duration(start_ms: i64, ms: i64, counts: [u64; 3]) -> HistogramDataPoint {
    let count = counts.iter().sum();
    HistogramDataPoint {
        start_time_unix_nano: nanos(start_ms),
        time_unix_nano: nanos(ms),
        count,
        sum: Some(count as f64 * 0.1),
        bucket_counts: counts.into(),
        explicit_bounds: vec![0.1, 0.2],
        ..HistogramDataPoint::default()
    }
}

fn histogram(aggregation_temporality: i32, data_points: Vec<HistogramDataPoint>) -> Metric {
    let data = Histogram { data_points, aggregation_temporality };
    named("http.server.request.duration", Data::Histogram(data))
}

/// What a component tells after all requests, each with its time of arrival.
fn told(requests: Vec<(i64, Vec<Metric>)>) -> Vec<MetricSnapshotRecorded> {
    told_with(Settings::default(), requests)
}

fn told_with(settings: Settings, requests: Vec<(i64, Vec<Metric>)>) -> Vec<MetricSnapshotRecorded> {
    let mut aggregator = aggregator(settings);
    let mut events = Vec::new();
    for (ms, of) in requests {
        events.extend(aggregator.advance(at(ms)));
        let absorbed = aggregator.metrics(&metrics(vec![(resource("cart"), of)]).into());
        assert_eq!(absorbed.rejected(), None);
    }
    events.extend(aggregator.advance(at(10_000_000)));
    check(&events);
    snapshots(&events, "cart").into_iter().cloned().collect()
}

fn requests(snapshots: &[MetricSnapshotRecorded]) -> Vec<(i64, u64, u64, u64)> {
    let of = |it: &MetricSnapshotRecorded| {
        let start = it.window.start.duration_since(at(0)).as_millis() as i64;
        Some((start, it.window.duration_ms, it.requests?, it.errors?))
    };
    snapshots.iter().filter_map(of).filter(|(.., requests, _)| *requests > 0).collect()
}

#[test]
fn cumulative_histograms_are_told_by_their_growth_from_when_they_are_known() {
    // It has been counting for long before we listen: its first value says nothing of now.
    let old = |ms, counts| vec![histogram(CUMULATIVE, vec![duration(-100_000, ms, counts)])];
    let told = told(vec![
        (5_000, old(5_000, [1_000, 0, 0])),
        (15_000, old(15_000, [1_010, 0, 0])),
        (25_000, old(25_000, [1_010, 10, 0])),
    ]);
    assert_eq!(requests(&told), [(10_000, 10_000, 10, 0), (20_000, 10_000, 10, 0)]);
    let latency = told.iter().find(|it| it.window.start == at(20_000)).unwrap().latency.clone();
    let latency = latency.unwrap();
    assert!((latency.p50_ms.get() - 140.0).abs() < 20.0, "{latency:?}");
    assert!((latency.mean_ms.unwrap().get() - 100.0).abs() < 0.01, "{latency:?}");
}

#[test]
fn a_process_that_began_while_we_listen_is_told_from_its_beginning() {
    let of = |ms, counts| vec![histogram(CUMULATIVE, vec![duration(12_000, ms, counts)])];
    let told = told(vec![(19_000, of(19_000, [7, 0, 0])), (29_000, of(29_000, [9, 0, 0]))]);
    assert_eq!(requests(&told), [(10_000, 10_000, 7, 0), (20_000, 10_000, 2, 0)]);
}

#[test]
fn a_counter_that_began_anew_is_told_whether_or_not_it_says_so() {
    let of = |start, ms, counts| vec![histogram(CUMULATIVE, vec![duration(start, ms, counts)])];
    let said = told(vec![
        (5_000, of(1_000, 5_000, [100, 0, 0])),
        (15_000, of(12_000, 15_000, [30, 0, 0])),
    ]);
    assert_eq!(requests(&said), [(0, 10_000, 100, 0), (10_000, 10_000, 30, 0)]);
    let unsaid =
        told(vec![(5_000, of(1_000, 5_000, [100, 0, 0])), (15_000, of(1_000, 15_000, [30, 0, 0]))]);
    assert_eq!(requests(&unsaid), [(0, 10_000, 100, 0), (10_000, 10_000, 30, 0)]);
}

#[test]
fn a_reset_within_a_window_loses_nothing_where_it_is_said() {
    let points = vec![
        duration(1_000, 2_000, [10, 0, 0]),
        duration(1_000, 4_000, [20, 0, 0]),
        duration(5_000, 6_000, [3, 0, 0]),
    ];
    assert_eq!(
        requests(&told(vec![(6_000, vec![histogram(CUMULATIVE, points)])])),
        [(0, 10_000, 23, 0)]
    );
}

#[test]
fn a_new_status_of_a_known_metric_counts_from_nothing() {
    let with = |ms, count, status| {
        let mut point = duration(-100_000, ms, [count, 0, 0]);
        point.attributes = vec![number("http.response.status_code", status)];
        point
    };
    let told = told(vec![
        (5_000, vec![histogram(CUMULATIVE, vec![with(5_000, 50, 200)])]),
        (15_000, vec![histogram(CUMULATIVE, vec![with(15_000, 60, 200), with(15_000, 5, 500)])]),
    ]);
    assert_eq!(requests(&told), [(10_000, 10_000, 15, 5)]);
}

#[test]
fn an_export_every_minute_is_one_snapshot_of_a_minute() {
    let of = |ms, counts| vec![histogram(CUMULATIVE, vec![duration(-100_000, ms, counts)])];
    let told = told(vec![
        (5_000, of(5_000, [10, 0, 0])),
        (65_100, of(65_100, [70, 0, 0])),
        (125_000, of(124_900, [100, 0, 0])),
    ]);
    assert_eq!(requests(&told), [(10_000, 60_000, 60, 0), (70_000, 60_000, 30, 0)]);
}

#[test]
fn deltas_add_up_and_the_same_delta_counts_once() {
    let points = vec![
        duration(0, 3_000, [1, 0, 0]),
        duration(3_000, 6_000, [0, 2, 0]),
        duration(3_000, 6_000, [0, 2, 0]),
    ];
    let again = vec![duration(3_000, 6_000, [0, 2, 0])];
    let told =
        told(vec![(6_000, vec![histogram(DELTA, points)]), (7_000, vec![histogram(DELTA, again)])]);
    assert_eq!(requests(&told), [(0, 10_000, 3, 0)]);
}

#[test]
fn exponential_histograms_change_their_scale_and_summaries_have_quantiles() {
    let exponential = |ms, scale, offset, counts: Vec<u64>| {
        let point = ExponentialHistogramDataPoint {
            start_time_unix_nano: nanos(1),
            time_unix_nano: nanos(ms),
            count: counts.iter().sum(),
            sum: Some(1.0),
            scale,
            positive: Some(Buckets { offset, bucket_counts: counts }),
            ..ExponentialHistogramDataPoint::default()
        };
        let data =
            ExponentialHistogram { data_points: vec![point], aggregation_temporality: CUMULATIVE };
        vec![named("http.server.request.duration", Data::ExponentialHistogram(data))]
    };
    // 0.25 to 0.5 s in two halves, then the same in one with 8 more; -2 >> 1 is -1.
    let told_exponential = told(vec![
        (5_000, exponential(5_000, 1, -4, vec![1, 1, 0, 0])),
        (15_000, exponential(15_000, 0, -2, vec![10, 0])),
    ]);
    assert_eq!(requests(&told_exponential), [(0, 10_000, 2, 0), (10_000, 10_000, 8, 0)]);
    let second = told_exponential.iter().find(|it| it.requests == Some(8)).unwrap();
    let p50 = second.latency.as_ref().unwrap().p50_ms.get();
    assert!((p50 - 353.0).abs() < 5.0, "{p50}");

    let summary = |ms, count| {
        let value = |quantile, value| ValueAtQuantile { quantile, value };
        let point = SummaryDataPoint {
            start_time_unix_nano: nanos(1),
            time_unix_nano: nanos(ms),
            count,
            sum: count as f64 * 0.2,
            quantile_values: vec![value(0.99, 0.9), value(0.5, 0.1), value(0.9, f64::NAN)],
            ..SummaryDataPoint::default()
        };
        let data = Summary { data_points: vec![point] };
        vec![named("http.server.request.duration", Data::Summary(data))]
    };
    let told_summary = told(vec![(5_000, summary(5_000, 100)), (15_000, summary(15_000, 300))]);
    assert_eq!(requests(&told_summary), [(0, 10_000, 100, 0), (10_000, 10_000, 200, 0)]);
    let latency = told_summary[0].latency.as_ref().unwrap();
    assert!((latency.p50_ms.get() - 100.0).abs() < 5.0, "{latency:?}");
    assert!((latency.p99_ms.get() - 900.0).abs() < 60.0, "{latency:?}");
}

#[test]
fn gauges_are_summed_over_processes_and_the_container_is_told_before_the_process() {
    let mut aggregator = aggregator(Settings::default());
    for (instance, bytes) in [("a", 100.0), ("b", 50.0)] {
        let mut of = resource("cart");
        of.attributes.push(said("service.instance.id", instance));
        let sent = vec![
            gauge("process.memory.usage", vec![point(0, 1_000, 1.0), point(0, 2_000, bytes)]),
            gauge("jvm.cpu.recent_utilization", vec![point(0, 2_000, bytes / 100.0)]),
            sum("process.cpu.time", CUMULATIVE, vec![point(1, 9_001, 4.5)]),
        ];
        aggregator.metrics(&metrics(vec![(of, sent)]).into());
    }
    let events = aggregator.advance(at(20_000));
    let cart = snapshots(&events, "cart")[0];
    assert_eq!(cart.memory_bytes.unwrap().get(), 150.0);
    assert_eq!(cart.saturation.unwrap().get(), 1.0);
    assert!((cart.cpu_cores.unwrap().get() - 1.0).abs() < 1e-6, "4.5 s of 9 s, twice");
    assert_eq!(cart.requests, None, "nothing was said of requests");
    let of = vec![
        gauge("container.memory.working_set", vec![point(0, 21_000, 70.0)]),
        gauge("process.memory.usage", vec![point(0, 21_000, 60.0)]),
    ];
    aggregator.metrics(&metrics(vec![(resource("cart"), of)]).into());
    let events = aggregator.advance(at(40_000));
    assert_eq!(snapshots(&events, "cart")[0].memory_bytes.unwrap().get(), 70.0);
}

#[test]
fn named_extras_are_gathered_as_they_are_asked_for() {
    let extra = |metric: &str, extra: &str, aggregate| NamedExtra {
        metric: metric.to_owned(),
        extra: extra.to_owned(),
        aggregate,
    };
    let extras = vec![
        extra("queue.depth", "depth_max", Aggregate::Max),
        extra("jobs", "jobs_per_s", Aggregate::Rate),
        extra("job.size", "size_p95_bytes", Aggregate::P95),
    ];
    let sizes = HistogramDataPoint {
        time_unix_nano: nanos(5_000),
        count: 100,
        sum: Some(5_000.0),
        bucket_counts: vec![90, 10],
        explicit_bounds: vec![50.0],
        ..HistogramDataPoint::default()
    };
    let sizes = Histogram { data_points: vec![sizes], aggregation_temporality: DELTA };
    let mut other = point(0, 5_000, 4.0);
    other.attributes = vec![said("queue", "b")];
    let told = told_with(
        Settings { extras, ..Settings::default() },
        vec![(
            5_000,
            vec![
                gauge("queue.depth", vec![point(0, 5_000, 9.0), other]),
                sum("jobs", DELTA, vec![point(1_000, 5_000, 25.0)]),
                named("job.size", Data::Histogram(sizes)),
                gauge("not.asked.for", vec![point(0, 5_000, 1.0)]),
            ],
        )],
    );
    let extras: Vec<_> =
        told[0].extras.iter().map(|(name, it)| (name.as_str(), it.get())).collect();
    assert_eq!(extras[..2], [("depth_max", 9.0), ("jobs_per_s", 2.5)]);
    assert!((extras[2].1 - 50.0).abs() < 1.0, "{extras:?}");
}

#[test]
fn calls_that_clients_measured_are_told_of_the_database() {
    let mut point = duration(0, 5_000, [3, 0, 0]);
    point.attributes = vec![said("db.system.name", "postgresql"), said("db.namespace", "orders")];
    let data = Histogram { data_points: vec![point], aggregation_temporality: DELTA };
    let metric = named("db.client.operation.duration", Data::Histogram(data));
    let mut aggregator = aggregator(Settings::default());
    aggregator.metrics(&metrics(vec![(resource("orders"), vec![metric])]).into());
    let events = aggregator.advance(at(20_000));
    assert_eq!(snapshots(&events, "postgresql/orders")[0].requests, Some(3));
    assert!(snapshots(&events, "orders").is_empty());
}

#[test]
fn values_that_are_none_are_rejected_and_counted() {
    let mut aggregator = aggregator(Settings::default());
    let bad = |edit: fn(&mut HistogramDataPoint)| {
        let mut point = duration(0, 5_000, [1, 1, 1]);
        edit(&mut point);
        histogram(DELTA, vec![point])
    };
    let wrong = vec![
        (gauge("process.memory.usage", vec![point(0, 1_000, f64::NAN)]), Reason::InvalidValue),
        (gauge("process.memory.usage", vec![point(0, 1_000, f64::INFINITY)]), Reason::InvalidValue),
        (
            gauge(
                "process.memory.usage",
                vec![NumberDataPoint { value: None, ..point(0, 1_000, 1.0) }],
            ),
            Reason::InvalidValue,
        ),
        (sum("process.cpu.time", 0, vec![point(0, 1_000, 1.0)]), Reason::NoTemporality),
        (sum("process.cpu.time", 77, vec![point(0, 1_000, 1.0)]), Reason::NoTemporality),
        (bad(|it| it.sum = Some(f64::NAN)), Reason::InvalidValue),
        (bad(|it| it.bucket_counts = vec![1, 2]), Reason::InvalidValue),
        (bad(|it| it.explicit_bounds = vec![0.2, 0.1]), Reason::InvalidValue),
        (bad(|it| it.count = u64::MAX), Reason::InvalidValue),
        (bad(|it| it.bucket_counts = vec![1; 1_000]), Reason::TooManyBuckets),
        (bad(|it| it.time_unix_nano = 0), Reason::InvalidTime),
        (bad(|it| it.time_unix_nano = u64::MAX), Reason::InvalidTime),
        (bad(|it| (it.start_time_unix_nano, it.time_unix_nano) = (1, 1_000)), Reason::Late),
    ];
    for (metric, reason) in wrong {
        let name = format!("{metric:?}");
        let absorbed = aggregator.metrics(&metrics(vec![(resource("cart"), vec![metric])]).into());
        assert_eq!(absorbed.dropped, [(reason, 1)].into(), "{name}");
    }
    let none = NumberDataPoint { flags: 1, ..point(0, 1_000, f64::NAN) };
    let absorbed = aggregator.metrics(
        &metrics(vec![(resource("cart"), vec![gauge("process.memory.usage", vec![none])])]).into(),
    );
    assert_eq!((absorbed.accepted, absorbed.rejected()), (1, None), "no value is no mistake");
    assert_eq!(aggregator.advance(at(20_000)).len(), 0);
}

#[test]
fn series_have_a_limit_and_silent_ones_make_room() {
    let limits = crate::aggregate::Limits { series: 10, ..Default::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    let of = |ms, from: i64, to: i64| {
        let points = (from..to).map(|n| {
            let mut point = point(0, ms, 1.0);
            point.attributes = vec![number("n", n)];
            point
        });
        metrics(vec![(resource("cart"), vec![gauge("process.memory.usage", points.collect())])])
    };
    let absorbed = aggregator.metrics(&of(1_000, 0, 25).into());
    assert_eq!((absorbed.accepted, absorbed.dropped[&Reason::TooManySeries]), (10, 15));
    let later = 1_000_000;
    aggregator.advance(at(later));
    assert_eq!(aggregator.metrics(&of(later, 100, 105).into()).accepted, 5);
    assert!(aggregator.held().series <= 10);
}

#[test]
fn a_resource_that_takes_the_number_of_a_forgotten_one_has_its_own_series() {
    let limits = crate::aggregate::Limits { resources: 1, ..Default::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    let mut told = |service: &str, ms: i64, bytes: f64, cpu_s: f64| {
        let of = vec![
            gauge("process.memory.usage", vec![point(0, ms, bytes)]),
            sum("process.cpu.time", CUMULATIVE, vec![point(1_000, ms, cpu_s)]),
        ];
        aggregator.advance(at(ms));
        let absorbed = aggregator.metrics(&metrics(vec![(resource(service), of)]).into());
        assert_eq!(absorbed.rejected(), None);
        let events = aggregator.advance(at(ms + 20_000));
        let of = |service: &str| {
            let told = snapshots(&events, service).into_iter().cloned();
            told.collect::<Vec<MetricSnapshotRecorded>>()
        };
        (of("cart"), of("stock"))
    };
    let (cart, _) = told("cart", 5_000, 1.0, 2.0);
    assert_eq!(cart[0].memory_bytes.unwrap().get(), 1.0);
    let (cart, stock) = told("stock", 1_005_000, 2.0, 900.0);
    assert_eq!((cart.len(), stock[0].memory_bytes.unwrap().get()), (0, 2.0));
    // It comes back, under another number, and its counter goes on.
    let (cart, stock) = told("cart", 2_005_000, 3.0, 1_002.0);
    assert_eq!(stock.len(), 0);
    let cpu = cart.iter().find_map(|told| told.cpu_cores).unwrap();
    assert!((cpu.get() - 0.5).abs() < 1e-6, "1,000 s of 2,000 s, not {}", cpu.get());
}

#[test]
fn a_peer_that_takes_the_number_of_a_forgotten_one_is_told_by_its_own_calls() {
    let limits = crate::aggregate::Limits { resources: 1, ..Default::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    for (database, ms) in [("orders", 5_000), ("stock", 1_005_000), ("orders", 2_005_000)] {
        let mut point = duration(ms - 1_000, ms, [3, 0, 0]);
        point.attributes = vec![said("db.system.name", "mysql"), said("db.namespace", database)];
        let data = Histogram { data_points: vec![point], aggregation_temporality: DELTA };
        let metric = named("db.client.operation.duration", Data::Histogram(data));
        aggregator.advance(at(ms));
        let absorbed = aggregator.metrics(&metrics(vec![(resource("cart"), vec![metric])]).into());
        assert_eq!(absorbed.rejected(), None);
        let events = aggregator.advance(at(ms + 20_000));
        assert_eq!(snapshots(&events, &format!("mysql/{database}"))[0].requests, Some(3));
    }
}

#[test]
fn streams_of_resources_that_are_gone_make_room() {
    let limits = crate::aggregate::Limits { series: 10, ..Default::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    for round in 0..20 {
        let ms = round * 1_000_000;
        let of = (0..10).map(|n| {
            let mut of = resource("cart");
            of.attributes.push(said("k8s.pod.name", &format!("cart-{round}-{n}")));
            (of, vec![gauge("process.memory.usage", vec![point(0, ms + 1_000, 1.0)])])
        });
        assert_eq!(aggregator.metrics(&metrics(of.collect()).into()).rejected(), None, "{round}");
        aggregator.advance(at(ms + 1_000_000));
    }
}
