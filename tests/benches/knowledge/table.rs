//! The table of the answers.

use std::io::Write;
use std::time::Duration;

/// How long the answers to one kind of question took.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that so many of a hundred do not pass, in milliseconds.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).max(1) - 1;
        sorted.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// A kind of question, asked each way.
#[derive(Default)]
pub struct Asked {
    pub graphql: Times,
    pub bare: Times,
    /// What of it the index in memory took, where it has a part.
    pub index: Times,
    /// The index and then the statements: what is left is GraphQL's.
    pub both: Times,
}

impl Asked {
    /// Adds a question that the index has a part in.
    pub fn add(&mut self, graphql: Duration, bare: Duration, index: Duration) {
        self.graphql.add(graphql);
        self.bare.add(bare);
        self.index.add(index);
        self.both.add(index + bare);
    }
}

pub fn heading() {
    println!(
        "{:<26} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>9} {:>9} {:>7} {:>7}",
        "ms",
        "p50",
        "p99",
        "bare p50",
        "bare p99",
        "r50",
        "r99",
        "index p50",
        "index p99",
        "of both",
        "p99"
    );
}

pub fn line(name: &str, asked: &Asked) {
    let of = |times: &Times| (times.percentile_ms(50.0), times.percentile_ms(99.0));
    let ((p50, p99), (bare50, bare99)) = (of(&asked.graphql), of(&asked.bare));
    print!("{name:<26} {p50:>9.2} {p99:>9.2} {bare50:>9.2} {bare99:>9.2}");
    print!(" {:>7.2} {:>7.2}", p50 / bare50, p99 / bare99);
    if asked.index.0.is_empty() {
        println!();
    } else {
        let (index50, index99) = of(&asked.index);
        let (both50, both99) = of(&asked.both);
        print!(" {index50:>9.2} {index99:>9.2}");
        println!(" {:>7.2} {:>7.2}", p50 / both50, p99 / both99);
    }
    std::io::stdout().flush().unwrap();
}
