//! The order in which points come, how they were put into requests and how often makes no
//! difference, counters that begin anew included.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Step {
    after_ms: i64,
    grown: [u64; 3],
    anew: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (1..15_000_i64, [0..50_u64, 0..50, 0..50], prop::bool::weighted(0.1))
        .prop_map(|(after_ms, grown, anew)| Step { after_ms, grown, anew })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However points come, and however often, what is told of them is the same, and it is all.
    #[test]
    fn order_split_and_repetition_make_no_difference(
        steps in prop::collection::vec(step(), 1..40),
        keys in prop::collection::vec(any::<u64>(), 1..60),
        split in 1..10_usize,
    ) {
        let (mut points, mut now, mut start, mut counts, mut all) = (Vec::new(), 1, 1, [0; 3], 0);
        for step in &steps {
            if step.anew {
                (start, counts) = (now + 1, [0; 3]);
            }
            now += 1 + step.after_ms;
            for (count, grown) in counts.iter_mut().zip(step.grown) {
                *count += grown;
                all += grown;
            }
            points.push(duration(start, now, counts));
        }
        let absorbed = |points: &[HistogramDataPoint], order: &[usize], split: usize| {
            let settings = Settings { lateness_ms: 700_000, ahead_ms: 700_000, ..Settings::default() };
            let mut aggregator = aggregator(settings);
            let mut events = Vec::new();
            for (step, part) in order.chunks(split).enumerate() {
                let of = part.iter().map(|index| points[*index].clone()).collect();
                let sent = metrics(vec![(resource("cart"), vec![histogram(CUMULATIVE, of)])]);
                assert_eq!(aggregator.metrics(&sent.into()).rejected(), None);
                events.extend(aggregator.advance(at(step as i64)));
            }
            events.extend(aggregator.advance(at(100_000_000)));
            events
        };
        let in_order: Vec<usize> = (0..points.len()).collect();
        let together = absorbed(&points, &in_order, points.len());
        let mut mixed = [in_order.clone(), in_order].concat();
        mixed.sort_by_key(|index| keys[index % keys.len()].rotate_left(*index as u32));
        prop_assert_eq!(&absorbed(&points, &mixed, split), &together);
        let told: u64 = snapshots(&together, "cart").iter().filter_map(|it| it.requests).sum();
        prop_assert_eq!(told, all);
    }
}
