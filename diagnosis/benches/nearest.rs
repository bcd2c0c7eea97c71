//! How fast the most similar of very many incidents are found, as a ratio to comparing with each.
//!
//! The incidents are recorded ones, each many times over: strengths differ from copy to copy, and
//! every copy belongs to one of some systems with components of its own. The recording has neither
//! alerts nor log lines, so marks are drawn: as many as an incident of TVDiag has, most of them of
//! the system, some shared by all, few of them frequent. Both ways have to answer the same.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use diagnosis::fingerprint::Fingerprint;
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use diagnosis::similarity::{PastIncident, Told, nearest, nearest_told};
use events::catalogue::diagnosis::SimilarIncident;
use events::{ComponentName, IncidentId};
use random::Random;

const SYSTEMS: u64 = 40;
const FIRST: usize = 10;
const MIN_SCORE: f64 = 0.3;

impl Random {
    /// From `1 - by` to `1 + by`.
    fn about_one(&mut self, by: f64) -> f64 {
        1.0 - by + 2.0 * by * self.share()
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

fn varied(of: &Fingerprint, system: u64, random: &mut Random) -> Fingerprint {
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

/// Marks of text: so many of those of the system, and of the words that all share.
const TEXT: [(usize, u64); 2] = [(100, 600), (40, 150)];
/// Marks of structure, of those that all share.
const STRUCTURE: (usize, u64) = (76, 250);

fn told(system: u64, random: &mut Random) -> Told {
    // The square of an even draw: the first marks are the frequent ones.
    let mut draw = |of: u64| {
        let share = random.number() as f64 / u64::MAX as f64;
        (share * share * of as f64) as u64
    };
    let [own, shared] = TEXT;
    let mut text: BTreeSet<String> =
        (0..own.0).map(|_| format!("mark {} of system {system}", draw(own.1))).collect();
    text.extend((0..shared.0).map(|_| format!("word {}", draw(shared.1))));
    let structure = (0..STRUCTURE.0).map(|_| format!("sign {}", draw(STRUCTURE.1))).collect();
    Told { text, structure }
}

fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3
}

fn timed(work: impl FnOnce() -> Vec<SimilarIncident>) -> (Duration, Vec<SimilarIncident>) {
    let began = Instant::now();
    let found = black_box(work());
    (began.elapsed(), found)
}

/// More incidents than this are not scanned with their marks: those would fill the memory.
const MOST_SCANNED: u64 = 30_000;

struct Incidents {
    index: FingerprintIndex,
    past: Vec<PastIncident>,
    told: Vec<Told>,
    count: u64,
}

impl Incidents {
    fn make(recorded: &[Fingerprint], count: u64, random: &mut Random) -> Self {
        let index = FingerprintIndex::default();
        let mut made = Self { index, past: Vec::new(), told: Vec::new(), count };
        for n in 0..count {
            let system = random.number() % SYSTEMS;
            let fingerprint = varied(&recorded[n as usize % recorded.len()], system, random);
            let incident = IncidentId::new(format!("incident-{n}")).unwrap();
            let told = told(system, random);
            made.index.put_told(n, &incident, &fingerprint, &told);
            let (root_cause, fault_kind, fixed_by) = (None, None, Vec::new());
            made.past.push(PastIncident {
                incident,
                fingerprint,
                root_cause,
                fault_kind,
                fixed_by,
            });
            if count <= MOST_SCANNED {
                made.told.push(told);
            }
        }
        made
    }

    fn ask(&self, (looks, told): &(Fingerprint, Told), with_marks: bool) -> Vec<SimilarIncident> {
        let asked = Nearest {
            fingerprint: looks,
            at: self.count,
            first: FIRST,
            min_score: MIN_SCORE,
            excluding: None,
            withheld: &BTreeSet::new(),
            of_known_kind: false,
        };
        match with_marks {
            true => self.index.nearest_told(&asked, told),
            false => self.index.nearest(&asked),
        }
    }

    fn scan(&self, (looks, told): &(Fingerprint, Told), with_marks: bool) -> Vec<SimilarIncident> {
        if !with_marks {
            return nearest(looks, &self.past, FIRST, MIN_SCORE);
        }
        let known: Vec<&Told> = self.told.iter().collect();
        let past: Vec<_> = self.past.iter().zip(&self.told).collect();
        nearest_told((looks, told), &known, &past, FIRST, MIN_SCORE)
    }
}

fn report(incidents: &Incidents, questions: &[(Fingerprint, Told)], with_marks: bool) {
    let found = questions.iter().map(|question| timed(|| incidents.ask(question, with_marks)));
    let mut found: Vec<Duration> = found.map(|(took, _)| took).collect();
    let (p50, p99) = (quantile(&mut found, 0.5), quantile(&mut found, 0.99));
    let what = if with_marks { "text and structure too" } else { "fingerprints" };
    print!("{:>10} {what:24} {p50:>9.2} {p99:>9.2}", incidents.count);
    if with_marks && incidents.told.is_empty() {
        return println!();
    }
    let mut scanned = Vec::new();
    for question in questions.iter().take(if with_marks { 2 } else { 8 }) {
        let (took, exact) = timed(|| incidents.scan(question, with_marks));
        let found = incidents.ask(question, with_marks);
        assert_eq!(scores(found), scores(exact), "the nearest are not those of a scan");
        scanned.push(took);
    }
    let scan = quantile(&mut scanned, 0.5);
    println!(" {scan:>12.1} {:>8.4}", p50 / scan);
}

fn scores(of: Vec<SimilarIncident>) -> BTreeMap<IncidentId, u64> {
    of.into_iter().map(|it| (it.incident, it.score.get().to_bits())).collect()
}

fn main() {
    let recorded = recorded();
    println!(
        "{:>10} {:24} {:>9} {:>9} {:>12} {:>8}",
        "incidents", "by", "p50, ms", "p99, ms", "scan p50, ms", "ratio"
    );
    for count in [10_000, 30_000, 100_000] {
        let mut random = Random(count);
        let incidents = Incidents::make(&recorded, count, &mut random);
        let question = |n: usize, random: &mut Random| {
            let system = random.number() % SYSTEMS;
            (varied(&recorded[n * 7 % recorded.len()], system, random), told(system, random))
        };
        let questions: Vec<_> = (0..400).map(|n| question(n, &mut random)).collect();
        report(&incidents, &questions, false);
        report(&incidents, &questions, true);
    }
}
