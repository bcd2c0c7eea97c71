//! Which kind of fault the text of an incident tells of: titles, descriptions, alerts, log lines.
//!
//! A multinomial logistic regression over words, runs of words and runs of letters, weighed by how
//! rare they are (tf-idf), held near zero. It learns from labelled incidents and nothing else:
//! without two kinds to tell apart it says nothing. What it says are probabilities that mean what
//! they say: a temperature is fitted to incidents that were held out (C. Guo, G. Pleiss, Y. Sun,
//! K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017).
//!
//! Learning is a pure function of the examples; what was learned is one JSON document.

mod grams;
mod logistic;

use std::collections::{BTreeMap, BTreeSet};

use events::FaultKind;
use serde::{Deserialize, Serialize};

use crate::evaluation::folds;
use grams::grams;
use logistic::{Labelled, Logistic, Row, temperature};

/// A kind that is less likely is not named: another one is as likely.
pub const LEAST_SURE: f64 = 0.5;
/// Grams of fewer examples are somebody's name, or a value.
const LEAST_EXAMPLES: usize = 2;
/// Most grams that weights are learned for: those of most examples.
const MOST_GRAMS: usize = 8_000;
/// Into so many parts examples are dealt to fit the temperature.
const PARTS: usize = 5;

/// A past incident in words, and what kind of fault it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What tells it from the others: the order of examples does not matter.
    pub name: String,
    /// The text, a line for each thing that is said.
    pub text: String,
    /// The kind of fault, by label.
    pub kind: FaultKind,
    /// How sure the label is, from 0 to 1.
    pub confidence: f64,
}

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// The kinds that were seen, by name.
    kinds: Vec<FaultKind>,
    /// How rare each gram was.
    rarity: BTreeMap<String, f64>,
    /// In the order of the grams.
    model: Logistic,
    temperature: f64,
}

impl Classifier {
    /// Learns from labelled incidents.
    pub fn learned(examples: &[Example]) -> Self {
        let mut examples: Vec<&Example> = examples.iter().collect();
        examples.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: BTreeSet<&FaultKind> = examples.iter().map(|example| &example.kind).collect();
        let kinds: Vec<FaultKind> = kinds.into_iter().cloned().collect();
        if kinds.len() < 2 {
            return Self::default();
        }
        let read: Vec<BTreeMap<String, u32>> =
            examples.iter().map(|example| grams(&example.text)).collect();
        let names: Vec<(&str, &str)> =
            examples.iter().map(|it| (it.kind.as_str(), it.name.as_str())).collect();
        let parts = folds(&names, PARTS);
        let held_out = (0..PARTS).flat_map(|part| {
            let is_held = |n: &usize| parts[*n] == part;
            let (held, others): (Vec<usize>, Vec<usize>) = (0..examples.len()).partition(is_held);
            let pick = |n: &usize| (examples[*n], &read[*n]);
            let fitted = Self::fitted(&kinds, &others.iter().map(pick).collect::<Vec<_>>());
            let place = |kind: &FaultKind| kinds.binary_search(kind).unwrap_or(0);
            let told = |n: &usize| {
                (fitted.model.scores(&fitted.row(&read[*n])), place(&examples[*n].kind))
            };
            held.iter().map(told).collect::<Vec<_>>()
        });
        let held_out: Vec<(Vec<f64>, usize)> = held_out.collect();
        let all: Vec<_> = examples.iter().copied().zip(&read).collect();
        Self { temperature: temperature(&held_out), ..Self::fitted(&kinds, &all) }
    }

    /// With a temperature of 1.
    fn fitted(kinds: &[FaultKind], examples: &[(&Example, &BTreeMap<String, u32>)]) -> Self {
        let mut with: BTreeMap<&String, usize> = BTreeMap::new();
        for (_, grams) in examples {
            grams.keys().for_each(|gram| *with.entry(gram).or_default() += 1);
        }
        let mut known: Vec<(&String, usize)> =
            with.into_iter().filter(|(_, with)| *with >= LEAST_EXAMPLES).collect();
        known.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        known.truncate(MOST_GRAMS);
        let all = examples.len() as f64;
        let rarity = |with: usize| ((1.0 + all) / (1.0 + with as f64)).ln() + 1.0;
        let rarity = known.into_iter().map(|(gram, with)| (gram.clone(), rarity(with))).collect();
        let mut fitted =
            Self { kinds: kinds.to_vec(), rarity, temperature: 1.0, ..Self::default() };
        let labelled = examples.iter().map(|(example, grams)| Labelled {
            row: fitted.row(grams),
            class: kinds.binary_search(&example.kind).unwrap_or(0),
            weight: example.confidence.clamp(0.0, 1.0),
        });
        let labelled: Vec<Labelled> = labelled.collect();
        fitted.model = Logistic::learned(kinds.len(), fitted.rarity.len(), &labelled);
        fitted
    }

