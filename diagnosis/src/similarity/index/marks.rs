//! Which entries have which marks, and how much of a question's marks each can have.
//!
//! Marks that few entries have are lists of entries, those that many have are rows of bits, which
//! are added up eight entries at a time. What all marks of an entry weigh is kept for each number
//! of entries that rarity is ever counted over.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::super::blend::{Shared, alike, counted, rarity};

/// A mark that more than one in so many entries have is a row of bits.
const SPARSE: usize = 16;
/// In as many steps the sum of a question is counted. Rounding up adds one for each of its marks,
/// of which there are less than as many again: a lane holds both.
const MOST_STEPS: u64 = 1 << 15;

/// Rows of bits are added up for so many entries at a time.
const PIECE: usize = 1 << 12;

/// The entries that have a mark, which were put in order.
#[derive(Debug)]
enum Having {
    Few(Vec<u32>),
    Many { bits: Vec<u8>, count: usize, last: u32 },
}

impl Having {
    /// How many of the first `known` entries.
    fn count(&self, known: usize) -> usize {
        match self {
            Self::Few(entries) => entries.partition_point(|entry| (*entry as usize) < known),
            Self::Many { count, last, .. } if known > *last as usize => *count,
            Self::Many { bits, .. } => {
                let whole: u32 = bits[..known / 8].iter().map(|byte| byte.count_ones()).sum();
                let rest = bits[known / 8] & ((1u16 << (known % 8)) - 1) as u8;
                (whole + rest.count_ones()) as usize
            }
        }
    }

    fn push(&mut self, entry: u32) {
        let place = entry as usize;
        match self {
            Self::Few(entries) => {
                entries.push(entry);
                if entries.len() * SPARSE > place + SPARSE * SPARSE {
                    let mut bits = vec![0u8; place / 8 + 1];
                    entries.iter().for_each(|it| bits[*it as usize / 8] |= 1 << (it % 8));
                    *self = Self::Many { bits, count: entries.len(), last: entry };
                }
            }
            Self::Many { bits, count, last } => {
                bits.resize(place / 8 + 1, 0);
                bits[place / 8] |= 1 << (place % 8);
                *count += 1;
                *last = entry;
            }
        }
    }
}

/// What marks weigh while rarity is counted over the same entries.
#[derive(Debug)]
struct Step {
    counted: usize,
    /// By entry, up to the last before the next step, what all its marks weigh.
    own: Vec<u64>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Marks {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    having: Vec<Having>,
    /// The marks of each entry, in the order of their numbers, one entry behind the other.
    of: Vec<u32>,
    ends: Vec<usize>,
    steps: Vec<Step>,
    /// What each mark weighs at the last step, for those that were there.
    weights: Vec<u64>,
}

/// The marks of a question.
pub struct AskedMarks {
    /// The place of the step it is asked at; none without an entry.
    step: Option<usize>,
    /// Those that any entry has, by number, each with its weight.
    marks: Vec<(u32, u64)>,
    /// What all of them weigh, those that nobody has included.
    pub sum: u64,
}

impl Marks {
    /// Adds the marks of the next entry.
    pub fn push(&mut self, marks: &BTreeSet<String>) {
        let entry = u32::try_from(self.ends.len()).expect("entries are numbered so");
        let from = self.of.len();
        for mark in marks {
            let number = self.number(mark);
            self.having[number as usize].push(entry);
            self.of.push(number);
        }
        self.of[from..].sort_unstable();
        self.ends.push(self.of.len());
        let known = self.ends.len();
        if counted(known) == known {
            let weights = self.having.iter().map(|having| rarity(having.count(known), known));
            self.weights = weights.collect();
            let own = (0..known).map(|entry| self.own(entry, known)).collect();
            self.steps.push(Step { counted: known, own });
        } else {
            let own = self.own(known - 1, counted(known));
            self.steps.last_mut().expect("the first entry began a step").own.push(own);
        }
    }

    /// What all marks of an entry weigh at the last step, which is counted over so many.
    fn own(&self, entry: usize, counted: usize) -> u64 {
        let new = rarity(0, counted);
        let weight = |mark: &u32| self.weights.get(*mark as usize).copied().unwrap_or(new);
        self.marks_of(entry).iter().map(weight).sum()
    }

    fn number(&mut self, mark: &str) -> u32 {
        if let Some(number) = self.numbers.get(mark) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("marks fit in memory");
        let mark: Arc<str> = mark.into();
        self.names.push(mark.clone());
        self.numbers.insert(mark, number);
        self.having.push(Having::Few(Vec::new()));
        number
    }

    /// Makes a question of marks, as of the first `known` entries.
    pub fn ask(&self, marks: &BTreeSet<String>, known: usize) -> AskedMarks {
        let step = self.steps.partition_point(|step| step.counted <= known).checked_sub(1);
        let counted = counted(known);
        let mut asked = AskedMarks { step, marks: Vec::new(), sum: 0 };
        for mark in marks {
            let number = self.numbers.get(mark.as_str()).copied();
            let weight = number.map_or_else(|| rarity(0, counted), |it| self.weight(it, counted));
            asked.marks.extend(number.map(|number| (number, weight)));
            asked.sum += weight;
        }
        asked.marks.sort_unstable();
        asked
    }

    fn weight(&self, mark: u32, counted: usize) -> u64 {
        let is_last = self.steps.last().is_some_and(|last| last.counted == counted);
        match self.weights.get(mark as usize).filter(|_| is_last) {
            Some(weight) => *weight,
            None => rarity(self.having[mark as usize].count(counted), counted),
        }
    }

