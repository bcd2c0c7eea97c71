//! How fast the most similar of very many incidents are found, as a ratio to comparing with each.
//!
//! The incidents are recorded ones, each many times over: strengths differ from copy to copy, and
//! every copy belongs to one of some systems with components of its own. Both ways have to answer
//! the same.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use diagnosis::fingerprint::Fingerprint;
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use diagnosis::similarity::{PastIncident, nearest};
use events::{ComponentName, IncidentId};

const SYSTEMS: u64 = 40;
const FIRST: usize = 10;
const MIN_SCORE: f64 = 0.3;

/// SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `1 - by` to `1 + by`.
    fn about_one(&mut self, by: f64) -> f64 {
        1.0 - by + 2.0 * by * (self.number() as f64 / u64::MAX as f64)
    }
}

/// The fingerprints of the recorded diagnoses.
fn recorded() -> Vec<Fingerprint> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data/shop.ndjson");
    let text = std::fs::read_to_string(file).unwrap();
    let fingerprint = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        serde_json::from_value::<Fingerprint>(event["data"].get("fingerprint")?.clone()).ok()
    };
    text.lines().filter_map(fingerprint).filter(|it| !it.symptoms.is_empty()).collect()
}

fn varied(of: &Fingerprint, random: &mut Random) -> Fingerprint {
    let system = random.number() % SYSTEMS;
    let name = |name: &ComponentName| ComponentName::new(format!("{name}-{system}")).unwrap();
    let mut near = |value: f64| (value * random.about_one(0.3)).clamp(-1.0, 1.0);
    let mut copy = of.clone();
    for symptom in &mut copy.symptoms {
        symptom.strength = near(symptom.strength);
        symptom.evidence.clear();
    }
    copy.suspect = copy.suspect.as_ref().map(name);
    let components = of.components.iter();
    copy.components = components.map(|(of, value)| (name(of), near(*value))).collect();
    copy.reasons.values_mut().for_each(|share| *share = near(*share));
    copy
}

fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3
}

fn main() {
    let recorded = recorded();
    println!(
        "{:>10} {:>9} {:>9} {:>12} {:>8}",
        "incidents", "p50, ms", "p99, ms", "scan p50, ms", "ratio"
    );
    for count in [10_000, 30_000, 100_000] {
        let mut random = Random(count);
        let mut index = FingerprintIndex::default();
        let mut past = Vec::new();
        for n in 0..count {
            let fingerprint = varied(&recorded[n as usize % recorded.len()], &mut random);
            let incident = IncidentId::new(format!("incident-{n}")).unwrap();
            index.put(n, &incident, &fingerprint);
            past.push(PastIncident {
                incident,
                fingerprint,
                root_cause: None,
                fault_kind: None,
                fixed_by: Vec::new(),
            });
        }
        let questions: Vec<Fingerprint> =
            (0..400).map(|n| varied(&recorded[n * 7 % recorded.len()], &mut random)).collect();
        let withheld = BTreeSet::new();
        let ask = |fingerprint| {
            index.nearest(&Nearest {
                fingerprint,
                at: count,
                first: FIRST,
                min_score: MIN_SCORE,
                excluding: None,
                withheld: &withheld,
                of_known_kind: false,
            })
        };
        let timed = |work: &dyn Fn()| {
            let began = Instant::now();
            work();
            began.elapsed()
        };
        let mut found: Vec<_> =
            questions.iter().map(|question| timed(&|| drop(black_box(ask(question))))).collect();
        let mut scanned: Vec<_> = questions
            .iter()
            .take(8)
            .map(|question| timed(&|| drop(black_box(nearest(question, &past, FIRST, MIN_SCORE)))))
            .collect();
        for question in questions.iter().take(8) {
            let scores = |of: Vec<_>| -> BTreeMap<_, _> {
                let of: Vec<events::catalogue::diagnosis::SimilarIncident> = of;
                of.into_iter().map(|it| (it.incident, it.score.get().to_bits())).collect()
            };
            let exact = scores(nearest(question, &past, FIRST, MIN_SCORE));
            assert_eq!(scores(ask(question)), exact, "the nearest are not those of a scan");
        }
        let (p50, p99) = (quantile(&mut found, 0.5), quantile(&mut found, 0.99));
        let scan = quantile(&mut scanned, 0.5);
        println!("{count:>10} {p50:>9.2} {p99:>9.2} {scan:>12.1} {:>8.4}", p50 / scan);
    }
}
