//! What measures a model is what answers: without the evidence, the same first suspects in the
//! same order. Farther down scores are rounded to the same.

use diagnosis::codebook::{Lesson, Scene};
use diagnosis::evidence::Evidence;
use diagnosis::rank::{Ranker, Taught, Unlearned};
use events::{ComponentName, FaultKind};

use crate::fault::Fault;
use crate::recording::Run;

fn evidence(fault: &Fault, seed: u64) -> Evidence {
    Evidence::new(Run::of(*fault, 2, seed).gathered("gateway"))
}

fn lesson(fault: &Fault) -> Lesson {
    Lesson {
        scene: Scene::of(&evidence(fault, 1)),
        cause: Some(ComponentName::new(fault.component).unwrap()),
        kind: Some(FaultKind::new(fault.kind).unwrap()),
        confidence: 1.0,
        by: None,
    }
}

#[test]
fn a_model_is_measured_by_the_suspects_that_it_answers() {
    let faults = Fault::all();
    let lessons: Vec<Lesson> = faults.iter().step_by(2).map(lesson).collect();
    let mut compared = 0;
    for taught in [Taught::default(), Taught::by(&lessons)] {
        for fault in faults.iter().skip(1).step_by(3) {
            let asked = evidence(fault, 2);
            let answered = taught.rank(&asked);
            let suspected = taught.suspected(&Scene::of(&asked), &Unlearned::of(&asked));
            let names = answered.suspects.iter().take(3).map(|suspect| &suspect.component);
            let answered: Vec<&ComponentName> = names.collect();
            let measured: Vec<&ComponentName> =
                suspected.iter().map(|(name, _)| name).take(answered.len()).collect();
            assert_eq!(measured, answered, "{fault:?}");
            compared += answered.len();
        }
    }
    assert!(compared > 50, "of {compared} suspects");
}