    /// The known grams of a text, each by its place, as a vector of length 1.
    fn row(&self, grams: &BTreeMap<String, u32>) -> Row {
        let mut known = self.rarity.iter().zip(0..).peekable();
        let mut row = Row::new();
        // Both are in the order of the alphabet.
        for (gram, count) in grams {
            while known.next_if(|((name, _), _)| *name < gram).is_some() {}
            if let Some(((_, rarity), place)) = known.next_if(|((name, _), _)| *name == gram) {
                row.push((place, (1.0 + f64::from(*count).ln()) * rarity));
            }
        }
        let length = row.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        row.iter_mut().for_each(|(_, value)| *value /= length);
        row
    }

    /// How likely each kind is, the likeliest first; none when fewer than two kinds were ever seen
    /// or no word of the text was.
    pub fn kinds(&self, text: &str) -> Vec<(FaultKind, f64)> {
        let row = self.row(&grams(text));
        if row.is_empty() {
            return Vec::new();
        }
        let chances = logistic::chances(&self.model.scores(&row), self.temperature);
        let mut kinds: Vec<_> = self.kinds.iter().cloned().zip(chances).collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kinds
    }

    /// The kind that the text tells of; `None` when none is likelier than [`LEAST_SURE`].
    pub fn kind(&self, text: &str) -> Option<FaultKind> {
        let (kind, likely) = self.kinds(text).into_iter().next()?;
        (likely >= LEAST_SURE).then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: usize, text: &str, kind: &str) -> Example {
        let kind = FaultKind::new(kind).unwrap();
        Example { name: name.to_string(), text: text.to_owned(), kind, confidence: 1.0 }
    }

    fn examples() -> Vec<Example> {
        let said = |n: usize| match n % 3 {
            0 => (format!("cart cpu usage up\nprocessor throttled on node {n}"), "cpu"),
            1 => (format!("stock memory rss up\nkilled, out of memory {n}"), "memory"),
            _ => (format!("mail packets lost\nconnection reset by peer {n}"), "network"),
        };
        (0..30).map(|n| (n, said(n))).map(|(n, (text, kind))| example(n, &text, kind)).collect()
    }

    #[test]
    fn what_was_learned_of_some_is_known_of_another() {
        let learned = Classifier::learned(&examples());
        let kind = |text: &str| learned.kind(text).map(|kind| kind.to_string());
        assert_eq!(kind("orders: CPU usage is high").as_deref(), Some("cpu"));
        assert_eq!(kind("users was out-of-memory killed").as_deref(), Some("memory"));
        let chances = learned.kinds("resets of connections").into_iter().map(|(_, it)| it);
        assert!((chances.sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(learned.kind("qwxz"), None, "no word was ever seen");
    }

    #[test]
    fn a_text_that_speaks_for_two_kinds_is_less_sure() {
        let learned = Classifier::learned(&examples());
        let doubt = |text: &str| 1.0 - learned.kinds(text)[0].1;
        let of_one = doubt("stock memory rss up");
        let of_two = doubt("cart cpu usage up\nstock memory rss up");
        assert!(of_two > 10.0 * of_one, "{of_two} {of_one}");
    }

    #[test]
    fn labels_that_say_nothing_leave_it_unsure() {
        // The same text of every kind.
        let same = (0..30).map(|n| example(n, "something is wrong", ["a", "b", "c"][n % 3]));
        let learned = Classifier::learned(&same.collect::<Vec<_>>());
        assert_eq!(learned.kind("something is wrong"), None);
        let one: Vec<Example> =
            examples().into_iter().filter(|it| it.kind.as_str() == "cpu").collect();
        assert!(Classifier::learned(&one).kinds("cart cpu usage up").is_empty());
        assert!(Classifier::learned(&[]).kinds("cart cpu usage up").is_empty());
    }

    #[test]
    fn neither_the_order_of_examples_nor_json_changes_what_is_said() {
        let learned = Classifier::learned(&examples());
        let mut turned = examples();
        turned.reverse();
        assert_eq!(Classifier::learned(&turned), learned);
        let json = serde_json::to_string(&learned).unwrap();
        let read: Classifier = serde_json::from_str(&json).unwrap();
        let told = |it: &Classifier| it.kinds("cart cpu usage up");
        for (ours, theirs) in told(&read).iter().zip(told(&learned)) {
            assert!(ours.0 == theirs.0 && (ours.1 - theirs.1).abs() < 1e-12);
        }
    }
}
