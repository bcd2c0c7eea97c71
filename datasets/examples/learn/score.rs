//! What was answered, and how often it was right.

use std::collections::BTreeMap;

use diagnosis::codebook::{Codebook, Lesson};
use diagnosis::evaluation::{calibration_error, interval};
use events::{ComponentName, FaultKind};

const SEED: u64 = 1;
const RESAMPLES: usize = 500;

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

/// How often the answers were right, in one or several deals of the same cases.
pub struct Score(Vec<Vec<Asked>>);

impl Score {
    pub const HEADER: &str = "                            hit@1                hit@3                \
                              kind weighted F1     calibration error";

    pub fn of(asked: Vec<Asked>) -> Self {
        Self(vec![asked])
    }

    /// The mean over the deals.
    pub fn over(deals: Vec<Vec<Asked>>) -> Self {
        Self(deals)
    }

    pub fn line(&self, name: &str) -> String {
        let within = |k: usize| {
            let hit = |asked: &Asked| f64::from(u8::from(asked.place.is_some_and(|at| at < k)));
            self.told(|asked| asked.iter().map(hit).collect())
        };
        let f1 = self.f1();
        let said: Vec<(f64, bool)> = self
            .0
            .iter()
            .flatten()
            .filter_map(|asked| Some((asked.first.as_ref()?.1, asked.place == Some(0))))
            .collect();
        format!("{name:26}  {}  {}  {f1}  {:.3}", within(1), within(3), calibration_error(&said))
    }

    // The scores of classes hang together: for other cases they are counted anew.
    fn f1(&self) -> String {
        let cases = self.0.first().map_or(0, Vec::len);
        let mean = |places: &[usize]| {
            let deals = self.0.iter().map(|asked| {
                f1(&places.iter().map(|place| &asked[*place]).collect::<Vec<&Asked>>())
            });
            deals.sum::<f64>() / self.0.len() as f64
        };
        let mut state = SEED;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % cases
        };
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .map(|_| mean(&(0..cases).map(|_| draw()).collect::<Vec<usize>>()))
            .collect();
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn[((RESAMPLES - 1) as f64 * share).round() as usize];
        let all = mean(&(0..cases).collect::<Vec<usize>>());
        format!("{all:.3} [{:.2}, {:.2}]", at(0.025), at(0.975))
    }

    // The mean over cases and deals, and how far it may be off for other cases.
    fn told(&self, by_case: impl Fn(&[Asked]) -> Vec<f64>) -> String {
        let deals: Vec<Vec<f64>> = self.0.iter().map(|asked| by_case(asked)).collect();
        let cases = 0..deals.first().map_or(0, Vec::len);
        let mean = |case| deals.iter().map(|deal| deal[case]).sum::<f64>() / deals.len() as f64;
        let values: Vec<f64> = cases.map(mean).collect();
        told(values.iter().sum::<f64>() / values.len() as f64, &values)
    }
}

fn told(mean: f64, values: &[f64]) -> String {
    let interval = interval(values, SEED);
    format!("{mean:.3} [{:.2}, {:.2}]", interval.low, interval.high)
}

// Of each class by its number of cases.
fn f1(asked: &[&Asked]) -> f64 {
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
    asked.iter().map(|asked| score(&asked.true_kind)).sum::<f64>() / asked.len() as f64
}
