//! What was answered, and how often it was right.

use std::collections::BTreeMap;

use diagnosis::codebook::{Codebook, Lesson};
use diagnosis::evaluation::{calibration_error, interval};
use events::{ComponentName, FaultKind};

const SEED: u64 = 1;

/// The answer to one case, beside the truth.
#[derive(Clone, Debug)]
pub struct Asked {
    first: Option<(ComponentName, f64)>,
    place: Option<usize>,
    kind: Option<FaultKind>,
    true_kind: Option<FaultKind>,
}

impl Asked {
    pub fn new(
        lesson: &Lesson,
        causes: Vec<(ComponentName, f64)>,
        kind: Option<(FaultKind, f64)>,
    ) -> Self {
        let place = causes.iter().position(|(cause, _)| Some(cause) == lesson.cause.as_ref());
        Self {
            place,
            first: causes.into_iter().next(),
            kind: kind.map(|(kind, _)| kind),
            true_kind: lesson.kind.clone(),
        }
    }

    pub fn of(codebook: &Codebook, lesson: &Lesson) -> Self {
        let hypotheses = codebook.hypotheses(&lesson.scene);
        let kind = codebook.kinds_of(&hypotheses).into_iter().next();
        let causes = hypotheses.into_iter().map(|it| (it.component, it.probability));
        Self::new(lesson, causes.collect(), kind)
    }

    pub fn tell_miss(&self, name: &str, lesson: &Lesson) {
        if let (Some(cause), Some((first, probability))) = (&lesson.cause, &self.first)
            && self.place != Some(0)
        {
            let kind = self.true_kind.as_ref().map_or("", |kind| kind.as_str());
            let place = self.place.map_or(0, |place| place + 1);
            println!("  {name}: {cause} {kind} at {place}, first {first} {probability:.2}");
        }
    }
}

/// How often the answers were right.
pub struct Score(Vec<Asked>);

impl Score {
    pub const HEADER: &str = "                            hit@1                hit@3                \
                              kind weighted F1     calibration error";

    pub fn of(asked: Vec<Asked>) -> Self {
        Self(asked)
    }

    pub fn line(&self, name: &str) -> String {
        let within = |k: usize| {
            let hits: Vec<f64> = self
                .0
                .iter()
                .map(|asked| f64::from(u8::from(asked.place.is_some_and(|place| place < k))))
                .collect();
            told(hits.iter().sum::<f64>() / hits.len() as f64, &hits)
        };
        // The F1 score is a sum over cases too: each adds the score of its class.
        let by_case = f1_by_case(&self.0);
        let f1 = told(by_case.iter().sum::<f64>() / by_case.len() as f64, &by_case);
        let said: Vec<(f64, bool)> = self
            .0
            .iter()
            .filter_map(|asked| Some((asked.first.as_ref()?.1, asked.place == Some(0))))
            .collect();
        format!("{name:26}  {}  {}  {f1}  {:.3}", within(1), within(3), calibration_error(&said))
    }
}

fn told(mean: f64, values: &[f64]) -> String {
    let interval = interval(values, SEED);
    format!("{mean:.3} [{:.2}, {:.2}]", interval.low, interval.high)
}

fn f1_by_case(asked: &[Asked]) -> Vec<f64> {
    let mut classes: BTreeMap<&FaultKind, (f64, f64)> = BTreeMap::new();
    for asked in asked {
        let right = asked.kind == asked.true_kind;
        for kind in asked.kind.iter().chain(&asked.true_kind) {
            let class = classes.entry(kind).or_default();
            class.0 += f64::from(u8::from(right));
            class.1 += 1.0;
        }
    }
    let score = |kind: &Option<FaultKind>| {
        kind.as_ref().and_then(|kind| classes.get(kind)).map_or(0.0, |(right, all)| right / all)
    };
    asked.iter().map(|asked| score(&asked.true_kind)).collect()
}
