//! Which entries have which marks, and how much of a question's marks each can have.
//!
//! Marks that few entries have are lists of places, those that many have are rows of bits, which
//! are added up eight places at a time. What each mark weighs is kept for each number of entries
//! that rarity is ever counted over, and what all marks of an entry weigh for the last of them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::super::blend::{Shared, alike, counted, rarity};
use super::layers::{Entry, Layer};

/// A mark that more than one in so many places have is a row of bits.
const SPARSE: usize = 16;
/// In as many steps the sum of a question is counted. Rounding up adds one for each of its marks,
/// of which there are less than as many again: a lane holds both.
const MOST_STEPS: u64 = 1 << 15;

/// Rows of bits are added up for so many places at a time.
const PIECE: usize = 1 << 12;

/// The places that have a mark.
#[derive(Debug)]
enum Having {
    /// In order.
    Few(Vec<u32>),
    /// A bit for each place.
    Many(Vec<u8>),
}

impl Having {
    /// The place, one of so many, has it.
    fn set(&mut self, place: u32, places: usize) {
        match self {
            Self::Few(having) => {
                let at = having.partition_point(|it| *it < place);
                having.insert(at, place);
                if having.len() * SPARSE > places + SPARSE * SPARSE {
                    let mut bits = vec![0u8; places.div_ceil(8)];
                    having.iter().for_each(|it| bits[*it as usize / 8] |= 1 << (it % 8));
                    *self = Self::Many(bits);
                }
            }
            Self::Many(bits) => {
                let byte = place as usize / 8;
                if bits.len() <= byte {
                    bits.resize(byte + 1, 0);
                }
                bits[byte] |= 1 << (place % 8);
            }
        }
    }

    /// The place has it no more.
    fn clear(&mut self, place: u32) {
        match self {
            Self::Few(having) => {
                let at = having.binary_search(&place);
                at.map(|at| having.remove(at)).expect("what is cleared was set");
            }
            Self::Many(bits) => bits[place as usize / 8] &= !(1 << (place % 8)),
        }
    }
}

/// The marks of a layer's entries.
#[derive(Debug, Default)]
struct Marked {
    /// By mark.
    having: Vec<Having>,
    /// By place, where in [`Marks::of`] its marks are.
    of: Vec<Range<usize>>,
    /// By place, what all its marks weigh at the last step.
    own: Vec<u64>,
}

impl Marked {
    /// These are the marks of a place from now on, the next one or an earlier one.
    fn put(&mut self, place: usize, marks: Range<usize>, own: u64, all: &[u32]) {
        let before = self.of.get(place).cloned().unwrap_or_default();
        if place == self.of.len() {
            self.of.push(marks.clone());
            self.own.push(own);
        } else {
            (self.of[place], self.own[place]) = (marks.clone(), own);
        }
        let number = u32::try_from(place).expect("fewer entries than memory holds");
        let (before, now) = (&all[before], &all[marks]);
        for mark in before.iter().filter(|mark| now.binary_search(mark).is_err()) {
            self.having[*mark as usize].clear(number);
        }
        for mark in now.iter().filter(|mark| before.binary_search(mark).is_err()) {
            let mark = *mark as usize;
            if self.having.len() <= mark {
                self.having.resize_with(mark + 1, || Having::Few(Vec::new()));
            }
            self.having[mark].set(number, self.of.len());
        }
    }
}

/// What marks weigh while rarity is counted over the same entries.
#[derive(Debug)]
struct Step {
    counted: usize,
    /// By mark, of those that were there.
    weights: Vec<u64>,
}

impl Step {
    fn weight(&self, mark: u32) -> u64 {
        let known = self.weights.get(mark as usize).copied();
        known.unwrap_or_else(|| rarity(0, self.counted))
    }

