use super::*;

#[test]
fn a_call_is_told_by_its_two_halves_whichever_comes_first() {
    let call = || ("web", span(Client, 1, 10, 0, 1_000));
    let answer = || ("cart", span(Server, 1, 11, 10, 999));
    for spans in [vec![call(), answer()], vec![answer(), call()]] {
        let events = told(Settings::default(), spans);
        check(&events);
        assert_eq!(edges(&events), pairs([("web", "cart", 1, 0)]));
        let cart = snapshots(&events, "cart");
        assert_eq!((cart[0].requests, cart[0].errors), (Some(1), Some(0)));
        assert_eq!(cart[0].latency.as_ref().unwrap().mean_ms.unwrap().get(), 5.0);
    }
}

#[test]
fn halves_in_different_windows_and_requests_are_one_call_of_the_callers_window() {
    let mut aggregator = aggregator(Settings::default());
    let answer = traces(vec![(resource("cart"), vec![span(Server, 1, 11, 10, 9_990)])]);
    let call = traces(vec![(resource("web"), vec![span(Client, 1, 10, 0, 10_010)])]);
    aggregator.traces(&answer.into());
    let first = aggregator.advance(at(16_000));
    assert_eq!(edges(&first), pairs([]));
    aggregator.traces(&call.into());
    let second = aggregator.advance(at(26_000));
    assert_eq!(edges(&second), pairs([("web", "cart", 1, 0)]));
}

#[test]
fn half_a_call_invents_nobody() {
    let local =
        |span: Span| span.with(said("server.address", "10.0.0.7")).with(number("server.port", 80));
    let spans = vec![
        // The callee's half never comes, and a number is nobody's name.
        ("web", local(span(Client, 1, 10, 0, 1_000)).failed()),
        // The caller's half never comes.
        ("cart", span(Server, 2, 21, 20, 1_000)),
    ];
    let events = told(Settings::default(), spans);
    assert_eq!(edges(&events), pairs([]));
    assert_eq!(snapshots(&events, "cart").len(), 7, "one with a request, six quiet ones");
}

#[test]
fn a_callee_that_is_gone_is_known_by_the_address_it_answered_at() {
    let to =
        |span: Span| span.with(said("server.address", "10.0.0.7")).with(number("server.port", 80));
    let mut spans =
        vec![("web", to(span(Client, 1, 10, 0, 1_000))), ("cart", span(Server, 1, 11, 10, 999))];
    for trace in 2..12 {
        spans.push(("web", to(span(Client, trace, 10, 0, 2_000)).failed()));
    }
    let events = told(Settings::default(), spans);
    assert_eq!(edges(&events), pairs([("web", "cart", 11, 10)]));
    let cart = snapshots(&events, "cart");
    assert_eq!((cart[0].requests, cart[0].errors), (Some(11), Some(10)), "as its callers saw it");
}

#[test]
fn an_address_that_several_answer_at_tells_nobody() {
    let to = |span: Span| span.with(said("server.address", "gateway.example.com"));
    let spans = vec![
        ("web", to(span(Client, 1, 10, 0, 1_000))),
        ("cart", span(Server, 1, 11, 10, 999)),
        ("web", to(span(Client, 2, 10, 0, 1_000))),
        ("orders", span(Server, 2, 11, 10, 999)),
        ("web", to(span(Client, 3, 10, 0, 1_000)).failed()),
    ];
    let events = told(Settings::default(), spans);
    assert_eq!(edges(&events), pairs([("web", "cart", 1, 0), ("web", "orders", 1, 0)]));
}

