//! How long a search takes that knows meanings, as a ratio to the same search by words alone.
//!
//! Documents are drawn: a text of forty words by Zipf's law from a vocabulary of 20,000, no two the
//! same, beside three paragraphs that stand in many documents, as the titles and the resolutions of
//! incidents do. A word means a direction drawn from its name, a text the sum of them,
//! so that the bench needs no embedding: what is measured is the comparison with every paragraph.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

mod random;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diagnosis::search::{DocumentId, DocumentKind, Meaning, Query, TextIndex};
use random::Random;

const DIMENSIONS: usize = 256;
const VOCABULARY: f64 = 20_000.0;
const WORDS: usize = 40;
const REPEATED_WORDS: usize = 6;
const ASKED_WORDS: usize = 6;
const QUESTIONS: usize = 200;
const FIRST: usize = 20;

impl Random {
    fn text(&mut self, words: usize) -> String {
        let word = |share: f64| format!("word{}", VOCABULARY.powf(share) as u64);
        let words = (0..words).map(|_| word(self.share()));
        words.collect::<Vec<_>>().join(" ")
    }
}

#[derive(Debug)]
struct Drawn;

impl Meaning for Drawn {
    fn of(&self, text: &str) -> Option<Vec<f32>> {
        let mut sum = vec![0.0; DIMENSIONS];
        for word in text.split(' ') {
            let mut random = Random(word.bytes().fold(7, |n, byte| n * 31 + u64::from(byte)));
            for number in &mut sum {
                *number += random.share() as f32 - 0.5;
            }
        }
        Some(sum)
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn least_near(&self) -> f64 {
        0.4
    }
}

fn filled(mut index: TextIndex, documents: u64) -> TextIndex {
    let mut random = Random(documents);
    let mut repeated = |of: u64| (0..of).map(|_| random.text(REPEATED_WORDS)).collect::<Vec<_>>();
    let (titles, resolutions, headings) = (repeated(50), repeated(5), repeated(1));
    for n in 0..documents {
        let id = DocumentId { kind: DocumentKind::Incident, key: n.to_string() };
        let some = |of: &[String]| of[n as usize % of.len()].clone();
        let text = random.text(WORDS);
        index.put(
            n,
            &id,
            &[
                ("title", &some(&titles)),
                ("resolution", &some(&resolutions)),
                ("heading", &some(&headings)),
                ("text", &text),
            ],
        );
    }
    index
}

/// Median and 99th percentile, in milliseconds.
fn asked(index: &TextIndex, questions: &[Query]) -> (f64, f64) {
    let ask = |question: &Query| {
        let began = Instant::now();
        black_box(index.search(question, &[], u64::MAX, FIRST));
        began.elapsed()
    };
    let mut took: Vec<Duration> = questions.iter().map(ask).collect();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    (at(0.5).as_secs_f64() * 1e3, at(0.99).as_secs_f64() * 1e3)
}

fn main() {
    println!("{:>10} {:18} {:>9} {:>9} {:>6}", "documents", "by", "p50, ms", "p99, ms", "ratio");
    for documents in [10_000, 100_000] {
        let mut random = Random(documents + 1);
        let question = |_| Query::read(&random.text(ASKED_WORDS)).unwrap();
        let questions: Vec<Query> = (0..QUESTIONS).map(question).collect();
        let words = filled(TextIndex::default(), documents);
        let both = filled(TextIndex::with_meaning(Arc::new(Drawn)), documents);
        let (base, slowest) = asked(&words, &questions);
        println!("{documents:>10} {:18} {base:>9.2} {slowest:>9.2} {:>6.2}", "words", 1.0);
        let (p50, p99) = asked(&both, &questions);
        println!(
            "{documents:>10} {:18} {p50:>9.2} {p99:>9.2} {:>6.2}",
            "words and meaning",
            p50 / base
        );
    }
}