    fn sum(&self, marks: &[u32]) -> u64 {
        marks.iter().map(|mark| self.weight(*mark)).sum()
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Marks {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    /// How many entries ever had each mark.
    with: Vec<usize>,
    /// How many entries there ever were.
    entries: usize,
    /// The marks of each entry in the order of their numbers, one entry behind the other.
    of: Vec<u32>,
    layers: [Marked; 2],
    steps: Vec<Step>,
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
    /// The entry that stands at `place` from now on has these marks. The place is the next one or
    /// that of an entry that ends.
    pub fn put(&mut self, place: usize, marks: &BTreeSet<String>) {
        let from = self.of.len();
        for mark in marks {
            let number = self.number(mark);
            self.with[number as usize] += 1;
            self.of.push(number);
        }
        self.of[from..].sort_unstable();
        self.entries += 1;
        let [standing, ended] = &mut self.layers;
        if let Some(marks) = standing.of.get(place) {
            ended.put(ended.of.len(), marks.clone(), standing.own[place], &self.of);
        }
        let own = self.steps.last().map_or(0, |step| step.sum(&self.of[from..]));
        standing.put(place, from..self.of.len(), own, &self.of);
        if counted(self.entries) == self.entries {
            self.step();
        }
    }

    /// From now on rarity is counted over all entries that there are.
    fn step(&mut self) {
        let counted = self.entries;
        let weights = self.with.iter().map(|with| rarity(*with, counted)).collect();
        let step = Step { counted, weights };
        for layer in &mut self.layers {
            layer.own = layer.of.iter().map(|marks| step.sum(&self.of[marks.clone()])).collect();
        }
        self.steps.push(step);
    }

    fn number(&mut self, mark: &str) -> u32 {
        if let Some(number) = self.numbers.get(mark) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("marks fit in memory");
        let mark: Arc<str> = mark.into();
        self.names.push(mark.clone());
        self.numbers.insert(mark, number);
        self.with.push(0);
        number
    }

    /// Makes a question of marks, as of the first `known` entries.
    pub fn ask(&self, marks: &BTreeSet<String>, known: usize) -> AskedMarks {
        let step = self.steps.partition_point(|step| step.counted <= known).checked_sub(1);
        let none = Step { counted: 0, weights: Vec::new() };
        let weights = step.map_or(&none, |step| &self.steps[step]);
        let mut asked = AskedMarks { step, marks: Vec::new(), sum: 0 };
        for mark in marks {
            let number = self.numbers.get(mark.as_str()).copied();
            let weight = weights.weight(number.unwrap_or(u32::MAX));
            asked.marks.extend(number.map(|number| (number, weight)));
            asked.sum += weight;
        }
        asked.marks.sort_unstable();
        asked
    }

    fn marks_of(&self, entry: Entry) -> &[u32] {
        &self.of[self.layers[entry.layer as usize].of[entry.place as usize].clone()]
    }

    /// What all marks of an entry weigh, where it is asked.
    fn own(&self, asked: &AskedMarks, entry: Entry) -> u64 {
        match asked.step {
            _ if self.is_last(asked) => self.layers[entry.layer as usize].own[entry.place as usize],
            Some(step) => self.steps[step].sum(self.marks_of(entry)),
            None => 0,
        }
    }

    fn is_last(&self, asked: &AskedMarks) -> bool {
        asked.step.is_some_and(|step| step + 1 == self.steps.len())
    }

    /// Adds the most that each place in a part of a layer can be alike, times `voice`: what both
    /// have is rounded up. The part begins at a whole byte of bits.
    pub fn add_most(
        &self,
        asked: &AskedMarks,
        voice: f64,
        layer: Layer,
        part: Range<usize>,
        to: &mut [f64],
    ) {
        // Weights are rounded up, so that a sum is never too small.
        let step = asked.sum.div_ceil(MOST_STEPS).max(1);
        let sums = self.sums(asked, step, layer, part.clone());
        let own = match self.is_last(asked) {
            true => Cow::Borrowed(&self.layers[layer as usize].own[part]),
            false => part.map(|place| self.own(asked, Entry::new(layer, place))).collect(),
        };
        for ((to, own), sum) in to.iter_mut().zip(own.iter()).zip(sums) {
            let both = (u64::from(sum) * step).min(asked.sum).min(*own);
            *to += voice * alike(asked.sum, *own, both);
        }
    }

    /// What each place in a part has of the marks that are asked for, in steps.
    fn sums(&self, asked: &AskedMarks, step: u64, layer: Layer, part: Range<usize>) -> Vec<u16> {
        let mut sums = vec![0u16; part.len().next_multiple_of(8)];
        let mut rows = Vec::new();
        for &(mark, weight) in &asked.marks {
            let steps = weight.div_ceil(step) as u16;
            match self.layers[layer as usize].having.get(mark as usize) {
                Some(Having::Few(having)) => {
                    let at = |place: usize| having.partition_point(|it| (*it as usize) < place);
                    let having = &having[at(part.start)..at(part.end)];
                    having.iter().for_each(|place| sums[*place as usize - part.start] += steps);
                }
                Some(Having::Many(bits)) => rows.push((bits.as_slice(), steps)),
                None => {}
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
    pub fn alike(&self, asked: &AskedMarks, entry: Entry) -> f64 {
        let both: u64 = in_both(asked, self.marks_of(entry)).map(|(_, weight)| weight).sum();
        alike(asked.sum, self.own(asked, entry), both)
    }

    /// How alike an entry is, and what both have.
    pub fn shared(&self, asked: &AskedMarks, entry: Entry) -> Shared {
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
    /// than are added up at a time, of which some replaced others.
    #[test]
    fn sums_are_those_of_each_entry_by_itself() {
        let mut marks = Marks::default();
        let has = |entry: usize, mark: usize| match mark {
            9 => entry < 700,
            _ => (entry * 31 + mark * 17).is_multiple_of(mark * mark * 5 + 2),
        };
        let named = |mark: usize| format!("mark {mark}");
        let standing = 2 * PIECE + 77;
        for entry in 0..2 * standing {
            // Each has the place of the one before it or the next.
            let place = entry % standing / (1 + entry / standing);
            marks.put(place, &(0..12).filter(|mark| has(entry, *mark)).map(named).collect());
        }
        let asked = marks.ask(&(0..12).map(named).collect(), 2 * standing);
        let step = asked.sum.div_ceil(MOST_STEPS).max(1);
        for layer in Layer::ALL {
            let marked = &marks.layers[layer as usize];
            assert_eq!(marked.of.len(), standing);
            let rows = marked.having.iter().filter(|it| matches!(it, Having::Many(_))).count();
            assert!((1..marked.having.len()).contains(&rows), "{rows} rows of bits");
            for part in [0..standing, 0..PIECE + 3, 0..500, 64..65, PIECE - 64..standing] {
                let sums = marks.sums(&asked, step, layer, part.clone());
                for (place, sum) in part.zip(sums) {
                    let both = in_both(&asked, marks.marks_of(Entry::new(layer, place)));
                    let steps: u64 = both.map(|(_, weight)| weight.div_ceil(step)).sum();
                    assert_eq!(u64::from(sum), steps, "place {place} of {layer:?}");
                }
            }
        }
    }

    #[test]
    fn what_an_entry_weighs_is_told_for_any_number_that_rarity_is_counted_over() {
        let mut marks = Marks::default();
        let of =
            |entry: usize| BTreeSet::from([format!("of {}", entry % 3), format!("is {entry}")]);
        for entry in 0..100 {
            marks.put(entry / 2, &of(entry));
        }
        for known in [1, 7, 30, 64, 99, 100] {
            let counted = counted(known);
            let weight = |mark: &String| {
                rarity((0..counted).filter(|entry| of(*entry).contains(mark)).count(), counted)
            };
            let asked = marks.ask(&of(0), known);
            assert_eq!(asked.sum, of(0).iter().map(weight).sum::<u64>());
            for entry in 0..known {
                let layer = if entry % 2 == 0 { Layer::Ended } else { Layer::Standing };
                let own: u64 = of(entry).iter().map(weight).sum();
                let entry = Entry::new(layer, entry / 2);
                assert_eq!(marks.own(&asked, entry), own, "{entry:?} among {known}");
            }
        }
    }
}
