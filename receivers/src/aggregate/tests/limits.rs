use super::*;

fn one(spans: Vec<Span>) -> Received<ExportTraceServiceRequest> {
    traces(vec![(resource("web"), spans)]).into()
}

#[test]
fn what_is_wrong_is_rejected_and_the_rest_is_taken() {
    let mut aggregator = aggregator(Settings::default());
    let good = || span(Server, 1, 1, 0, 1_000);
    let edit = |edit: fn(&mut Span)| {
        let mut span = span(Server, 2, 2, 0, 1_000);
        edit(&mut span);
        span
    };
    let wrong = [
        (edit(|span| span.trace_id = vec![1; 15]), Reason::InvalidId),
        (edit(|span| span.trace_id = vec![0; 16]), Reason::InvalidId),
        (edit(|span| span.span_id.clear()), Reason::InvalidId),
        (edit(|span| span.parent_span_id = vec![1; 9]), Reason::InvalidId),
        (edit(|span| span.start_time_unix_nano = 0), Reason::InvalidTime),
        (edit(|span| span.end_time_unix_nano = 0), Reason::InvalidTime),
        (edit(|span| span.end_time_unix_nano = span.start_time_unix_nano - 1), Reason::InvalidTime),
        (edit(|span| span.end_time_unix_nano = u64::MAX), Reason::InvalidTime),
        (edit(|span| span.end_time_unix_nano = i64::MAX as u64), Reason::Future),
        (edit(|span| span.end_time_unix_nano = nanos(45_000)), Reason::Future),
        (edit(|span| (span.start_time_unix_nano, span.end_time_unix_nano) = (1, 2)), Reason::Late),
        (edit(|span| span.attributes = vec![said("a", "b"); 100_000]), Reason::TooManyAttributes),
    ];
    for (span, reason) in wrong {
        let absorbed = aggregator.traces(&one(vec![span, good()]));
        assert_eq!(absorbed.dropped, [(reason, 1)].into());
        let rejected = absorbed.rejected().unwrap();
        assert_eq!(rejected.count, 1);
        assert!(rejected.message.starts_with(&format!("1 {reason} (")), "{}", rejected.message);
    }
    assert_eq!(aggregator.totals().spans, 1, "the good one, once");
    assert_eq!(aggregator.totals().repeated, 11);
    let events = aggregator.advance(at(20_000));
    assert_eq!(snapshots(&events, "web")[0].requests, Some(1));
}

#[test]
fn what_comes_after_its_window_is_late_and_counted() {
    let mut aggregator = aggregator(Settings::default());
    aggregator.advance(at(15_999));
    let absorbed = aggregator.traces(&one(vec![span(Server, 1, 1, 0, 9_000)]));
    assert_eq!(absorbed.accepted, 1, "within the lateness");
    aggregator.advance(at(16_000));
    let absorbed = aggregator.traces(&one(vec![span(Server, 1, 2, 0, 9_000)]));
    assert_eq!(absorbed.dropped, [(Reason::Late, 1)].into());
    assert_eq!(aggregator.totals().dropped, [(Reason::Late, 1)].into());
}

#[test]
fn after_a_restart_the_rest_of_a_told_window_is_late() {
    let told_until = Some(at(20_000));
    let mut aggregator = Aggregator::new(Settings::default(), at(15_000), told_until);
    let absorbed =
        aggregator.traces(&one(vec![span(Server, 1, 1, 0, 19_000), span(Server, 1, 2, 0, 21_000)]));
    assert_eq!((absorbed.accepted, absorbed.dropped[&Reason::Late]), (1, 1));
}

