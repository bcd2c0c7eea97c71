//! Many incidents from a few recorded ones: the same events with other ids and times.
//!
//! Strengths of fingerprints are moved by a few per cent and every incident gets a post-mortem of
//! forty words, of a vocabulary in which some words are in nearly every text and most are rare:
//! copies that are all the same would be found faster than incidents ever are.
#![allow(clippy::unwrap_used, reason = "part of benchmarks")]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use events::{Event, EventData, EventId, Timestamp};
use serde_json::{Value, json};

/// Between two copies of the same incident.
const PERIOD: Duration = Duration::from_secs(60);
/// Words of a post-mortem, and of all of them.
const WORDS: usize = 40;
const VOCABULARY: usize = 5_000;

/// Whose names a copy changes.
const NAMING: [&str; 5] = ["incident", "diagnosis", "label", "fault", "experiment"];

/// What is recorded of incidents, ready to be multiplied.
pub struct Recorded {
    /// Components, calls and runbooks: told once.
    pub base: Vec<Event>,
    /// By incident, in order.
    incidents: Vec<Vec<Value>>,
    names: HashSet<String>,
    words: Vec<String>,
}

/// One incident among very many.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its id.
    pub incident: String,
    /// The ids of its diagnoses.
    pub diagnoses: Vec<String>,
    /// The components that they suspect.
    pub components: Vec<String>,
    /// What is told of it.
    pub events: Vec<Event>,
}

impl Recorded {
    /// What these events say of incidents that were diagnosed.
    ///
    /// # Panics
    /// When an event is not what it was recorded as.
    pub fn of(events: &[Event]) -> Self {
        let mut by_incident: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let (mut base, mut names) = (Vec::new(), HashSet::new());
        for event in events {
            let document = event.to_cloud_event();
            if let Some(incident) = document["data"]["incident"].as_str() {
                names.insert(event.id.to_string());
                gather_names(&document["data"], &mut names);
                by_incident.entry(incident.to_owned()).or_default().push(document);
            } else if matches!(
                event.data,
                EventData::ComponentDescribed(_)
                    | EventData::DependencyObserved(_)
                    | EventData::RunbookPublished(_)
            ) {
                base.push(event.clone());
            }
        }
        let diagnosed = |told: &Vec<Value>| {
            told.iter().any(|it| it["data"]["fingerprint"].is_object())
                && told.iter().any(|it| it["type"].as_str().unwrap().contains("incident.opened"))
        };
        let incidents: Vec<_> = by_incident.into_values().filter(diagnosed).collect();
        let words = (0..VOCABULARY).map(word).collect();
        Self { base, incidents, names, words }
    }

    /// How many incidents were recorded.
    pub fn incidents(&self) -> usize {
        self.incidents.len()
    }

    /// Copy `n` of all that can be made.
    ///
    /// # Panics
    /// When no incident was recorded.
    pub fn copy(&self, n: usize) -> Copy {
        let told = &self.incidents[n % self.incidents.len()];
        let later = PERIOD * u32::try_from(n).unwrap();
        let mut random = Random(n as u64 + 1);
        let mut copy = Copy {
            incident: renamed(told[0]["data"]["incident"].as_str().unwrap(), n),
            diagnoses: Vec::new(),
            components: Vec::new(),
            events: Vec::new(),
        };
        let mut last = Timestamp::UNIX_EPOCH;
        for document in told {
            let mut document = document.clone();
            self.rename(&mut document, n);
            let at: Timestamp = document["time"].as_str().unwrap().parse().unwrap();
            last = at + later;
            document["time"] = json!(last);
            if document["data"]["fingerprint"].is_object() {
                vary(&mut document["data"]["fingerprint"], &mut random);
            }
            copy.diagnoses.extend(document["data"]["diagnosis"].as_str().map(str::to_owned));
            for suspect in document["data"]["suspects"].as_array().into_iter().flatten() {
                copy.components.extend(suspect["component"].as_str().map(str::to_owned));
            }
            copy.events.push(Event::from_cloud_event(document, last).unwrap());
        }
        copy.diagnoses.sort();
        copy.diagnoses.dedup();
        copy.components.sort();
        copy.components.dedup();
        let learned = self.postmortem(&copy.incident, &mut random);
        let data = EventData::from_json("io.faultline.incident.postmortempublished.v1", learned);
        let source = copy.events[0].source.clone();
        let id = copy.events[0].id.derived("post-mortem");
        copy.events.push(Event::with_id(id, source, last, data.unwrap()));
        copy
    }

    /// `count` words as post-mortems have them, the frequent ones more often.
    pub fn some_words(&self, count: usize, random: &mut Random) -> Vec<&str> {
        // Zipf's law by its inverse: the rank is e to an evenly distributed power.
        let rank = |random: &mut Random| ((VOCABULARY as f64).powf(random.share()) as usize).max(1);
        (0..count).map(|_| self.words[rank(random) - 1].as_str()).collect()
    }

    /// The words that most post-mortems have.
    pub fn common_words(&self, count: usize) -> Vec<&str> {
        self.words[..count].iter().map(String::as_str).collect()
    }

    fn postmortem(&self, incident: &str, random: &mut Random) -> Value {
        let text = self.some_words(WORDS, random).join(" ");
        json!({ "incident": incident, "title": "What we learned", "text": text, "author": "bench" })
    }

    fn rename(&self, value: &mut Value, n: usize) {
        match value {
            Value::String(text) if self.names.contains(text.as_str()) => {
                *text = match text.parse::<EventId>() {
                    Ok(event) => event.derived(&format!("copy {n}")).to_string(),
                    Err(_) => renamed(text, n),
                };
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item, n)),
            Value::Object(entries) => entries.values_mut().for_each(|it| self.rename(it, n)),
            _ => {}
        }
    }
}

fn renamed(name: &str, n: usize) -> String {
    format!("{name}-{n}")
}

fn gather_names(data: &Value, names: &mut HashSet<String>) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| gather_names(item, names)),
        Value::Object(entries) => {
            for (name, value) in entries {
                match value {
                    Value::String(text) if NAMING.contains(&name.as_str()) => {
                        names.insert(text.clone());
                    }
                    value => gather_names(value, names),
                }
            }
        }
        _ => {}
    }
}

/// Moves strengths by up to a tenth, within what they can be.
fn vary(fingerprint: &mut Value, random: &mut Random) {
    let mut moved = |value: &mut Value| {
        let strength = value.as_f64().unwrap() * (0.9 + 0.2 * random.share());
        *value = json!((strength.clamp(-1.0, 1.0) * 1_000.0).round() / 1_000.0);
    };
    for symptom in fingerprint["symptoms"].as_array_mut().into_iter().flatten() {
        moved(&mut symptom["strength"]);
    }
    for part in ["components", "reasons"] {
        for (_, strength) in
            fingerprint.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten()
        {
            moved(strength);
        }
    }
}

/// A word that no stemmer touches, different for each number.
fn word(mut number: usize) -> String {
    let (consonants, vowels) = (b"bdfgkmnprtz", b"aou");
    let mut word = String::new();
    for _ in 0..4 {
        word.push(char::from(consonants[number % consonants.len()]));
        number /= consonants.len();
        word.push(char::from(vowels[number % vowels.len()]));
        number /= vowels.len();
    }
    word
}

/// The same numbers in every run (Sebastiano Vigna's SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    pub fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of so many.
    pub fn below(&mut self, count: usize) -> usize {
        (self.number() % count as u64) as usize
    }
}