#[test]
fn databases_queues_and_named_peers_are_told_by_their_callers() {
    let sql = span(Client, 1, 10, 0, 1_000)
        .with(said("db.system.name", "postgresql"))
        .with(said("db.namespace", "orders"));
    let old = span(Client, 1, 12, 0, 1_000)
        .with(said("db.system", "redis"))
        .with(said("net.peer.name", "cache"))
        .with(number("net.peer.port", 6379));
    let message = |span: Span| {
        span.with(said("messaging.system", "kafka"))
            .with(said("messaging.destination.name", "paid"))
    };
    let spans = vec![
        ("orders", sql),
        ("orders", old),
        ("orders", span(Client, 1, 13, 0, 1_000).with(said("peer.service", "ledger"))),
        ("orders", message(span(Producer, 1, 14, 0, 1_000))),
        ("mailer", message(span(Consumer, 1, 15, 14, 1_500))),
    ];
    let events = told(Settings::default(), spans);
    check(&events);
    let expected = pairs([
        ("kafka/paid", "mailer", 1, 0),
        ("orders", "kafka/paid", 1, 0),
        ("orders", "ledger", 1, 0),
        ("orders", "postgresql/orders", 1, 0),
        ("orders", "redis/cache:6379", 1, 0),
    ]);
    assert_eq!(edges(&events), expected);
    assert_eq!(snapshots(&events, "postgresql/orders")[0].requests, Some(1));
    let kinds: BTreeMap<String, String> = events
        .iter()
        .filter_map(|event| match &event.data {
            EventData::ComponentDescribed(data) => {
                Some((data.component.to_string(), data.kind.as_ref()?.to_string()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(kinds["postgresql/orders"], "database");
    assert_eq!(kinds["kafka/paid"], "queue");
    assert_eq!(kinds["ledger"], "external");
    assert_eq!(kinds["mailer"], "service");
}

#[test]
fn a_database_with_telemetry_of_its_own_is_the_service_that_its_clients_name() {
    let of = |name: &str| {
        let mut resource = resource(name);
        resource.attributes.push(said("service.namespace", "shop"));
        resource
    };
    let sql = span(Client, 1, 10, 0, 1_000)
        .with(said("db.system.name", "postgresql"))
        .with(said("db.namespace", "orders"))
        .with(said("peer.service", "ledger"));
    let own = span(Internal, 2, 20, 0, 1_000);
    let spans = traces(vec![(of("orders"), vec![sql]), (of("ledger"), vec![own])]);
    let mut aggregator = aggregator(Settings::default());
    aggregator.traces(&spans.into());
    let events = aggregator.advance(at(600_000));
    assert_eq!(edges(&events), pairs([("shop/orders", "shop/ledger", 1, 0)]));
}

#[test]
fn a_consumer_is_linked_to_its_producer_where_the_queue_has_no_name() {
    let spans = vec![
        ("orders", span(Producer, 1, 10, 0, 1_000)),
        ("mailer", span(Consumer, 2, 20, 0, 1_500).linked(1, 10)),
    ];
    assert_eq!(edges(&told(Settings::default(), spans)), pairs([("orders", "mailer", 1, 0)]));
}

#[test]
fn a_call_through_two_clients_of_one_process_is_one_call() {
    let named = |span: Span| span.with(said("peer.service", "s3"));
    let spans = vec![
        ("web", span(Client, 1, 10, 0, 1_003)),
        ("web", span(Client, 1, 11, 10, 1_002)),
        ("cart", span(Server, 1, 12, 11, 1_000)),
        ("web", named(span(Client, 2, 20, 0, 1_003))),
        ("web", named(span(Client, 2, 21, 20, 1_002))),
    ];
    let expected = pairs([("web", "cart", 1, 0), ("web", "s3", 1, 0)]);
    assert_eq!(edges(&told(Settings::default(), spans)), expected);
}

#[test]
fn a_context_that_was_passed_without_a_client_span_is_a_call() {
    let spans = vec![
        ("web", span(Server, 1, 10, 0, 1_010)),
        ("web", span(Internal, 1, 11, 10, 1_009)),
        ("cart", span(Server, 1, 12, 11, 1_000)),
    ];
    assert_eq!(edges(&told(Settings::default(), spans)), pairs([("web", "cart", 1, 0)]));
}

#[test]
fn a_component_that_tells_only_of_its_own_calls_is_called_by_who_caused_them() {
    let spans = vec![
        ("web", span(Client, 1, 10, 0, 1_010)),
        ("gateway", span(Client, 1, 11, 10, 1_005)),
        ("cart", span(Server, 1, 12, 11, 1_000)),
    ];
    let expected = pairs([("gateway", "cart", 1, 0), ("web", "gateway", 1, 0)]);
    assert_eq!(edges(&told(Settings::default(), spans)), expected);
}

#[test]
fn a_host_by_name_is_external_once_it_stayed_unknown() {
    let mut spans = Vec::new();
    for window in 0..10_i64 {
        let trace = u128::try_from(window).unwrap() + 1;
        let to = span(Client, trace, 10, 0, window * 10_000 + 1_000);
        spans.push(("web", to.with(said("url.full", "https://user@api.stripe.com/v1?key=1"))));
    }
    let (mut aggregator, mut events) = (aggregator(Settings::default()), Vec::new());
    for (_, span) in spans {
        let now = i64::try_from(span.end_time_unix_nano / 1_000_000).unwrap() - START_S * 1_000;
        events.extend(aggregator.advance(at(now)));
        aggregator.traces(&traces(vec![(resource("web"), vec![span])]).into());
        assert!(now > 60_000 || edges(&events).is_empty());
    }
    events.extend(aggregator.advance(at(200_000)));
    assert_eq!(aggregator.totals().calls_unresolved, 6);
    assert_eq!(edges(&events), pairs([("web", "api.stripe.com", 4, 0)]));
}

#[test]
fn rules_name_what_addresses_do_not() {
    let rule =
        |peer: &str| PeerRule { peer: peer.to_owned(), component: "orders-db".parse().unwrap() };
    let settings = Settings { peers: vec![rule("127.0.0.1:5432")], ..Settings::default() };
    let sql = span(Client, 1, 10, 0, 1_000)
        .with(said("db.system.name", "postgresql"))
        .with(said("server.address", "127.0.0.1"))
        .with(number("server.port", 5432));
    assert_eq!(
        edges(&told(settings, vec![("orders", sql)])),
        pairs([("orders", "orders-db", 1, 0)])
    );
}

#[test]
fn an_answer_that_nothing_was_found_is_no_failure_of_who_answered() {
    let call = |id: u64, status: i64| {
        let span = span(Client, 1, id, 0, 1_000).with(said("peer.service", "cart"));
        span.with(number("http.response.status_code", status)).failed()
    };
    let spans = vec![("web", call(1, 404)), ("web", call(2, 503)), ("web", call(3, 429))];
    assert_eq!(edges(&told(Settings::default(), spans)), pairs([("web", "cart", 3, 2)]));
}

#[test]
fn exemplars_are_the_failed_and_then_the_slowest() {
    let mut spans = Vec::new();
    for trace in 1..=20_u64 {
        let mut call = span(Client, trace.into(), 1, 0, 5_000).with(said("peer.service", "cart"));
        call.start_time_unix_nano = nanos(5_000) - trace * 1_000_000;
        spans.push(("web", if trace == 2 { call.failed() } else { call }));
    }
    let events = told(Settings::default(), spans);
    let told = events.iter().find_map(|event| match &event.data {
        EventData::TraceEdgesRecorded(data) => Some(data),
        _ => None,
    });
    let data = told.unwrap();
    let ids: Vec<_> = data.edges[0].exemplar_trace_ids.iter().map(|id| id.as_str()).collect();
    assert_eq!(ids, [2, 20, 19].map(|trace: u128| format!("{trace:032x}")));
}
