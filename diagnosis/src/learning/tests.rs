use events::EventId;
use jiff::Timestamp;

use super::*;
use crate::codebook::Scene;
use crate::evidence::{AlertEvidence, Call, Evidence, Gathered, Signal};
use crate::wording;

const COMPONENTS: [&str; 4] = ["cart", "stock", "mail", "users"];
const KINDS: [(&str, &str); 2] = [("cpu_hog", "cpu"), ("memory_leak", "memory")];

fn name(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

/// The `front` calls everybody. What is at fault shows one thing of its own, and two of the others
/// make more noise.
fn evidence(number: usize) -> Evidence {
    let (cause, (_, metric)) = truth(number);
    let others: Vec<&str> = COMPONENTS.into_iter().filter(|it| *it != cause).collect();
    let noisy = [others[number % 3], others[(number / 3) % 3]];
    let noise = noisy.into_iter().flat_map(|of| [(of, "network", 0), (of, "threads", 1)]);
    let alert = |(index, (of, what, second)): (usize, (&str, &str, i64))| AlertEvidence {
        event: EventId(uuid::Uuid::from_u128(index as u128 + 1)),
        component: name(of),
        caller: None,
        at: Timestamp::from_second(second).unwrap(),
        signal: Signal::Metric,
        name: Line::clipped(what),
        direction: Some(Line::clipped("up")),
    };
    let call = |callee: &&str| Call { caller: name("front"), callee: name(callee) };
    Evidence::new(Gathered {
        noticed: name("front"),
        noticed_at: Timestamp::UNIX_EPOCH,
        calls: COMPONENTS.iter().map(call).collect(),
        snapshots: Vec::new(),
        edges: Vec::new(),
        logs: Vec::new(),
        changes: Vec::new(),
        alerts: std::iter::once((cause, metric, 2)).chain(noise).enumerate().map(alert).collect(),
    })
}

fn truth(number: usize) -> (&'static str, (&'static str, &'static str)) {
    (COMPONENTS[number % COMPONENTS.len()], KINDS[(number / COMPONENTS.len()) % KINDS.len()])
}

fn studied(number: usize) -> Studied {
    let (cause, (kind, _)) = truth(number);
    Studied {
        incident: IncidentId::new(format!("inc-{number:03}")).unwrap(),
        faults: BTreeSet::new(),
        unlearned: Unlearned::of(&evidence(number)),
        text: wording::lines(None, &evidence(number)).join("\n"),
        lesson: Lesson {
            scene: Scene::of(&evidence(number)),
            cause: Some(name(cause)),
            kind: Some(FaultKind::new(kind).unwrap()),
            confidence: 1.0,
            by: None,
        },
    }
}

#[test]
fn labels_help_on_incidents_that_did_not_teach() {
    let all: Vec<Studied> = (0..40).map(studied).collect();
    let report = Report::of(&all, &all[..4]);
    assert_eq!(report.rejected, None);
    assert_eq!(report.after["incidents_of_known_cause"], 40.0);
    assert!(report.after["hit_at_1"] > 0.9, "{report:?}");
    assert!(report.after["kind_weighted_f1"] > 0.9, "{report:?}");
    assert!(report.before["kind_weighted_f1"] < report.after["kind_weighted_f1"], "{report:?}");
    assert_eq!(Report::of(&all, &all[..4]), report);
}

#[test]
fn labels_that_mean_nothing_are_not_put_to_use() {
    let mut all: Vec<Studied> = (0..40).map(studied).collect();
    let causes: Vec<_> = all.iter().map(|it| it.lesson.cause.clone()).collect();
    for (place, it) in all.iter_mut().enumerate() {
        it.lesson.cause.clone_from(&causes[(place * 7 + 3 + place / 4) % 40]);
    }
    let report = Report::of(&all, &[]);
    assert!(report.after["hit_at_1"] < 0.5, "{report:?}");
    for it in &mut all {
        it.lesson.cause = Some(name("front"));
    }
    let suspect = |of: &str| vec![(name(of), None)];
    let worse = Answers { after: suspect("cart"), before: Vec::new(), shipped: suspect("front") };
    let report = Report::by(&all, &vec![worse; all.len()]);
    let told = report.rejected.unwrap();
    assert!(told.as_str().contains("0 of 40 incidents first, without labels it is 40"), "{told}");
}

#[test]
fn a_model_does_not_answer_what_it_was_told() {
    let fault = |name: &str| FaultId::new(name).unwrap();
    let mut taught = studied(1);
    taught.faults.insert(fault("slow-cart"));
    let mut all: Vec<Studied> = (2..6).map(studied).collect();
    all.push(taught.clone());
    let model = Model::learned(&all);
    let none = BTreeSet::new();
    assert!(!model.may_answer(&taught.incident, &none), "it taught it");
    assert!(taught.tells(&taught.incident, &none) && !studied(2).tells(&taught.incident, &none));
    assert!(taught.tells(&studied(2).incident, &BTreeSet::from([fault("slow-cart")])));
    let other = IncidentId::new("other").unwrap();
    assert!(model.may_answer(&other, &none));
    assert!(!model.may_answer(&other, &BTreeSet::from([fault("slow-cart")])), "the same fault");
    assert!(model.may_answer(&other, &BTreeSet::from([fault("slow-stock")])));
}

#[test]
fn incidents_of_one_fault_are_left_out_together() {
    let mut all: Vec<Studied> = (0..30).map(studied).collect();
    for (place, it) in all.iter_mut().enumerate() {
        it.faults.insert(FaultId::new(format!("fault-{}", place / 3)).unwrap());
    }
    // One of them acted in an incident of another, too.
    all[3].faults.insert(FaultId::new("fault-9").unwrap());
    let parts = parts(&all.iter().collect::<Vec<_>>());
    for siblings in parts.chunks(3) {
        assert!(siblings.iter().all(|part| *part == siblings[0]), "{parts:?}");
    }
    assert_eq!(parts[3], parts[27], "{parts:?}");
    assert_eq!(parts.iter().collect::<BTreeSet<_>>().len(), PARTS);
}

#[test]
fn a_corrected_label_is_seen_against_the_model_before() {
    let right: Vec<Studied> = (0..40).map(studied).collect();
    let mut wrong = right.clone();
    for it in wrong.iter_mut().take(30) {
        it.lesson.kind = Some(FaultKind::new("latency").unwrap());
    }
    let report = Report::of(&right, &wrong);
    assert!(report.before["kind_weighted_f1"] < report.after["kind_weighted_f1"], "{report:?}");
}

#[test]
fn a_few_incidents_teach_nothing() {
    let few: Vec<Studied> = (0..LEAST_INCIDENTS - 1).map(studied).collect();
    let model = Model::learned(&few);
    assert_eq!(model.weights(), Model::default().weights());
    assert!(model.may_answer(&few[0].incident, &BTreeSet::new()), "nothing is known of it");
    let all: Vec<Studied> = (0..40).map(studied).collect();
    let report = Report::of(&few, &all);
    assert_eq!(report.rejected, None, "it answers as what is known without labels does");
    assert_eq!(report.after["incidents_of_known_cause"], few.len() as f64);
}

#[test]
fn words_tell_the_kind_of_fault() {
    let all: Vec<Studied> = (0..40).map(studied).collect();
    let model = Model::learned(&all);
    let told = model.classifier().kind("cart memory up");
    assert_eq!(told.as_ref().map(FaultKind::as_str), Some("memory_leak"));
    assert_eq!(model.classifier().kind("nothing of the kind"), None);
    assert!(Model::learned(&all[..4]).classifier().kinds("cart memory up").is_empty());
}

#[test]
fn the_heaviest_weights_are_told() {
    let all: Vec<Studied> = (0..40).map(studied).collect();
    let weights = Model::learned(&all).weights();
    assert!((1..=MOST_WEIGHTS).contains(&weights.len()));
    assert!(weights.keys().any(|name| name.ends_with("→ cpu_hog")), "{weights:?}");
}
