//! How much labels help: learns from a part of the cases of a data set and asks the others.
//!
//! `cargo run -p datasets --release --example learn -- tvdiag PATH [--misses]`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "learn/deck.rs"]
mod deck;
#[path = "learn/neighbours.rs"]
mod neighbours;
#[path = "learn/score.rs"]
mod score;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use datasets::evidence::{Span, gather};
use datasets::tvdiag;
use diagnosis::codebook::{Codebook, Lesson, Scene};
use diagnosis::evaluation::folds;

use deck::{Labels, deal};
use neighbours::Neighbours;
use score::{Asked, Score};

const FOLDS: usize = 5;
/// Other ways to deal the cases into parts.
const DEALS: u64 = 5;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path, rest @ ..] = &arguments[..] else { bail!("expected tvdiag PATH [--misses]") };
    if name != "tvdiag" {
        bail!("{name:?} is not tvdiag");
    }
    let path = Path::new(path);
    let data_set = tvdiag::read(path).with_context(|| format!("tvdiag at {}", path.display()))?;
    let mut systems: BTreeMap<&str, (Vec<&str>, Vec<Lesson>)> = BTreeMap::new();
    for case in &data_set.cases {
        let Some(truth) = &case.truth else { continue };
        let evidence = gather(data_set.events_of(case), &case.noticed, Span::default());
        let (names, lessons) = systems.entry(&case.group).or_default();
        names.push(&case.name);
        lessons.push(Lesson {
            scene: Scene::of(&evidence),
            cause: truth.root_causes.first().cloned(),
            kind: truth.fault_kind.clone(),
            confidence: 1.0,
            by: None,
        });
    }
    for (system, (names, lessons)) in &systems {
        println!("\n{system}, {} cases", lessons.len());
        report(names, lessons, rest.iter().any(|argument| argument == "--misses"));
    }
    Ok(())
}

fn report(names: &[&str], lessons: &[Lesson], misses: bool) {
    let parts = parts(names, lessons);
    println!("{}", Score::HEADER);
    let default = Codebook::default();
    let untaught = lessons.iter().map(|lesson| Asked::of(&default, lesson)).collect();
    println!("{}", Score::of(untaught).line("no labels"));
    let mut slowest = 0.0_f64;
    let taught = cross_validated(lessons, &parts, |known| {
        let started = Instant::now();
        let codebook = Codebook::learned(known);
        slowest = slowest.max(started.elapsed().as_secs_f64());
        move |lesson: &Lesson| Asked::of(&codebook, lesson)
    });
    println!("{}", Score::of(taught.clone()).line(&format!("codebook, {FOLDS} parts")));
    let deals = (1..=DEALS).map(|deal| {
        cross_validated(lessons, &parts_of(deal, names, lessons), |known| {
            let codebook = Codebook::learned(known);
            move |lesson: &Lesson| Asked::of(&codebook, lesson)
        })
    });
    println!("{}", Score::over(deals.collect()).line(&format!("codebook, mean of {DEALS} deals")));
    let cells = cells(lessons);
    let unseen = cross_validated(lessons, &cells, |known| {
        let codebook = Codebook::learned(known);
        move |lesson: &Lesson| Asked::of(&codebook, lesson)
    });
    println!("{}", Score::of(unseen).line("component × kind held out"));
    let neighbours = cross_validated(lessons, &parts, |known| {
        let neighbours = Neighbours::of(known);
        move |lesson: &Lesson| neighbours.asked(lesson)
    });
    println!("{}", Score::of(neighbours).line("tf-idf, nearest three"));
    for labels in [Labels::Right, Labels::OneInFiveWrong, Labels::Shuffled] {
        for eighths in [1, 2, 4, 8] {
            let told = cross_validated(lessons, &parts, |known| {
                let codebook = Codebook::learned(&deal(known, eighths, labels));
                move |lesson: &Lesson| Asked::of(&codebook, lesson)
            });
            let name = format!("{} {}", labels.name(), eighths as f64 / 8.0);
            println!("{}", Score::of(told).line(&name));
        }
    }
    println!("slowest learning {slowest:.2} s");
    if misses {
        for ((name, lesson), asked) in names.iter().zip(lessons).zip(&taught) {
            asked.tell_miss(name, lesson);
        }
    }
}

// Kinds are dealt evenly.
fn parts(names: &[&str], lessons: &[Lesson]) -> Vec<usize> {
    let kind = |lesson: &Lesson| lesson.kind.as_ref().map_or("", |kind| kind.as_str()).to_owned();
    let kinds: Vec<String> = lessons.iter().map(kind).collect();
    let cases: Vec<(&str, &str)> =
        kinds.iter().map(String::as_str).zip(names.iter().copied()).collect();
    folds(&cases, FOLDS)
}

// As `parts`, the cases in an order mixed by `deal`.
fn parts_of(deal: u64, names: &[&str], lessons: &[Lesson]) -> Vec<usize> {
    let mix = |name: &&str| {
        let hash = name.bytes().fold(deal.wrapping_mul(0x9E37_79B9_7F4A_7C15), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        format!("{:016x} {name}", hash ^ (hash >> 29))
    };
    let mixed: Vec<String> = names.iter().map(mix).collect();
    parts(&mixed.iter().map(String::as_str).collect::<Vec<_>>(), lessons)
}

// All incidents of one component with one kind of fault are in one part; ten parts of cells.
fn cells(lessons: &[Lesson]) -> Vec<usize> {
    let cell = |lesson: &Lesson| (lesson.kind.clone(), lesson.cause.clone());
    let mut cells: Vec<_> = lessons.iter().map(cell).collect();
    cells.sort();
    cells.dedup();
    lessons.iter().map(|lesson| cells.partition_point(|it| *it < cell(lesson)) % 10).collect()
}

fn cross_validated<A: Fn(&Lesson) -> Asked>(
    lessons: &[Lesson],
    parts: &[usize],
    mut teach: impl FnMut(&[Lesson]) -> A,
) -> Vec<Asked> {
    let last = parts.iter().copied().max().unwrap_or(0);
    let mut asked: Vec<(usize, Asked)> = Vec::new();
    for part in 0..=last {
        let dealt = || lessons.iter().zip(parts).enumerate();
        let known: Vec<Lesson> =
            dealt().filter(|(_, (_, p))| **p != part).map(|(_, (l, _))| l.clone()).collect();
        let ask = teach(&known);
        let held = dealt().filter(|(_, (_, p))| **p == part);
        asked.extend(held.map(|(index, (lesson, _))| (index, ask(lesson))));
    }
    asked.sort_by_key(|(index, _)| *index);
    asked.into_iter().map(|(_, asked)| asked).collect()
}