#[test]
fn a_request_or_a_span_that_is_sent_again_counts_once() {
    let mut aggregator = aggregator(Settings::default());
    let mut received = one(vec![span(Server, 1, 1, 0, 1_000), span(Server, 1, 2, 0, 1_000)]);
    received.fingerprint = Some(7);
    assert_eq!(aggregator.traces(&received).accepted, 2);
    let again = aggregator.traces(&received);
    assert_eq!((again.accepted, again.repeated, again.rejected()), (0, 2, None));
    let other = one(vec![span(Server, 1, 2, 0, 1_000), span(Server, 1, 3, 0, 1_000)]);
    let absorbed = aggregator.traces(&other);
    assert_eq!((absorbed.accepted, absorbed.repeated), (1, 1));
    let events = aggregator.advance(at(20_000));
    assert_eq!(snapshots(&events, "web")[0].requests, Some(3));
}

#[test]
fn components_and_edges_have_limits_and_what_is_over_is_counted() {
    let limits = Limits { components: 3, spans: 50, edges: 1, ..Limits::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    for n in 0..10_u64 {
        let call = span(Client, n.into(), n + 1, 0, 1_000).with(said("peer.service", "a"));
        aggregator.traces(&traces(vec![(resource(&format!("s{n}")), vec![call])]).into());
    }
    assert_eq!(
        aggregator.totals().dropped,
        [(Reason::TooManyComponents, 7), (Reason::InvalidId, 1)].into()
    );
    let more = (0..100).map(|n| span(Server, 1_000, n + 1, 0, 1_000)).collect();
    let absorbed = aggregator.traces(&traces(vec![(resource("s1"), more)]).into());
    assert_eq!(absorbed.accepted, 100);
    assert!(aggregator.held().spans <= 50);
    aggregator.advance(at(20_000));
    assert!(aggregator.totals().dropped[&Reason::TooManyComponents] > 7, "no room for a callee");
    assert_eq!(aggregator.held().windows, 0);
    aggregator.advance(at(200_000));
    aggregator.advance(at(400_000));
    assert_eq!(aggregator.held().spans, 0, "spans are forgotten");
}

#[test]
fn more_spans_than_are_remembered_are_all_taken() {
    let limits = Limits { spans: 1_000, ..Limits::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    let mut events = Vec::new();
    for second in 0..100_u64 {
        let ends = i64::try_from(second).unwrap() * 1_000 + 500;
        let spans = (1..=300).flat_map(|id| {
            let trace = u128::from(second * 300 + id);
            [
                (resource("web"), vec![span(Client, trace, 1, 0, ends)]),
                (resource("cart"), vec![span(Server, trace, 2, 1, ends)]),
            ]
        });
        let absorbed = aggregator.traces(&traces(spans.collect()).into());
        assert_eq!((absorbed.accepted, absorbed.rejected()), (600, None));
        assert!(aggregator.held().spans <= 1_000);
        events.extend(aggregator.advance(at(ends)));
    }
    events.extend(aggregator.close());
    let requests: Vec<_> = snapshots(&events, "cart").iter().map(|told| told.requests).collect();
    assert_eq!(requests, [Some(3_000); 10]);
}

#[test]
fn made_up_hosts_do_not_take_the_room_of_components_that_tell_of_themselves() {
    let limits = Limits { components: 10, ..Limits::default() };
    let mut aggregator = aggregator(Settings { limits, ..Settings::default() });
    let calls = (1..100).map(|n| {
        span(Client, n.into(), n, 0, 1_000).with(said("peer.service", &format!("peer-{n}")))
    });
    aggregator.traces(&one(calls.collect()));
    let events = aggregator.advance(at(20_000));
    assert_eq!(edges(&events).len(), 5);
    for n in 0..4 {
        let of = vec![(resource(&format!("s{n}")), vec![span(Server, 200 + n, 1, 0, 21_000)])];
        assert_eq!(aggregator.traces(&traces(of).into()).rejected(), None);
    }
}

#[test]
fn a_window_that_nobody_speaks_of_makes_no_events() {
    let mut aggregator = aggregator(Settings::default());
    assert_eq!(aggregator.advance(at(86_400_000 * 365)), []);
    aggregator.traces(&one(vec![span(Server, 1, 1, 0, 86_400_000 * 365)]));
    let events = aggregator.close();
    assert_eq!(snapshots(&events, "web").len(), 1, "the end of the process tells what there is");
}
