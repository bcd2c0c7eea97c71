//! A forest of decision trees: which class the numbers of a row speak for.
//!
//! L. Breiman, "Random Forests", Machine Learning 45, 2001. Each tree is grown from a sample of the
//! rows, drawn by weight, and looks at a few columns at each fork. The seed is fixed: the same rows
//! grow the same forest. What a column adds to an answer is how much the shares change at the forks
//! that ask for it (A. Palczewska et al., "Interpreting random forest models using a feature
//! contribution method", IEEE IRI 2013); with the shares at the roots these add up to the answer.

use serde::{Deserialize, Serialize};

const TREES: usize = 200;
/// Fewer rows make no leaf of their own: one label alone decides nothing.
const LEAST_ROWS: usize = 2;
const DEEPEST: usize = 24;
/// Columns that a fork looks at, in square roots of all.
const LOOKED_AT: f64 = 1.5;
const SEED: u64 = 20_010_401;

/// A row of numbers, its class, and how much it counts.
#[derive(Clone, Debug)]
pub struct Example {
    /// One number for each column.
    pub row: Vec<f64>,
    /// The class.
    pub class: usize,
    /// How much it counts, at least 0.
    pub weight: f64,
}

/// The trees. An empty forest knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
}

/// The root comes first; children come after their parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    /// Rows that reached it, by class.
    counts: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fork: Option<Fork>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    column: usize,
    /// Rows with more go to `above`.
    at: f64,
    below: usize,
    above: usize,
}

impl Node {
    fn share(&self, class: usize) -> f64 {
        let all: u32 = self.counts.iter().sum();
        f64::from(self.counts[class]) / f64::from(all.max(1))
    }
}

impl Forest {
    /// Grows the forest; without examples that count it stays empty.
    pub fn grown(examples: &[Example], classes: usize) -> Self {
        let mut reached = 0.0;
        let weights: Vec<f64> = examples
            .iter()
            .map(|example| {
                reached += example.weight.max(0.0);
                reached
            })
            .collect();
        if reached <= 0.0 {
            return Self::default();
        }
        let mut dice = Dice(SEED);
        let trees = (0..TREES).map(|_| {
            let draw = |_| {
                let drawn = dice.unit() * reached;
                weights.partition_point(|weight| *weight <= drawn).min(examples.len() - 1)
            };
            let rows = (0..examples.len()).map(draw).collect();
            let mut tree = Tree { examples, classes, nodes: Vec::new(), dice: &mut dice };
            tree.grow(rows, DEEPEST);
            tree.nodes
        });
        Self { trees: trees.collect() }
    }

    /// The share of each of `classes` for a row; `None` of an empty forest.
    pub fn shares(&self, row: &[f64], classes: usize) -> Option<Vec<f64>> {
        let mut shares = vec![0.0; classes];
        for tree in &self.trees {
            let leaf = path(tree, row).last()?;
            for (class, share) in shares.iter_mut().enumerate() {
                *share += leaf.share(class) / self.trees.len() as f64;
            }
        }
        (!self.trees.is_empty()).then_some(shares)
    }

    /// What each column of the row adds to the share of a class, by column; 0 of most.
    pub fn contributions(&self, row: &[f64], class: usize) -> Vec<f64> {
        let mut contributions = vec![0.0; row.len()];
        for tree in &self.trees {
            let mut path = path(tree, row).peekable();
            while let Some(node) = path.next() {
                if let (Some(fork), Some(next)) = (node.fork, path.peek()) {
                    let added = next.share(class) - node.share(class);
                    contributions[fork.column] += added / self.trees.len() as f64;
                }
            }
        }
        contributions
    }
}

fn path<'t>(tree: &'t [Node], row: &'t [f64]) -> impl Iterator<Item = &'t Node> {
    let next = |node: &&'t Node| {
        let fork = node.fork?;
        tree.get(if row[fork.column] > fork.at { fork.above } else { fork.below })
    };
    std::iter::successors(tree.first(), next)
}

struct Tree<'e> {
    examples: &'e [Example],
    classes: usize,
    nodes: Vec<Node>,
    dice: &'e mut Dice,
}

