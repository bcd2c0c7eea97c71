//! Articulation points: the components without which the map of calls falls apart.
//!
//! J. Hopcroft and R. Tarjan, "Algorithm 447: Efficient algorithms for graph manipulation",
//! Communications of the ACM 16(6), 1973: one depth-first search with the lowest number that
//! each subtree reaches, here with an explicit stack. The direction of calls does not matter to
//! whether two components hang together.

use events::ComponentName;

use super::CallGraph;

/// A component that alone holds others together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which.
    pub component: ComponentName,
    /// What falls apart without it, at least two parts: the largest first, then by name.
    pub parts: Vec<Part>,
}

/// Components that still hang together when a [`Cut`] is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub size: usize,
    /// By name, at most [`NAMED`](super::NAMED) of them.
    pub members: Vec<ComponentName>,
}

/// What the search knows of a component.
struct Visit {
    parent: usize,
    /// Its number in the search, and the lowest one that its subtree reaches.
    number: usize,
    low: usize,
    /// How many were found in its subtree, itself included.
    subtree: usize,
    /// Children whose subtrees hang on it alone.
    hanging: Vec<usize>,
}

const NOBODY: usize = usize::MAX;

impl CallGraph {
    /// The articulation points, by name.
    pub fn cuts(&self) -> Vec<Cut> {
        let neighbours = self.neighbours();
        let mut visits: Vec<Option<Visit>> = (0..self.names.len()).map(|_| None).collect();
        let mut order = Vec::with_capacity(self.names.len());
        let mut cuts = Vec::new();
        for root in 0..self.names.len() {
            if visits[root].is_none() {
                let first = order.len();
                search(root, &neighbours, &mut visits, &mut order);
                cuts.extend(self.cuts_of(&order[first..], first, &visits));
            }
        }
        cuts.sort_by(|a: &Cut, b| a.component.cmp(&b.component));
        cuts
    }

    pub(super) fn neighbours(&self) -> Vec<Vec<usize>> {
        let both = self.callers.iter().zip(&self.callees);
        both.map(|(callers, callees)| {
            let mut all: Vec<_> = callers.iter().chain(callees).copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        })
        .collect()
    }

    /// The cuts among what one search found, in the order of their numbers from `first` on. A
    /// subtree is a run of that order.
    fn cuts_of(&self, found: &[usize], first: usize, visits: &[Option<Visit>]) -> Vec<Cut> {
        let visit = |node: usize| visits[node].as_ref().expect("the search found it");
        let mut cuts = Vec::new();
        for &node in found {
            let this = visit(node);
            let rest =
                found.len() - 1 - this.hanging.iter().map(|&c| visit(c).subtree).sum::<usize>();
            let parts = this.hanging.len() + usize::from(rest > 0);
            if parts < 2 {
                continue;
            }
            let runs: Vec<_> = this
                .hanging
                .iter()
                .map(|&child| {
                    let begin = visit(child).number - first;
                    begin..begin + visit(child).subtree
                })
                .collect();
            let mut parts: Vec<_> = runs
                .iter()
                .map(|run| Part {
                    size: run.len(),
                    members: self.named(found[run.clone()].iter().copied()),
                })
                .collect();
            if rest > 0 {
                let others = Others { found, runs: &runs, skip: node };
                parts.push(Part { size: rest, members: self.named(others.iter()) });
            }
            parts.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.members.cmp(&b.members)));
            cuts.push(Cut { component: self.names[node].clone(), parts });
        }
        cuts
    }
}

/// What was found outside some runs of the order.
struct Others<'a> {
    found: &'a [usize],
    /// In the order of their begins, apart from each other.
    runs: &'a [std::ops::Range<usize>],
    skip: usize,
}

impl Others<'_> {
    fn iter(&self) -> impl Iterator<Item = usize> {
        let mut at = 0;
        let mut run = 0;
        std::iter::from_fn(move || {
            loop {
                if self.runs.get(run).is_some_and(|next| next.start == at) {
                    at = self.runs[run].end;
                    run += 1;
                    continue;
                }
                let node = *self.found.get(at)?;
                at += 1;
                if node != self.skip {
                    return Some(node);
                }
            }
        })
    }
}

fn search(
    root: usize,
    neighbours: &[Vec<usize>],
    visits: &mut [Option<Visit>],
    order: &mut Vec<usize>,
) {
    let enter = |node: usize, parent: usize, order: &mut Vec<usize>| {
        let number = order.len();
        order.push(node);
        Some(Visit { parent, number, low: number, subtree: 1, hanging: Vec::new() })
    };
    visits[root] = enter(root, NOBODY, order);
    let mut stack = vec![(root, neighbours[root].iter())];
    while let Some((node, rest)) = stack.last_mut() {
        let node = *node;
        match rest.next() {
            Some(&next) => match &visits[next] {
                None => {
                    visits[next] = enter(next, node, order);
                    stack.push((next, neighbours[next].iter()));
                }
                Some(seen) => {
                    let number = seen.number;
                    let this = visits[node].as_mut().expect("it is on the stack");
                    if next != this.parent {
                        this.low = this.low.min(number);
                    }
                }
            },
            None => {
                stack.pop();
                let this = visits[node].as_ref().expect("it was on the stack");
                let (parent, low, subtree) = (this.parent, this.low, this.subtree);
                if let Some(above) = visits.get_mut(parent).and_then(Option::as_mut) {
                    above.low = above.low.min(low);
                    above.subtree += subtree;
                    if low >= above.number {
                        above.hanging.push(node);
                    }
                }
            }
        }
    }
}
