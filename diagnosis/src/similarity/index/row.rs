//! Fingerprints as rows of numbers, one behind the other in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use events::ComponentName;

use super::super::{PLACE, REASONS, SYMPTOMS, common, place, symptom_share, weight};
use super::layers::{Entry, Layers};
use crate::fingerprint::{Feature, Fingerprint, Role, Symptom};
use crate::rank::{GRAIN, grains};

const ROLES: [Role; 5] = [Role::Suspect, Role::Caller, Role::Callee, Role::Other, Role::Entrance];
const FEATURES: [Feature; 10] = [
    Feature::Traffic,
    Feature::Errors,
    Feature::Latency,
    Feature::TailLatency,
    Feature::Saturation,
    Feature::Cpu,
    Feature::Memory,
    Feature::Availability,
    Feature::Change,
    Feature::Reach,
];
/// Coordinates of symptoms; those of names lie behind them.
const COORDINATES: usize = ROLES.len() * FEATURES.len();

/// The number of a symptom's coordinate, in the order of roles and features.
fn coordinate(role: Role, feature: Feature) -> usize {
    role as usize * FEATURES.len() + feature as usize
}

fn at(coordinate: usize) -> (Role, Feature) {
    (ROLES[coordinate / FEATURES.len()], FEATURES[coordinate % FEATURES.len()])
}

/// How far the score of `compare` may be above the sum of unrounded shares: it rounds each share
/// to a grain, and only what both have makes a share.
fn slack(asked: &Fingerprint) -> f64 {
    (asked.symptoms.len() + 2) as f64 * GRAIN / 2.0 + 1e-9
}

/// Numbers of a profile: one a coordinate, and some of 0 so that a processor takes eight at once.
const LANES: usize = COORDINATES.next_multiple_of(8);
/// What a profile counts in: the largest weight is `i16::MAX` of it.
const STEP: f64 = 2.0 / i16::MAX as f64;

/// The weighed symptoms of a fingerprint without their signs, each rounded up to a step.
type Profile = [i16; LANES];

fn profile(dense: &[f64; COORDINATES]) -> Profile {
    let mut profile = [0; LANES];
    for (coordinate, value) in dense.iter().enumerate().filter(|(_, value)| **value != 0.0) {
        let steps = (weight(at(coordinate)) * value.abs() / STEP).ceil();
        profile[coordinate] = steps.min(f64::from(i16::MAX)) as i16;
    }
    profile
}

/// At least what two fingerprints' symptoms have in common, signs apart.
fn overlap(a: &Profile, b: &Profile) -> f64 {
    let (a, _) = a.as_chunks::<8>();
    let (b, _) = b.as_chunks::<8>();
    let mut steps = [0; 8];
    for (a, b) in a.iter().zip(b) {
        steps = std::array::from_fn(|lane| steps[lane] + i32::from(a[lane].min(b[lane])));
    }
    f64::from(steps.iter().sum::<i32>()) * STEP
}

/// What a name is the name of: each has its own coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Reason = 0,
    Component = 1,
}

/// A fingerprint, and what it can be like at most.
#[derive(Debug)]
struct Row {
    profile: Profile,
    /// Where its numbers begin: symptoms, then reasons, then components, then the next row's.
    symptoms: usize,
    reasons: usize,
    components: usize,
    end: usize,
    /// All its weighed symptoms, reasons and components, summed.
    sums: [f64; 3],
    suspect: Option<u32>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Rows {
    rows: Layers<Row>,
    coordinates: Vec<u32>,
    values: Vec<f64>,
    names: Vec<Arc<str>>,
    /// By what they name.
    by_name: [HashMap<Arc<str>, u32>; 2],
}

/// A fingerprint in question, ready to be held against rows.
pub struct Asked<'q> {
    /// What it has at each coordinate that any row has.
    values: Vec<f64>,
    weights: [f64; COORDINATES],
    profile: Profile,
    slack: f64,
    sums: [f64; 3],
    suspect: Option<u32>,
    has_suspect: bool,
    reasons: &'q BTreeMap<String, f64>,
    components: &'q BTreeMap<ComponentName, f64>,
}

