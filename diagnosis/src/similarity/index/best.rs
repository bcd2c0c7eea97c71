//! What is promising, what was found, and what has to be reached to be among the best.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use events::IncidentId;

use super::Nearest;
use super::layers::Entry;

/// The best so far.
pub struct Best<'i> {
    first: usize,
    min_score: f64,
    // The worst of them on top.
    top: BinaryHeap<Candidate<'i>>,
}

impl<'i> Best<'i> {
    /// As many as are asked for, and as good.
    pub fn of(asked: &Nearest<'_>) -> Self {
        let (first, min_score) = (asked.first, asked.min_score);
        Self { first, min_score, top: BinaryHeap::new() }
    }

    /// Who scores less is not among them.
    pub fn least(&self) -> f64 {
        if self.top.len() < self.first {
            return self.min_score;
        }
        self.top.peek().map_or(f64::INFINITY, |worst| worst.score)
    }

    /// Keeps a candidate as long as it is among the best.
    pub fn offer(&mut self, candidate: Candidate<'i>) {
        if candidate.score <= 0.0 || candidate.score < self.min_score {
            return;
        }
        if self.top.len() < self.first {
            self.top.push(candidate);
        } else if let Some(mut worst) = self.top.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// The best of them first.
    pub fn sorted(self) -> Vec<Candidate<'i>> {
        self.top.into_sorted_vec()
    }
}

/// An entry that may be among the nearest; the greater the better.
pub struct Promising {
    /// The most that it can score.
    pub most: f64,
    /// Which one.
    pub entry: Entry,
}

impl Ord for Promising {
    fn cmp(&self, other: &Self) -> Ordering {
        // Entries of the same experiment, which score alike, stand together.
        self.most.total_cmp(&other.most).then_with(|| other.entry.cmp(&self.entry))
    }
}

impl PartialOrd for Promising {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Promising {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Promising {}

/// An entry that was scored; the smaller the better.
pub struct Candidate<'i> {
    /// What it scores.
    pub score: f64,
    /// The incident that it is of.
    pub incident: &'i IncidentId,
    /// Which one.
    pub entry: Entry,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let scores = other.score.total_cmp(&self.score);
        scores.then_with(|| self.incident.cmp(other.incident))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}