    fn marks_of(&self, entry: usize) -> &[u32] {
        let from = entry.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.of[from..self.ends[entry]]
    }

    /// Adds the most that each entry of a part of the known ones can be alike, times `voice`: what
    /// both have is rounded up. The part begins at a whole byte of bits.
    pub fn add_most(&self, asked: &AskedMarks, voice: f64, part: Range<usize>, to: &mut [f64]) {
        let Some(at) = asked.step else { return };
        // Weights are rounded up, so that a sum is never too small.
        let step = asked.sum.div_ceil(MOST_STEPS).max(1);
        let sums = self.sums(asked, step, part.clone());
        for ((to, own), sum) in to.iter_mut().zip(&self.steps[at].own[part]).zip(sums) {
            let both = (u64::from(sum) * step).min(asked.sum).min(*own);
            *to += voice * alike(asked.sum, *own, both);
        }
    }

    /// What each entry of a part has of the marks that are asked for, in steps.
    fn sums(&self, asked: &AskedMarks, step: u64, part: Range<usize>) -> Vec<u16> {
        let mut sums = vec![0u16; part.len().next_multiple_of(8)];
        let mut rows = Vec::new();
        for &(mark, weight) in &asked.marks {
            let steps = weight.div_ceil(step) as u16;
            match &self.having[mark as usize] {
                Having::Few(entries) => {
                    let place = |entry: usize| entries.partition_point(|it| (*it as usize) < entry);
                    let entries = &entries[place(part.start)..place(part.end)];
                    entries.iter().for_each(|entry| sums[*entry as usize - part.start] += steps);
                }
                Having::Many { bits, .. } => rows.push((bits.as_slice(), steps)),
            }
        }
        // Piece by piece, so that the sums stay near the processor while all rows are added to them.
        for (from, sums) in (part.start..).step_by(PIECE).zip(sums.chunks_mut(PIECE)) {
            for (bits, steps) in &rows {
                add(sums, bits.get(from / 8..).unwrap_or_default(), *steps);
            }
        }
        sums
    }

    /// How alike an entry is.
    pub fn alike(&self, asked: &AskedMarks, entry: usize) -> f64 {
        let both: u64 = in_both(asked, self.marks_of(entry)).map(|(_, weight)| weight).sum();
        let own = asked.step.map_or(0, |step| self.steps[step].own[entry]);
        alike(asked.sum, own, both)
    }

    /// How alike an entry is, and what both have.
    pub fn shared(&self, asked: &AskedMarks, entry: usize) -> Shared {
        let both = in_both(asked, self.marks_of(entry));
        let both = both.map(|(mark, weight)| (self.names[mark as usize].to_string(), weight));
        Shared { alike: self.alike(asked, entry), marks: both.collect() }
    }
}

fn in_both<'m>(asked: &'m AskedMarks, marks: &'m [u32]) -> impl Iterator<Item = (u32, u64)> + 'm {
    let mut rest = marks;
    asked.marks.iter().copied().filter(move |(mark, _)| {
        let behind = rest.iter().position(|it| it >= mark).unwrap_or(rest.len());
        rest = &rest[behind..];
        rest.first() == Some(mark)
    })
}

/// Adds `steps` to the sums of the entries whose bit is set, eight at a time.
fn add(sums: &mut [u16], bits: &[u8], steps: u16) {
    let (eights, _) = sums.as_chunks_mut::<8>();
    for (sums, byte) in eights.iter_mut().zip(bits) {
        // By value, so that all eight are one addition.
        let (now, lanes) = (*sums, LANES[usize::from(*byte)]);
        *sums = std::array::from_fn(|lane| now[lane] + (lanes[lane] & steps));
    }
}

/// For each byte, all ones in the lanes of its bits.
static LANES: [[u16; 8]; 256] = lanes();

const fn lanes() -> [[u16; 8]; 256] {
    let mut lanes = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                lanes[byte][bit] = u16::MAX;
            }
            bit += 1;
        }
        byte += 1;
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some marks that nearly all have, some that few have, and one that ends early; more entries
    /// than are added up at a time.
    #[test]
    fn sums_are_those_of_each_entry_by_itself() {
        let mut marks = Marks::default();
        let has = |entry: usize, mark: usize| match mark {
            9 => entry < 700,
            _ => (entry * 31 + mark * 17).is_multiple_of(mark * mark * 5 + 2),
        };
        let named = |mark: usize| format!("mark {mark}");
        let entries = 2 * PIECE + 77;
        for entry in 0..entries {
            marks.push(&(0..12).filter(|mark| has(entry, *mark)).map(named).collect());
        }
        let rows = marks.having.iter().filter(|it| matches!(it, Having::Many { .. })).count();
        assert!((1..marks.having.len()).contains(&rows), "{rows} rows of bits");
        for part in [0..entries, 0..PIECE + 3, 0..500, 64..65, PIECE - 64..entries] {
            let known = part.end;
            let asked = marks.ask(&(0..12).map(named).collect(), known);
            let step = asked.sum.div_ceil(MOST_STEPS).max(1);
            let sums = marks.sums(&asked, step, part.clone());
            for (entry, sum) in part.zip(sums) {
                let both = in_both(&asked, marks.marks_of(entry));
                let steps: u64 = both.map(|(_, weight)| weight.div_ceil(step)).sum();
                assert_eq!(u64::from(sum), steps, "entry {entry} of {known}");
            }
        }
    }
}