impl Tree<'_> {
    // The place of the node that these rows reach.
    fn grow(&mut self, rows: Vec<usize>, deep: usize) -> usize {
        let place = self.nodes.len();
        let mut counts = vec![0; self.classes];
        rows.iter().for_each(|row| counts[self.examples[*row].class] += 1);
        let is_pure = counts.iter().filter(|count| **count > 0).count() < 2;
        self.nodes.push(Node { counts, fork: None });
        if is_pure || deep == 0 || rows.len() < 2 * LEAST_ROWS {
            return place;
        }
        let Some((column, at)) = self.best(&rows, place) else { return place };
        let (below, above) =
            rows.into_iter().partition(|row| self.examples[*row].row[column] <= at);
        let below = self.grow(below, deep - 1);
        let above = self.grow(above, deep - 1);
        self.nodes[place].fork = Some(Fork { column, at, below, above });
        place
    }

    // The fork after which the classes are least mixed.
    fn best(&mut self, rows: &[usize], place: usize) -> Option<(usize, f64)> {
        let columns = self.examples[rows[0]].row.len();
        let all = self.nodes[place].counts.clone();
        let looked_at = (LOOKED_AT * (columns as f64).sqrt()) as usize + 1;
        let mut best = None;
        let mut least = mixed(&all) - 1e-9;
        for _ in 0..looked_at.min(columns) {
            let column = self.dice.below(columns);
            let value = |row: &usize| self.examples[*row].row[column];
            let mut values: Vec<(f64, usize)> =
                rows.iter().map(|row| (value(row), self.examples[*row].class)).collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut below, mut above) = (vec![0; self.classes], all.clone());
            for (index, pair) in values.windows(2).enumerate() {
                below[pair[0].1] += 1;
                above[pair[0].1] -= 1;
                let fewer = (index + 1).min(values.len() - index - 1);
                if pair[0].0 >= pair[1].0 || fewer < LEAST_ROWS {
                    continue;
                }
                let mixed = mixed(&below) + mixed(&above);
                if mixed < least {
                    least = mixed;
                    best = Some((column, f64::midpoint(pair[0].0, pair[1].0)));
                }
            }
        }
        best
    }
}

// Gini impurity, in rows.
fn mixed(counts: &[u32]) -> f64 {
    let all: u32 = counts.iter().sum();
    let squares: f64 = counts.iter().map(|count| f64::from(*count).powi(2)).sum();
    f64::from(all) - squares / f64::from(all.max(1))
}

/// Splitmix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    // From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        ((self.unit() * bound as f64) as usize).min(bound - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The class is whether both of the first two columns are set; the third is noise.
    fn examples(wrong: usize) -> Vec<Example> {
        let example = |n: usize| {
            let row: Vec<f64> = [n & 1, n >> 1 & 1, n >> 2 & 1].map(|bit| bit as f64).to_vec();
            let class = usize::from(row[0] + row[1] > 1.5);
            let class = if n < wrong { 1 - class } else { class };
            Example { row, class, weight: 1.0 }
        };
        (0..80).map(example).collect()
    }

    #[test]
    fn finds_what_two_columns_tell_together() {
        let forest = Forest::grown(&examples(0), 2);
        assert!(forest.shares(&[1.0, 1.0, 1.0], 2).unwrap()[1] > 0.9);
        assert!(forest.shares(&[1.0, 0.0, 1.0], 2).unwrap()[0] > 0.9);
        assert!(forest.shares(&[0.0, 1.0, 1.0], 2).unwrap()[0] > 0.9);
        assert_eq!(forest, Forest::grown(&examples(0), 2));
        let json = serde_json::to_string(&forest).unwrap();
        assert_eq!(serde_json::from_str::<Forest>(&json).unwrap(), forest);
    }

    #[test]
    fn contributions_and_the_roots_add_up_to_the_share() {
        let forest = Forest::grown(&examples(3), 2);
        let row = [0.0, 1.0, 0.0];
        let roots = forest.trees.iter().map(|tree| tree[0].share(1)).sum::<f64>();
        let added: f64 = forest.contributions(&row, 1).iter().sum();
        let share = forest.shares(&row, 2).unwrap()[1];
        assert!((roots / forest.trees.len() as f64 + added - share).abs() < 1e-9);
    }

    #[test]
    fn examples_that_do_not_count_teach_nothing() {
        let mut known = examples(8);
        known[..8].iter_mut().for_each(|example| example.weight = 0.0);
        let forest = Forest::grown(&known, 2);
        assert!(forest.shares(&[0.0, 0.0, 0.0], 2).unwrap()[0] > 0.95);
        known.iter_mut().for_each(|example| example.weight = 0.0);
        assert_eq!(Forest::grown(&known, 2).shares(&[0.0, 0.0, 0.0], 2), None);
    }
}