impl Rows {
    /// The entry that stands at `place` from now on has this fingerprint. The place is the next one
    /// or that of an entry that ends.
    pub fn put(&mut self, place: usize, fingerprint: &Fingerprint) {
        let dense = dense(fingerprint);
        let symptoms = self.values.len();
        let mut sums = [0.0; 3];
        for (coordinate, value) in dense.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            sums[0] += weight(at(coordinate)) * value.abs();
            self.number(coordinate as u32, *value);
        }
        let reasons = self.values.len();
        for (name, value) in &fingerprint.reasons {
            sums[1] += value;
            let coordinate = self.name(Naming::Reason, name);
            self.number(coordinate, *value);
        }
        let components = self.values.len();
        for (name, value) in &fingerprint.components {
            sums[2] += value;
            let coordinate = self.name(Naming::Component, name.as_str());
            self.number(coordinate, *value);
        }
        let suspect = fingerprint.suspect.as_ref();
        let suspect = suspect.map(|name| self.name(Naming::Component, name.as_str()));
        let end = self.values.len();
        let profile = profile(&dense);
        let row = Row { profile, symptoms, reasons, components, end, sums, suspect };
        self.rows.put(place, row);
    }

    fn number(&mut self, coordinate: u32, value: f64) {
        self.coordinates.push(coordinate);
        self.values.push(value);
    }

    fn name(&mut self, naming: Naming, name: &str) -> u32 {
        if let Some(known) = self.known_name(naming, name) {
            return known;
        }
        let name: Arc<str> = name.into();
        let number = u32::try_from(COORDINATES + self.names.len()).expect("names fit in memory");
        self.names.push(name.clone());
        self.by_name[naming as usize].insert(name, number);
        number
    }

    fn known_name(&self, naming: Naming, name: &str) -> Option<u32> {
        self.by_name[naming as usize].get(name).copied()
    }

    fn name_at(&self, coordinate: u32) -> &str {
        &self.names[coordinate as usize - COORDINATES]
    }

    /// Makes a question of a fingerprint.
    pub fn ask<'q>(&self, fingerprint: &'q Fingerprint) -> Asked<'q> {
        let mut values = vec![0.0; COORDINATES + self.names.len()];
        let mut sums = [0.0; 3];
        let weights: [f64; COORDINATES] = std::array::from_fn(|n| weight(at(n)));
        let dense = dense(fingerprint);
        for (coordinate, value) in dense.into_iter().enumerate() {
            values[coordinate] = value;
            sums[0] += weights[coordinate] * value.abs();
        }
        let reasons = fingerprint.reasons.iter();
        let reasons = reasons.map(|(name, value)| (Naming::Reason, name.as_str(), *value));
        let components = fingerprint.components.iter();
        let components = components.map(|(name, value)| (Naming::Component, name.as_str(), *value));
        for (naming, name, value) in reasons.chain(components) {
            sums[1 + naming as usize] += value;
            if let Some(coordinate) = self.known_name(naming, name) {
                values[coordinate as usize] = value;
            }
        }
        let suspect = fingerprint.suspect.as_ref();
        Asked {
            values,
            weights,
            profile: profile(&dense),
            slack: slack(fingerprint),
            sums,
            suspect: suspect.and_then(|name| self.known_name(Naming::Component, name.as_str())),
            has_suspect: suspect.is_some(),
            reasons: &fingerprint.reasons,
            components: &fingerprint.components,
        }
    }

    /// The most that [`Self::score`] can be: two lists have at most the smaller sum in common, and
    /// symptoms no more than their profiles say.
    pub fn most(&self, asked: &Asked<'_>, entry: Entry) -> f64 {
        let row = self.rows.get(entry);
        let overlap = overlap(&asked.profile, &row.profile);
        let share = |part: usize, common: f64| {
            let (ours, theirs) = (asked.sums[part], row.sums[part]);
            let common = common.min(ours).min(theirs);
            let greater = ours + theirs - common;
            if greater > 0.0 { common / greater } else { 0.0 }
        };
        let none = asked.components.is_empty() && row.components == row.end;
        let components = (!none).then(|| share(2, f64::INFINITY));
        let place = place(self.same_suspect(asked, row), components);
        let shares = SYMPTOMS * share(0, overlap) + REASONS * share(1, f64::INFINITY);
        shares + PLACE * place + asked.slack
    }

    /// What entries score, by [`Self::score`]. Entries that have the same are best asked for one behind
    /// the other: the same experiment leaves the same fingerprint again and again.
    pub fn scores<'s>(&'s self, asked: &'s Asked<'_>) -> impl FnMut(Entry) -> f64 + 's {
        let mut last: Option<(Entry, f64)> = None;
        move |entry| {
            let same = last.filter(|(before, _)| self.are_alike(*before, entry));
            let score = same.map_or_else(|| self.score(asked, entry), |(_, score)| score);
            last = Some((entry, score));
            score
        }
    }

    /// The score that `compare` gives, to the last bit.
    fn score(&self, asked: &Asked<'_>, entry: Entry) -> f64 {
        let row = self.rows.get(entry);
        let mut theirs = [0.0; COORDINATES];
        for (coordinate, value) in self.numbers(row.symptoms..row.reasons) {
            theirs[coordinate] = value;
        }
        let pairs = || asked.values[..COORDINATES].iter().zip(&theirs).zip(asked.weights);
        let greater: f64 = pairs().map(|((a, b), weight)| weight * a.abs().max(b.abs())).sum();
        let symptoms = pairs().map(|((a, b), weight)| {
            grains(symptom_share(weight, common(*a, *b), greater)).max(0.0)
        });
        // Grains add up exactly, in any order.
        let symptoms: f64 = symptoms.sum();
        let reasons = asked.reasons.iter().map(|(name, value)| (name.as_str(), *value));
        let reasons = jaccard(reasons, self.named(row.reasons..row.components));
        let components = asked.components.iter().map(|(name, value)| (name.as_str(), *value));
        let none = asked.components.is_empty() && row.components == row.end;
        let components = (!none).then(|| jaccard(components, self.named(row.components..row.end)));
        let place = place(self.same_suspect(asked, row), components);
        let score = symptoms + grains(REASONS * reasons).max(0.0) + grains(PLACE * place).max(0.0);
        score.min(1.0)
    }

    fn same_suspect(&self, asked: &Asked<'_>, row: &Row) -> bool {
        asked.has_suspect && asked.suspect.is_some() && asked.suspect == row.suspect
    }

    fn numbers(&self, range: Range<usize>) -> impl Iterator<Item = (usize, f64)> {
        let coordinates = self.coordinates[range.clone()].iter();
        coordinates.map(|at| *at as usize).zip(self.values[range].iter().copied())
    }

    /// Numbers with their names, by name: so they stand in a fingerprint.
    fn named(&self, range: Range<usize>) -> impl Iterator<Item = (&str, f64)> {
        let coordinates = self.coordinates[range.clone()].iter();
        coordinates.map(|at| self.name_at(*at)).zip(self.values[range].iter().copied())
    }

    /// Whether two entries have the same.
    fn are_alike(&self, a: Entry, b: Entry) -> bool {
        let numbers = |row: &Row| row.symptoms..row.end;
        let (a, b) = (self.rows.get(a), self.rows.get(b));
        a.suspect == b.suspect
            && a.reasons - a.symptoms == b.reasons - b.symptoms
            && a.components - a.symptoms == b.components - b.symptoms
            && self.coordinates[numbers(a)] == self.coordinates[numbers(b)]
            && self.values[numbers(a)] == self.values[numbers(b)]
    }

    /// The fingerprint of an entry, without the events that showed it.
    pub fn fingerprint(&self, entry: Entry) -> Fingerprint {
        let row = self.rows.get(entry);
        let name = |text: &str| ComponentName::new(text).expect("it was one when it was put");
        let symptoms = self.numbers(row.symptoms..row.reasons).map(|(coordinate, strength)| {
            let (role, feature) = at(coordinate);
            Symptom { role, feature, strength, evidence: Vec::new() }
        });
        let reasons = self.named(row.reasons..row.components);
        let components = self.named(row.components..row.end);
        Fingerprint {
            suspect: row.suspect.map(|suspect| name(self.name_at(suspect))),
            symptoms: symptoms.collect(),
            reasons: reasons.map(|(name, value)| (name.to_owned(), value)).collect(),
            components: components.map(|(text, value)| (name(text), value)).collect(),
        }
    }
}

/// Strengths by coordinate; of a coordinate that is told twice the last counts.
fn dense(fingerprint: &Fingerprint) -> [f64; COORDINATES] {
    let mut dense = [0.0; COORDINATES];
    for symptom in &fingerprint.symptoms {
        dense[coordinate(symptom.role, symptom.feature)] = symptom.strength;
    }
    dense
}

/// The weighted Jaccard index of two lists by name.
fn jaccard<'a>(
    ours: impl Iterator<Item = (&'a str, f64)>,
    theirs: impl Iterator<Item = (&'a str, f64)>,
) -> f64 {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    super::super::jaccard(std::iter::from_fn(|| {
        let order = match (ours.peek(), theirs.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return None,
        };
        let a = if order.is_le() { ours.next() } else { None };
        let b = if order.is_ge() { theirs.next() } else { None };
        Some((a.map_or(0.0, |(_, value)| value), b.map_or(0.0, |(_, value)| value)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_lie_in_the_order_of_roles_and_features() {
        for n in 0..COORDINATES {
            let (role, feature) = at(n);
            assert_eq!(coordinate(role, feature), n);
        }
        assert!((1..COORDINATES).all(|n| at(n - 1) < at(n)));
    }
}
