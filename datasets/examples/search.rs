//! How well runbooks are found by questions in other words than theirs.
//!
//! `cargo run -p datasets --release --example search -- seed-data/shop.ndjson [FOLDER]`
//!
//! The documents are the runbooks and the titles of the incidents of a recording. The questions,
//! `search/questions.ndjson`, were written by the project for this, before any of it was measured,
//! as somebody on call would ask who does not know the runbook's words; some are about something
//! else and have no answer. Questions that avoid the words of what they ask for are hard on words
//! and easy on meaning: what comes out says how far each way gets there, not which is best for
//! what people usually ask. FOLDER is another embedding than the built-in one.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod search {
    pub mod ways;
}

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use datasets::recording;
use diagnosis::evaluation::interval;
use diagnosis::search::Query;
use embedding::{LEAST_NEAR, StaticEmbedding};
use serde::Deserialize;

use search::ways::{Document, Ways};

const SEED: u64 = 1;
const QUESTIONS: &str = include_str!("search/questions.ndjson");

#[derive(Deserialize)]
struct Question {
    question: String,
    /// The runbooks that answer it; none when it is about something else.
    answers: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, embedding) = match &arguments[..] {
        [path] => (path, StaticEmbedding::builtin()),
        [path, folder] => (path, Arc::new(StaticEmbedding::open(Path::new(folder))?)),
        _ => bail!("expected PATH [FOLDER]"),
    };
    let recorded = recording::events(Path::new(path)).with_context(|| path.clone())?;
    let documents = Document::all(&recorded.events);
    let questions: Vec<Question> =
        QUESTIONS.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let asked = questions.iter().filter(|question| !question.answers.is_empty()).count();
    println!(
        "{} documents; {asked} questions with an answer and {} without, written by the project",
        documents.len(),
        questions.len() - asked
    );
    println!("embedding: {}, {}", embedding.name(), embedding.fingerprint());
    let ways = Ways::of(&documents, &embedding, LEAST_NEAR);
    for runbooks_only in [true, false] {
        println!("\namong {}", if runbooks_only { "runbooks" } else { "all documents" });
        tell(&questions, &ways, runbooks_only)?;
    }
    println!("\nby words and meaning, from which cosine on meaning alone answers");
    for least_near in [0.3, 0.35, 0.4, 0.45, 0.5, 2.0] {
        tell_threshold(&questions, &Ways::of(&documents, &embedding, least_near), least_near)?;
    }
    Ok(())
}

/// One over the place of the first right answer, 0 without one.
fn reciprocal(question: &Question, found: &[String]) -> f64 {
    let place = found.iter().position(|document| question.answers.contains(document));
    place.map_or(0.0, |place| 1.0 / (place + 1) as f64)
}

fn tell(questions: &[Question], ways: &Ways, runbooks_only: bool) -> anyhow::Result<()> {
    let mut ranks: Vec<(&str, Vec<f64>)> = Vec::new();
    for question in questions.iter().filter(|question| !question.answers.is_empty()) {
        let query = Query::read(&question.question)?;
        for (way, found) in ways.ask(&query, runbooks_only) {
            let rank = reciprocal(question, &found);
            match ranks.iter_mut().find(|(name, _)| *name == way) {
                Some((_, ranks)) => ranks.push(rank),
                None => ranks.push((way, vec![rank])),
            }
        }
    }
    let first = |ranks: &[f64]| -> Vec<f64> {
        ranks.iter().map(|rank| f64::from(u8::from(*rank == 1.0))).collect()
    };
    for (way, ranks) in &ranks {
        println!("{way:26} first right {}  MRR {}", told(&first(ranks)), told(ranks));
    }
    let less = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let Some(((last, best), others)) = ranks.split_last() else { return Ok(()) };
    for (way, ranks) in others {
        println!(
            "{last} − {way}: first right {}  MRR {}",
            told(&less(&first(best), &first(ranks))),
            told(&less(best, ranks))
        );
    }
    Ok(())
}

fn told(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let interval = interval(values, SEED);
    format!("{mean:.3} [{:.2}, {:.2}]", interval.low, interval.high)
}

fn tell_threshold(questions: &[Question], ways: &Ways, least_near: f64) -> anyhow::Result<()> {
    let (mut ranks, mut silent, mut without, mut brought) = (Vec::new(), 0, 0, 0);
    for question in questions {
        let found = ways.by_both(&Query::read(&question.question)?, true);
        if question.answers.is_empty() {
            without += 1;
            silent += usize::from(found.is_empty());
            brought += found.len();
        } else {
            ranks.push(reciprocal(question, &found));
        }
    }
    println!(
        "{least_near:>5.2}: MRR {}; of {without} questions without an answer {silent} get none, \
         {brought} runbooks in all",
        told(&ranks)
    );
    Ok(())
}
