//! Log lines grouped by the statement that wrote them.
//!
//! P. He, J. Zhu, Z. Zheng, M. R. Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth
//! Tree", ICWS 2017: a line goes to the group with the same number of words and the same first
//! word that it shares most words with; where they differ the group's words become `<*>`. Words
//! that can only be values (numbers, ids, times) are `<*>` from the beginning. A place in the code
//! (`TravelServiceImpl#457`, `main.go:33`) is the name of the statement: what follows it says
//! nothing more.

use std::collections::BTreeMap;

/// What stands for anything.
pub const ANY: &str = "<*>";
/// Share of equal words from which a line belongs to a group.
const SIMILAR: f64 = 0.6;
/// Words that are looked at.
const MOST_WORDS: usize = 24;
/// Groups with the same length and first word; further lines join the nearest one.
const MOST_GROUPS: usize = 64;

/// Groups that were seen so far.
#[derive(Clone, Debug, Default)]
pub struct Miner {
    groups: Vec<Vec<String>>,
    by_shape: BTreeMap<(usize, String), Vec<usize>>,
}

impl Miner {
    /// The group of a line: a number that stays, while its [`template`](Self::template) may
    /// become more general with every line.
    pub fn learn(&mut self, line: &str) -> usize {
        let words = masked(line);
        let shape = (words.len(), words.first().cloned().unwrap_or_default());
        let candidates = self.by_shape.entry(shape).or_default();
        let nearest = candidates
            .iter()
            .map(|&group| (similarity(&self.groups[group], &words), group))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        match nearest {
            Some((similarity, group))
                if similarity >= SIMILAR || candidates.len() >= MOST_GROUPS =>
            {
                for (known, word) in self.groups[group].iter_mut().zip(words) {
                    if *known != word {
                        ANY.clone_into(known);
                    }
                }
                group
            }
            _ => {
                let group = self.groups.len();
                candidates.push(group);
                self.groups.push(words);
                group
            }
        }
    }

    /// The constant part of a group, as far as it was seen.
    pub fn template(&self, group: usize) -> String {
        self.groups[group].join(" ")
    }
}

fn similarity(known: &[String], words: &[String]) -> f64 {
    let same = known.iter().zip(words).filter(|(a, b)| a == b).count();
    same as f64 / words.len().max(1) as f64
}

fn masked(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in line.split_whitespace().take(MOST_WORDS) {
        if is_place(word) {
            words.retain(|word: &String| word != ANY);
            words.extend([word.to_owned(), ANY.to_owned()]);
            // One word, so that it is equal or not.
            return vec![words.join(" ")];
        }
        let word = if is_value(word) { ANY } else { word };
        // A list of values is one value, however long.
        if word != ANY || words.last().is_none_or(|last| last != ANY) {
            words.push(word.to_owned());
        }
    }
    words
}

// A name, `#` or `:`, and a line number.
fn is_place(word: &str) -> bool {
    let Some((name, line)) = word.rsplit_once(['#', ':']) else { return false };
    let named = name.chars().next().is_some_and(|c| c.is_alphabetic())
        && name.contains('.')
        && name.chars().all(|c| c.is_alphanumeric() || "._$[]/-".contains(c));
    named && (1..=6).contains(&line.len()) && line.chars().all(|c| c.is_ascii_digit())
}

fn is_value(word: &str) -> bool {
    let mut digits = 0;
    let mut letters = 0;
    for c in word.chars() {
        digits += usize::from(c.is_ascii_digit());
        letters += usize::from(c.is_alphabetic());
    }
    digits > 0 && (digits * 3 >= letters || word.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(lines: &[&str]) -> Vec<String> {
        let mut miner = Miner::default();
        let groups: Vec<usize> = lines.iter().map(|line| miner.learn(line)).collect();
        groups.into_iter().map(|group| miner.template(group)).collect()
    }

    #[test]
    fn what_varies_is_left_open() {
        let found = templates(&[
            "order 17 of alice shipped in 31ms",
            "order 18 of bob shipped in 3ms",
            "order 19 of alice refused: no stock",
            "cache is warm",
        ]);
        assert_eq!(found[0], "order <*> of <*> shipped in <*>");
        assert_eq!(found[0], found[1]);
        assert_eq!(found[3], "cache is warm");
        assert_ne!(found[2], found[0]);
    }

    #[test]
    fn a_place_in_the_code_names_the_statement() {
        let found = templates(&[
            "16:52:28.243 INFO t.s.TravelServiceImpl#532 TraceID: ee54 route (shanghai, suzhou)",
            "16:52:29.001 INFO t.s.TravelServiceImpl#532 TraceID: 77aa none",
            "16:52:29.001 INFO t.s.TravelServiceImpl#518 TraceID: 77aa none",
        ]);
        assert_eq!(found[0], "INFO t.s.TravelServiceImpl#532 <*>");
        assert_eq!(found[0], found[1]);
        assert_ne!(found[1], found[2]);
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let mut miner = Miner::default();
        for number in 0..5_000u32 {
            let word: String =
                number.to_string().chars().map(|c| char::from(b'a' + c as u8 - b'0')).collect();
            miner.learn(&format!("said {word}a {word}b {word}c"));
        }
        assert!(miner.groups.len() <= MOST_GROUPS, "{}", miner.groups.len());
    }

    #[test]
    fn nothing_is_a_template_too() {
        assert_eq!(templates(&[""]), [""]);
    }
}
