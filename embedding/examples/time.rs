#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use std::time::Instant;
fn main() {
    let t = Instant::now();
    let e = embedding::StaticEmbedding::builtin();
    println!("parse {:?}", t.elapsed());
    let text = "Orders answers errors at once on everything that needs the database; checkout fails for those who buy, and browsing goes on. The database shows no traffic. Latency of the edge stands at the caller's timeout, not above and not below.";
    let t = Instant::now();
    let n = 2000;
    for i in 0..n {
        std::hint::black_box(e.embed(&format!("{i} {text}")));
    }
    println!("each {:?} of {} bytes", t.elapsed() / n, text.len());
}
