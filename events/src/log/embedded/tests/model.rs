//! EL-2 to EL-5: the log against a model that fits on a page: a list of events, and what may be added to it.

use std::slice;

use proptest::prelude::*;

use super::*;

const STREAMS: [&str; 3] = ["a", "ab", "b"];

#[derive(Clone, Debug)]
enum Step {
    /// New events, to a stream, expecting the right revision or one beside it.
    Append {
        stream: usize,
        count: usize,
        expected: Expectation,
    },
    /// New events, each to a stream, and maybe one of the past among them.
    Offer {
        streams: Vec<usize>,
        known: Option<prop::sample::Index>,
    },
    /// Events from this one of the past on, once more.
    Retry {
        from: prop::sample::Index,
        count: usize,
        and_new: bool,
    },
    Reopen {
        without_index: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Expectation {
    Any,
    Right,
    Wrong,
}

fn step() -> impl Strategy<Value = Step> {
    let expected = prop_oneof![
        2 => Just(Expectation::Any),
        2 => Just(Expectation::Right),
        1 => Just(Expectation::Wrong),
    ];
    prop_oneof![
        6 => (0..STREAMS.len(), 1..12usize, expected)
            .prop_map(|(stream, count, expected)| Step::Append { stream, count, expected }),
        3 => (prop::collection::vec(0..STREAMS.len(), 1..12), any::<Option<prop::sample::Index>>())
            .prop_map(|(streams, known)| Step::Offer { streams, known }),
        2 => (any::<prop::sample::Index>(), 1..4usize, any::<bool>())
            .prop_map(|(from, count, and_new)| Step::Retry { from, count, and_new }),
        1 => any::<bool>().prop_map(|without_index| Step::Reopen { without_index }),
    ]
}

/// Stream, revision and event, in the order of positions.
#[derive(Default)]
struct Model(Vec<(StreamId, u64, Event)>);

impl Model {
    fn last_revision(&self, stream: &StreamId) -> Option<u64> {
        self.0.iter().filter(|(to, ..)| to == stream).map(|(_, revision, _)| *revision).max()
    }

    fn add(&mut self, stream: &StreamId, events: &[Event]) -> Vec<Appended> {
        let mut answer = Vec::new();
        for event in events {
            let revision = self.last_revision(stream).map_or(0, |last| last + 1);
            self.0.push((stream.clone(), revision, event.clone()));
            answer.push(Appended { id: event.id, revision, position: self.0.len() as u64 });
        }
        answer
    }
}

async fn append(log: &EmbeddedLog, model: &mut Model, to: usize, count: usize, as_is: Expectation) {
    let to = stream(STREAMS[to]);
    let last = model.last_revision(&to);
    let expected = match (as_is, last) {
        (Expectation::Any, _) => ExpectedRevision::Any,
        (Expectation::Right, None) => ExpectedRevision::NoStream,
        (Expectation::Right, Some(last)) => ExpectedRevision::Exact(last),
        (Expectation::Wrong, None) => ExpectedRevision::Exact(0),
        (Expectation::Wrong, Some(last)) => ExpectedRevision::Exact(last + 1),
    };
    let events: Vec<_> = (0..count).map(|n| discovered(&format!("c-{n}"))).collect();
    let answer = log.append(to.clone(), expected, events.clone()).await;
    if let Expectation::Wrong = as_is {
        assert!(
            matches!(answer, Err(AppendError::WrongExpectedRevision { actual, .. }) if actual == last)
        );
    } else {
        assert_eq!(answer.unwrap(), model.add(&to, &events));
    }
}

async fn offer(log: &EmbeddedLog, model: &mut Model, streams: &[usize], known: Option<usize>) {
    let new = |(n, to): (usize, &usize)| (stream(STREAMS[*to]), discovered(&format!("c-{n}")));
    let mut events: Vec<_> = streams.iter().enumerate().map(new).collect();
    if let Some(known) = known {
        let (to, _, event) = model.0[known].clone();
        events.insert(known % (events.len() + 1), (to, event));
    }
    match log.append_new(events.clone()).await.unwrap() {
        Offered::Declined(back) => assert!(known.is_some() && back == events),
        Offered::Appended(answer) => {
            assert!(known.is_none());
            let added = events.iter().flat_map(|(to, event)| model.add(to, slice::from_ref(event)));
            assert_eq!(answer, added.collect::<Vec<_>>());
        }
    }
}

async fn retry(log: &EmbeddedLog, model: &Model, from: usize, count: usize, and_new: bool) {
    let (to, ..) = model.0[from].clone();
    let (mut events, mut answer) = (Vec::new(), Vec::new());
    for (index, (stream, revision, event)) in model.0.iter().enumerate().skip(from).take(count) {
        if *stream == to {
            events.push(event.clone());
            let (id, revision, position) = (event.id, *revision, index as u64 + 1);
            answer.push(Appended { id, revision, position });
        }
    }
    if and_new {
        events.push(discovered("new"));
        let refusal = log.append(to, ExpectedRevision::Any, events).await;
        assert!(matches!(refusal, Err(AppendError::PartlyKnown { .. })));
    } else {
        assert_eq!(log.append(to, ExpectedRevision::NoStream, events).await.unwrap(), answer);
    }
}

async fn assert_equal(log: &EmbeddedLog, model: &Model) {
    assert_eq!(log.head(), model.0.len() as u64);
    let all = log.read_all(0, usize::MAX).await.unwrap();
    assert_eq!(all.len(), model.0.len());
    for ((recorded, (stream, revision, event)), position) in all.iter().zip(&model.0).zip(1..) {
        assert_eq!(
            (&recorded.stream, recorded.revision, &recorded.event, recorded.position),
            (stream, *revision, event, position)
        );
    }
    for name in STREAMS {
        let of_stream = log.read_stream(stream(name), 0, usize::MAX).await.unwrap();
        assert!(
            of_stream.iter().eq(all.iter().filter(|recorded| recorded.stream.as_str() == name))
        );
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path()).unwrap();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append { stream, count, expected } => {
                append(&log, &mut model, stream, count, expected).await;
            }
            Step::Offer { streams, known } => {
                let past = model.0.len();
                let known = known.filter(|_| past > 0).map(|known| known.index(past));
                offer(&log, &mut model, &streams, known).await;
            }
            Step::Retry { .. } if model.0.is_empty() => {}
            Step::Retry { from, count, and_new } => {
                retry(&log, &model, from.index(model.0.len()), count, and_new).await;
            }
            Step::Reopen { without_index } => {
                drop(log);
                if without_index {
                    delete_index(folder.path());
                }
                log = open(folder.path()).unwrap();
                assert_equal(&log, &model).await;
            }
        }
    }
    assert_equal(&log, &model).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_log_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}
