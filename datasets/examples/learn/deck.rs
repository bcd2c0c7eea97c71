//! Fewer labels, and wrong ones.

use diagnosis::codebook::Lesson;

/// What is done to the labels before they teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Nothing.
    Right,
    /// One in five is that of another incident.
    OneInFiveWrong,
    /// Every one is that of another incident.
    Shuffled,
}

impl Labels {
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "labels",
            Self::OneInFiveWrong => "one in five wrong",
            Self::Shuffled => "shuffled",
        }
    }
}

/// So many eighths of the lessons with such labels. The order is mixed by a fixed seed, and a
/// smaller part is contained in a larger one.
pub fn deal(lessons: &[Lesson], eighths: usize, labels: Labels) -> Vec<Lesson> {
    let mut state = 42_u64;
    let mut next = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut order: Vec<usize> = (0..lessons.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, next(at + 1));
    }
    order.truncate((lessons.len() * eighths / 8).max(1));
    let wrong: Vec<usize> = order
        .iter()
        .enumerate()
        .filter(|(place, _)| match labels {
            Labels::Right => false,
            Labels::OneInFiveWrong => place % 5 == 0,
            Labels::Shuffled => true,
        })
        .map(|(_, index)| *index)
        .collect();
    order
        .iter()
        .map(|index| {
            let mut lesson = lessons[*index].clone();
            if let Some(place) = wrong.iter().position(|it| it == index) {
                let other = &lessons[wrong[(place + 1) % wrong.len()]];
                (lesson.cause, lesson.kind) = (other.cause.clone(), other.kind.clone());
            }
            lesson
        })
        .collect()
}
