//! What texts mean as one more thing to find similar incidents by.

use std::collections::BTreeMap;

use datasets::case::DataSet;
use datasets::remembered::{self, Known, MOST, Near, Way, orders};
use diagnosis::evaluation::retrieval::{Judged, Question, Remembered, by_case, judged};
use embedding::StaticEmbedding;

/// A voice among four that count the same.
const VOICE: f64 = 0.25;

/// How alike two incidents are in meaning, by their places.
type Alike<'k> = dyn Fn(usize, usize) -> f64 + 'k;

/// What a past incident is scored by.
#[derive(Clone, Copy)]
enum By {
    Meaning,
    /// All three and meaning, four voices that count the same.
    Share,
    /// All three and meaning, each over its standard deviation in what is asked.
    Standardized,
}

/// How the meaning of a text did, alone and beside all three, by the built-in embedding.
pub fn ways(data_set: &DataSet, known: &[Known]) -> Vec<Way> {
    let embedding = StaticEmbedding::builtin();
    let meant: Vec<Meant> = known.iter().map(|it| Meant::of(&embedding, &it.lines)).collect();
    let remembered: Vec<Remembered> = known.iter().map(|it| it.remembered.clone()).collect();
    let pairs = best_lines(&remembered, &meant);
    let whole = |a: usize, b: usize| cosine(&meant[a].whole, &meant[b].whole);
    let lines = |a: usize, b: usize| pairs[&(a.min(b), a.max(b))];
    let ways: [(&'static str, By, &Alike<'_>); 6] = [
        ("meaning of the whole", By::Meaning, &whole),
        ("all + whole as share", By::Share, &whole),
        ("all + whole, std.", By::Standardized, &whole),
        ("meaning by line", By::Meaning, &lines),
        ("all + lines as share", By::Share, &lines),
        ("all + lines, std.", By::Standardized, &lines),
    ];
    let mut found = vec![Vec::new(); ways.len()];
    for questions in orders(data_set, &remembered) {
        let near = Near::of(known, &questions);
        for ((_, by, alike), found) in ways.iter().zip(&mut found) {
            let ask = |it: &Question| ranked(&near, it, *by, alike);
            found.extend(judged(&remembered, &questions, ask));
        }
    }
    let way = |(name, found): (_, Vec<_>)| Way { name, scores: by_case(&found, Judged::scores) };
    ways.into_iter().map(|(name, ..)| name).zip(found).map(way).collect()
}

/// The past, the best first; of equal ones the latest.
fn ranked(near: &Near<'_>, question: &Question, by: By, alike: &Alike<'_>) -> Vec<usize> {
    let nearest = near.ask(question, remembered::By::All, question.past.len());
    let scores: BTreeMap<usize, f64> =
        nearest.into_iter().map(|(score, place)| (place, score)).collect();
    let of_all = |place: &usize| scores.get(place).copied().unwrap_or(0.0);
    let past: Vec<usize> = question.past.iter().rev().copied().collect();
    let all: Vec<f64> = past.iter().map(of_all).collect();
    let meaning: Vec<f64> = past.iter().map(|place| alike(question.asked, *place)).collect();
    let (by_all, by_meaning) = match by {
        By::Meaning => (0.0, 1.0),
        By::Share => (1.0 - VOICE, VOICE),
        By::Standardized => (1.0 / deviation(&all), 1.0 / deviation(&meaning)),
    };
    let score = |(all, meaning): (&f64, &f64)| by_all * all + by_meaning * meaning;
    let mut found: Vec<(f64, usize)> = all.iter().zip(&meaning).map(score).zip(past).collect();
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().take(MOST).map(|(_, place)| place).collect()
}

/// The standard deviation; 1 where all are the same.
fn deviation(of: &[f64]) -> f64 {
    let count = of.len().max(1) as f64;
    let mean = of.iter().sum::<f64>() / count;
    let deviation = (of.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count).sqrt();
    if deviation > 0.0 { deviation } else { 1.0 }
}

/// What an incident's lines mean, each by a vector of length 1, and the sum of these.
struct Meant {
    lines: Vec<Vec<f32>>,
    whole: Vec<f32>,
}

impl Meant {
    fn of(embedding: &StaticEmbedding, lines: &[String]) -> Self {
        let lines: Vec<Vec<f32>> = lines.iter().filter_map(|it| embedding.embed(it)).collect();
        let mut whole = vec![0.0; embedding.dimensions()];
        for line in &lines {
            whole.iter_mut().zip(line).for_each(|(sum, it)| *sum += it);
        }
        Self { lines, whole }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// 0 where either means nothing, or the opposite.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { f64::from(dot(a, b) / lengths).max(0.0) } else { 0.0 }
}

/// Of every two of a history, the smaller place first: the cosine of a line and the most alike of
/// the other's, the mean over the lines of each and of both means.
fn best_lines(remembered: &[Remembered], meant: &[Meant]) -> BTreeMap<(usize, usize), f64> {
    let mut found = BTreeMap::new();
    for b in 0..meant.len() {
        for a in (0..b).filter(|a| remembered[*a].history == remembered[b].history) {
            found.insert((a, b), best_lines_of(&meant[a].lines, &meant[b].lines));
        }
    }
    found
}

fn best_lines_of(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let (mut of_a, mut of_b) = (vec![0.0f32; a.len()], vec![0.0f32; b.len()]);
    for (a, of_a) in a.iter().zip(&mut of_a) {
        for (b, of_b) in b.iter().zip(&mut of_b) {
            let cosine = dot(a, b);
            *of_a = of_a.max(cosine);
            *of_b = of_b.max(cosine);
        }
    }
    let mean = |of: &[f32]| f64::from(of.iter().sum::<f32>()) / of.len().max(1) as f64;
    f64::midpoint(mean(&of_a), mean(&of_b))
}
