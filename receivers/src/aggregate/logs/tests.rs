use events::Event;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValueList};
use proptest::prelude::*;

use super::*;
use crate::aggregate::tests::{aggregator, check, snapshots};
use crate::aggregate::{Limits, Settings};
use crate::sample::{at, line, logs, nanos, resource, said};

fn told(records: Vec<LogRecord>) -> Vec<Event> {
    let mut aggregator = aggregator(Settings::default());
    let absorbed = aggregator.logs(&logs(vec![(resource("cart"), records)]).into());
    assert_eq!(absorbed.rejected(), None);
    let events = aggregator.advance(at(30_000));
    check(&events);
    events
}

fn patterns(events: &[Event]) -> Vec<(String, LogSeverity, u64)> {
    let of = events.iter().filter_map(|event| match &event.data {
        EventData::LogPatternsRecorded(data) => Some(&data.patterns),
        _ => None,
    });
    of.flatten().map(|it| (it.template.to_string(), it.severity, it.count)).collect()
}

#[test]
fn lines_are_counted_by_template_with_their_severity_and_traces() {
    let mut records: Vec<_> =
        (0..50).map(|n| line(1_000 + n, 9, &format!("order {n} paid by user=u{n}"))).collect();
    for (n, name) in ["alpha", "beta", "gamma"].into_iter().enumerate() {
        let mut record = line(2_000, 17, &format!("cannot reach stock shard {name} now"));
        record.trace_id = (n as u128 + 1).to_be_bytes().into();
        records.push(record);
    }
    let events = told(records);
    assert_eq!(
        patterns(&events),
        [
            ("cannot reach stock shard <*> now".to_owned(), LogSeverity::Error, 3),
            ("order <*> paid by user=<*>".to_owned(), LogSeverity::Info, 50),
        ]
    );
    let EventData::LogPatternsRecorded(data) = &events.last().unwrap().data else {
        panic!("patterns are told last");
    };
    let traces = &data.patterns[0].exemplar_trace_ids;
    assert_eq!(traces.len(), 3);
    assert_eq!(traces[0].as_str(), format!("{:032x}", 3));
    let extras = &snapshots(&events, "cart")[0].extras;
    assert_eq!((extras["log_lines"].get(), extras["log_error_lines"].get()), (53.0, 3.0));
}

#[test]
fn what_a_line_is_may_be_told_in_many_ways() {
    let mut structured = line(1_000, 0, "");
    let pairs = vec![said("level", "warn"), said("msg", "queue is long")];
    structured.body =
        Some(AnyValue { value: Some(Value::KvlistValue(KeyValueList { values: pairs })) });
    structured.severity_text = "WARN".to_owned();
    let mut event = line(0, 0, "");
    event.body = None;
    event.event_name = "session.start".to_owned();
    (event.time_unix_nano, event.observed_time_unix_nano) = (0, nanos(1_500));
    assert_eq!(
        patterns(&told(vec![structured, event])),
        [
            ("queue is long".to_owned(), LogSeverity::Warning, 1),
            ("session.start".to_owned(), LogSeverity::Info, 1),
        ]
    );
}

#[test]
fn what_has_no_time_or_a_broken_trace_is_rejected() {
    let mut aggregator = aggregator(Settings::default());
    let edit = |edit: fn(&mut LogRecord)| {
        let mut record = line(1_000, 9, "hello");
        edit(&mut record);
        record
    };
    for (record, reason) in [
        (edit(|it| it.time_unix_nano = 0), Reason::InvalidTime),
        (edit(|it| it.time_unix_nano = u64::MAX), Reason::InvalidTime),
        (edit(|it| it.time_unix_nano = 1), Reason::Late),
        (edit(|it| it.trace_id = vec![1; 8]), Reason::InvalidId),
        (edit(|it| it.attributes = vec![said("a", "b"); 100_000]), Reason::TooManyAttributes),
    ] {
        let absorbed = aggregator.logs(&logs(vec![(resource("cart"), vec![record])]).into());
        assert_eq!(absorbed.dropped, [(reason, 1)].into());
    }
}

#[test]
fn shapes_without_room_are_counted_together() {
    let limits = Limits { shapes: 10, ..Limits::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    let word = |n: u8| (0..n % 20 + 1).map(|_| char::from(b'a' + n % 26)).collect::<String>();
    let records = (0..100).map(|n| line(1_000, 9, &format!("{} {}", word(n), word(n / 3))));
    aggregator.logs(&logs(vec![(resource("cart"), records.collect())]).into());
    assert!(aggregator.totals().dropped[&Reason::TooManyShapes] > 50);
    let of = patterns(&aggregator.advance(at(30_000)));
    assert_eq!(of.iter().map(|(.., count)| count).sum::<u64>(), 100, "no line is lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_and_split_make_no_difference(
        lines in prop::collection::vec((1_000..60_000_i64, "(a|b|c) (is|was) [a-d]{1,2}( [0-9]{1,3})?", 1..25_i32), 1..200),
        keys in prop::collection::vec(any::<u64>(), 1..60),
        split in 1..30_usize,
    ) {
        let records: Vec<_> = lines.iter().map(|(ms, text, severity)| line(*ms, *severity, text)).collect();
        let absorbed = |order: &[usize], split: usize| {
            let settings = Settings { lateness_ms: 100_000, ahead_ms: 100_000, ..Settings::default() };
            let mut aggregator = aggregator(settings);
            let mut events = Vec::new();
            for part in order.chunks(split) {
                let of = part.iter().map(|index| records[*index].clone()).collect();
                aggregator.logs(&logs(vec![(resource("cart"), of)]).into());
                events.extend(aggregator.advance(at(part[0] as i64)));
            }
            events.extend(aggregator.advance(at(10_000_000)));
            events
        };
        let in_order: Vec<usize> = (0..records.len()).collect();
        let mut mixed = in_order.clone();
        mixed.sort_by_key(|index| keys[index % keys.len()].rotate_left(*index as u32));
        let together = absorbed(&in_order, records.len());
        prop_assert_eq!(&absorbed(&mixed, split), &together);
        let counted: u64 = patterns(&together).iter().map(|(.., count)| count).sum();
        prop_assert_eq!(counted, records.len() as u64);
    }
}
