//! The order in which requests come, and how spans were put into them, makes no difference.

use proptest::prelude::*;

use super::*;

const SERVICES: [&str; 4] = ["web", "cart", "orders", "stock"];

/// A call of one service by another, one or both of whose halves arrive.
#[derive(Clone, Debug)]
struct Called {
    caller: usize,
    callee: usize,
    end_ms: i64,
    took_ms: i64,
    halves: u8,
    failed: bool,
}

fn called() -> impl Strategy<Value = Called> {
    (0..4_usize, 0..4_usize, 1_000..40_000_i64, 1..800_i64, 1..8_u8, any::<bool>()).prop_map(
        |(caller, callee, end_ms, took_ms, halves, failed)| Called {
            caller,
            callee,
            end_ms,
            took_ms,
            halves,
            failed,
        },
    )
}

/// The spans of a call, with the service of each.
fn spans(trace: u128, call: &Called) -> Vec<(&'static str, Span)> {
    let address = format!("10.0.0.{}", call.callee);
    let mut outgoing = span(Client, trace, 10, 0, call.end_ms);
    outgoing.start_time_unix_nano = nanos(call.end_ms - call.took_ms);
    let mut outgoing = outgoing.with(said("server.address", &address));
    let mut incoming = span(Server, trace, 11, 10, call.end_ms - 1);
    if call.failed {
        (outgoing, incoming) = (outgoing.failed(), incoming.failed());
    }
    let halves = [(SERVICES[call.caller], outgoing), (SERVICES[call.callee], incoming)];
    let arrives = |(index, _): &(usize, _)| call.halves & (1 << index) != 0 || call.halves == 4;
    halves.into_iter().enumerate().filter(arrives).map(|(_, half)| half).collect()
}

/// Takes spans in the order of `keys`, `split` in a request, with the time going on meanwhile.
fn absorbed(spans: &[(&'static str, Span)], keys: &[u64], split: usize) -> Vec<Event> {
    let settings = Settings { lateness_ms: 60_000, ..Settings::default() };
    let mut aggregator = aggregator(Settings { ahead_ms: 60_000, ..settings });
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|index| keys[index % keys.len()].rotate_left(*index as u32));
    let mut events = Vec::new();
    for (step, indexes) in order.chunks(split).enumerate() {
        let of = indexes.iter().map(|index| {
            let (service, span) = &spans[*index];
            (resource(service), vec![span.clone()])
        });
        let absorbed = aggregator.traces(&traces(of.collect()).into());
        assert_eq!(absorbed.rejected(), None);
        events.extend(aggregator.advance(at((step as i64 * 100).min(59_000))));
    }
    events.extend(aggregator.advance(at(1_000_000)));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_split_make_no_difference(
        calls in prop::collection::vec(called(), 1..120),
        keys in prop::collection::vec(any::<u64>(), 1..120),
        split in 1..50_usize,
    ) {
        let all: Vec<_> =
            calls.iter().enumerate().flat_map(|(n, call)| spans(n as u128 + 1, call)).collect();
        let together = absorbed(&all, &[0], all.len());
        check(&together);
        prop_assert_eq!(&absorbed(&all, &keys, split), &together);

        // Nobody is invented, nobody is missed.
        let told: BTreeSet<_> = edges(&together).into_keys().collect();
        let real: BTreeSet<_> = calls
            .iter()
            .filter(|call| call.caller != call.callee)
            .map(|call| (SERVICES[call.caller].to_owned(), SERVICES[call.callee].to_owned()))
            .collect();
        let whole: BTreeSet<_> = calls
            .iter()
            .filter(|call| call.caller != call.callee && !matches!(call.halves & 3, 1 | 2))
            .map(|call| (SERVICES[call.caller].to_owned(), SERVICES[call.callee].to_owned()))
            .collect();
        prop_assert!(told.is_subset(&real), "{told:?} of {real:?}");
        prop_assert!(told.is_superset(&whole), "{told:?} of {whole:?}");
    }
}
