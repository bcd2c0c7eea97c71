//! What a codebook learns from labelled incidents, on incidents that the test makes up.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use diagnosis::codebook::{Codebook, Hypothesis, Lesson, Scene};
use diagnosis::evidence::{AlertEvidence, Call, Evidence, Gathered, Signal};
use events::value::Line;
use events::{ComponentName, EventId, FaultKind, Timestamp};
use proptest::prelude::*;

const NAMES: [&str; 6] = ["web", "cart", "orders", "users", "stock", "mail"];
/// A fault by the measurement that only the component at fault shows.
const KINDS: [(&str, &str); 2] = [("cpu", "cpu_usage"), ("memory", "mem_usage")];

fn name(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

fn alert(number: u128, component: &str, metric: &str, second: i64) -> AlertEvidence {
    AlertEvidence {
        event: EventId(uuid::Uuid::from_u128(number)),
        component: name(component),
        caller: None,
        at: Timestamp::from_second(1_000 + second).unwrap(),
        signal: Signal::Metric,
        name: Line::new(metric).unwrap(),
        direction: Some(Line::new("up").unwrap()),
    }
}

// The cause shows one thing of its own; two others make more noise than it does.
fn gathered(seed: usize, names: &[&str]) -> (Gathered, usize, usize) {
    let (cause, kind) = (seed % names.len(), (seed / names.len()) % KINDS.len());
    let mut alerts = vec![alert(1, names[cause], KINDS[kind].1, 5)];
    for (place, noisy) in [(1, seed * 7 + 1), (2, seed * 5 + 3)] {
        let noisy = names[(cause + 1 + noisy % (names.len() - 1)) % names.len()];
        for (at, metric) in ["net_receive", "fs_usage", "threads"].into_iter().enumerate() {
            let number = 10 * place + at as u128;
            alerts.push(alert(number, noisy, metric, (place as i64) + at as i64));
        }
    }
    let calls =
        names[1..].iter().map(|callee| Call { caller: name(names[0]), callee: name(callee) });
    let gathered = Gathered {
        noticed: name(names[0]),
        noticed_at: Timestamp::from_second(1_000).unwrap(),
        calls: calls.collect(),
        snapshots: Vec::new(),
        edges: Vec::new(),
        logs: Vec::new(),
        changes: Vec::new(),
        alerts,
    };
    (gathered, cause, kind)
}

fn lesson(seed: usize, names: &[&str]) -> Lesson {
    let (gathered, cause, kind) = gathered(seed, names);
    Lesson {
        scene: Scene::of(&Evidence::new(gathered)),
        cause: Some(name(names[cause])),
        kind: Some(FaultKind::new(KINDS[kind].0).unwrap()),
        confidence: 1.0,
        by: None,
    }
}

fn lessons(seeds: std::ops::Range<usize>) -> Vec<Lesson> {
    seeds.map(|seed| lesson(seed, &NAMES)).collect()
}

fn right(codebook: &Codebook, asked: &[Lesson]) -> usize {
    let first = |lesson: &&Lesson| {
        let first = codebook.hypotheses(&lesson.scene).into_iter().next();
        first.map(|first| first.component) == lesson.cause
    };
    asked.iter().filter(first).count()
}

#[test]
fn labels_help_and_shuffled_labels_do_not() {
    let asked = lessons(100..124);
    let untaught = right(&Codebook::default(), &asked);
    let taught = Codebook::learned(&lessons(0..36));
    assert_eq!(right(&taught, &asked), asked.len());
    let mut shuffled = lessons(0..36);
    let truths: Vec<_> = shuffled.iter().map(|it| (it.cause.clone(), it.kind.clone())).collect();
    for (place, lesson) in shuffled.iter_mut().enumerate() {
        (lesson.cause, lesson.kind) = truths[(place * 5 + 2) % 36].clone();
    }
    let misled = right(&Codebook::learned(&shuffled), &asked);
    assert!(misled < asked.len() / 2, "{misled} of {} (untaught {untaught})", asked.len());
}

#[test]
fn a_kind_is_told_and_cites_what_shows_it() {
    let taught = Codebook::learned(&lessons(0..36));
    for lesson in lessons(100..112) {
        let first = taught.hypotheses(&lesson.scene).remove(0);
        assert_eq!(Some(&first.kinds[0].0), lesson.kind.as_ref());
        assert!(first.kinds[0].1 > 0.5, "{:?}", first.kinds);
        assert_eq!(
            first.terms[0].evidence,
            [EventId(uuid::Uuid::from_u128(1))],
            "{:?}",
            first.terms
        );
        let share: f64 = first.kinds.iter().map(|(_, share)| share).sum();
        assert!((share - 1.0).abs() < 1e-9);
    }
    assert!(Codebook::default().hypotheses(&lessons(0..1)[0].scene)[0].kinds.is_empty());
}

#[test]
fn a_component_that_never_failed_is_known_by_how_faults_look() {
    let never = name("stock");
    let known: Vec<Lesson> =
        lessons(0..48).into_iter().filter(|it| it.cause.as_ref() != Some(&never)).collect();
    let asked: Vec<Lesson> =
        lessons(0..48).into_iter().filter(|it| it.cause.as_ref() == Some(&never)).collect();
    assert!(!asked.is_empty());
    assert_eq!(right(&Codebook::learned(&known), &asked), asked.len());
}

#[test]
fn one_hasty_person_does_not_outweigh_everyone_else() {
    let mut known = lessons(0..24);
    for mut wrong in (0..10).flat_map(|_| lessons(0..24)) {
        wrong.cause = Some(name("web"));
        wrong.by = Some(Line::new("hasty").unwrap());
        known.push(wrong);
    }
    let asked = lessons(100..124);
    let found = right(&Codebook::learned(&known), &asked);
    assert!(found >= asked.len() * 3 / 4, "{found} of {}", asked.len());
}

#[test]
fn learning_twice_gives_the_same_bytes_and_they_can_be_stored() {
    let json = |codebook: &Codebook| serde_json::to_string(codebook).unwrap();
    let first = Codebook::learned(&lessons(0..18));
    assert_eq!(json(&first), json(&Codebook::learned(&lessons(0..18))));
    let read: Codebook = serde_json::from_str(&json(&first)).unwrap();
    assert_eq!(read, first);
    let scene = &lessons(50..51)[0].scene;
    assert_eq!(read.hypotheses(scene), first.hypotheses(scene));
}

fn probability(hypotheses: &[Hypothesis], component: &str) -> f64 {
    hypotheses.iter().find(|it| it.component.as_str() == component).unwrap().probability
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn arrival_and_duplicates_leave_no_trace(
        seed in 0..200_usize,
        order in Just((0..14_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (first, ..) = gathered(seed, &NAMES);
        let mut other = first.clone();
        other.alerts = order.iter().map(|at| first.alerts[at % first.alerts.len()].clone()).collect();
        prop_assert_eq!(Scene::of(&Evidence::new(first)), Scene::of(&Evidence::new(other)));
    }

    #[test]
    fn names_do_not_matter(
        seed in 0..200_usize,
        renamed in Just(["ant", "bee", "cow", "dog", "eel", "fox"]).prop_shuffle(),
    ) {
        let asked = lesson(seed, &NAMES);
        let same = lesson(seed, &renamed);
        let untaught = Codebook::default();
        // Components that no lesson named: what is known of them is what all have in common.
        let taught = Codebook::learned(&lessons(0..24));
        let strangers = lesson(seed, &["hen", "gnu", "yak", "elk", "kid", "owl"]);
        let (a, b) = (untaught.hypotheses(&asked.scene), untaught.hypotheses(&same.scene));
        let c = taught.hypotheses(&same.scene);
        let d = taught.hypotheses(&strangers.scene);
        for (place, known) in NAMES.iter().enumerate() {
            let off = probability(&a, known) - probability(&b, renamed[place]);
            prop_assert!(off.abs() < 1e-9, "{known}: {off}");
            let stranger = ["hen", "gnu", "yak", "elk", "kid", "owl"][place];
            let off = probability(&c, renamed[place]) - probability(&d, stranger);
            prop_assert!(off.abs() < 1e-9, "{known}: {off}");
        }
    }
}

// The same alerts of the same component; the kind is told by what came first alone.
fn in_order(seed: usize) -> Lesson {
    let (mut gathered, cause, _) = gathered(seed, &NAMES);
    let kind = (seed / 7) % 2;
    let (first, then) = [("requests", "mem_usage"), ("mem_usage", "requests")][kind];
    gathered.alerts[0] = alert(1, NAMES[cause], first, 4);
    gathered.alerts.push(alert(2, NAMES[cause], then, 6));
    let kind = FaultKind::new(["failure", "kill"][kind]).unwrap();
    let scene = Scene::of(&Evidence::new(gathered));
    Lesson { scene, kind: Some(kind), ..lesson(seed, &NAMES) }
}

#[test]
fn the_order_of_signs_tells_the_kind() {
    let known: Vec<Lesson> = (0..84).map(in_order).collect();
    let codebook = Codebook::learned(&known);
    let asked: Vec<Lesson> = (84..126).map(in_order).collect();
    let told = |lesson: &&Lesson| {
        let kinds = codebook.kinds_of(&codebook.hypotheses(&lesson.scene));
        kinds.first().map(|(kind, _)| kind) == lesson.kind.as_ref()
    };
    let right = asked.iter().filter(told).count();
    assert!(right * 10 >= asked.len() * 9, "{right} of {}", asked.len());
    let hypothesis = codebook.hypotheses(&asked[0].scene).swap_remove(0);
    let cited: Vec<EventId> =
        hypothesis.kind_terms.iter().flat_map(|term| term.evidence.clone()).collect();
    assert!(cited.contains(&EventId(uuid::Uuid::from_u128(1))), "{:?}", hypothesis.kind_terms);
    let shares: f64 = hypothesis.kinds.iter().map(|(_, share)| share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{:?}", hypothesis.kinds);
}

fn slow(number: usize, callee: usize, operation_of: usize) -> AlertEvidence {
    AlertEvidence {
        caller: Some(name(NAMES[0])),
        signal: Signal::Call,
        direction: Some(Line::new("slow").unwrap()),
        ..alert(number as u128, NAMES[callee], &format!("ask {}", NAMES[operation_of]), 5)
    }
}

// The first component finds its calls to the cause slow, which shows nothing at all; another one,
// which it asks too, answers slow for reasons of its own. Every sixth time the cause is the first
// component itself, and it finds three others slow that answer well.
fn lost(seed: usize) -> Lesson {
    let (cause, busy) = (seed % 6, 1 + (seed % 6 + seed / 6 % 4) % 5);
    let well: Vec<usize> = match cause {
        0 => (1..6).filter(|it| *it != busy).take(3).collect(),
        cause => vec![cause],
    };
    let (mut gathered, ..) = gathered(seed, &NAMES);
    gathered.alerts = well.iter().map(|callee| slow(*callee, 0, *callee)).collect();
    gathered.alerts.extend([slow(10, 0, busy), slow(11, busy, busy)]);
    Lesson {
        scene: Scene::of(&Evidence::new(gathered)),
        cause: Some(name(NAMES[cause])),
        kind: Some(FaultKind::new("network_delay").unwrap()),
        confidence: 1.0,
        by: None,
    }
}

#[test]
fn calls_that_are_slow_for_the_caller_alone_are_told_of_who_answers_them() {
    let codebook = Codebook::learned(&(0..48).map(lost).collect::<Vec<_>>());
    let asked: Vec<Lesson> = (48..72).map(lost).collect();
    assert_eq!(right(&codebook, &asked), asked.len());
    let silent = asked.iter().find(|it| it.cause == Some(name("stock"))).unwrap();
    let place = silent.scene.find(&name("stock")).unwrap();
    assert!(silent.scene.parts[place].signs.is_empty(), "it alarms nothing itself");
    let first = codebook.hypotheses(&silent.scene).remove(0);
    let term = first.terms.iter().find(|term| term.name == "lost slow").unwrap();
    assert_eq!(term.evidence, [EventId(uuid::Uuid::from_u128(4))], "{:?}", first.terms);
    assert!(term.weight > 0.0, "{:?}", first.terms);
    let several = asked.iter().find(|it| it.cause == Some(name(NAMES[0]))).unwrap();
    let first = codebook.hypotheses(&several.scene).remove(0);
    assert!(first.terms.iter().any(|term| term.name == "loses slow to several"), "{first:?}");
}
