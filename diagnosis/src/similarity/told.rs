//! What was said of an incident: what alarmed, what was written, what it was called.
//!
//! Fingerprints tell what was measured. An incident that is known from alerts and logs has next to
//! nothing in them; it is known by its *marks*. Marks of the text name components and carry words,
//! so that the same thing in the same place is found; marks of the structure carry no names, so
//! that the same thing elsewhere is.

use std::collections::{BTreeMap, BTreeSet};

use events::ComponentName;
use rust_stemmers::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};

use crate::codebook::Scene;
use crate::evidence::{Evidence, Gathered};
use crate::search::words;
use crate::wording;

/// Most marks of a kind; further ones, in the order of the alphabet, are left out.
pub const MOST_MARKS: usize = 500;

/// The marks of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Who showed what, and the words of it, of the title and of the log lines.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub text: BTreeSet<String>,
    /// What showed on how many components, and what was first to show, without names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub structure: BTreeSet<String>,
}

impl Told {
    /// The marks of an incident. Telemetry leaves none: its fingerprint has it.
    pub fn of(title: Option<&str>, evidence: &Evidence) -> Self {
        let evidence = without_telemetry(evidence);
        let mut text = BTreeSet::new();
        let stemmer = Stemmer::create(Algorithm::English);
        for line in wording::lines(title, &evidence) {
            words(&line, |_, word| {
                // Numbers are values, and values differ.
                if word.chars().all(char::is_alphabetic) {
                    text.insert(stemmer.stem(word).into_owned());
                }
            });
            if title != Some(line.as_str()) {
                text.insert(line);
            }
        }
        let mut structure = BTreeSet::new();
        let mut showing: BTreeMap<&str, u32> = BTreeMap::new();
        let scene = Scene::of(&evidence);
        for part in &scene.parts {
            for (sign, seen) in &part.signs {
                *showing.entry(sign).or_default() += 1;
                if seen.first {
                    text.insert(first(&part.name, sign));
                    structure.insert(format!("{sign}, first"));
                }
            }
        }
        for (sign, components) in showing {
            // 1, 2, 4, … of them: half as many are half as alike.
            let doublings = (0..=components.ilog2()).map(|doubling| 1 << doubling);
            structure.extend(doublings.map(|least: u32| format!("{sign}, on {least} or more")));
        }
        Self { text: clipped(text), structure: clipped(structure) }
    }
}

fn first(component: &ComponentName, sign: &str) -> String {
    format!("{component} {sign}, first")
}

fn clipped(marks: BTreeSet<String>) -> BTreeSet<String> {
    marks.into_iter().take(MOST_MARKS).collect()
}

fn without_telemetry(evidence: &Evidence) -> Evidence {
    Evidence::new(Gathered {
        noticed: evidence.noticed().clone(),
        noticed_at: evidence.noticed_at(),
        calls: evidence.calls().to_vec(),
        snapshots: Vec::new(),
        edges: Vec::new(),
        logs: evidence.logs().to_vec(),
        changes: Vec::new(),
        alerts: evidence.alerts().to_vec(),
    })
}
