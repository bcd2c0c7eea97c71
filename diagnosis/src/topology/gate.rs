//! Single points of failure: what every path from an entrance to others passes.
//!
//! In the words of flow graphs, the dominators. K. Cooper, T. Harvey and K. Kennedy, "A Simple,
//! Fast Dominance Algorithm", Rice University TR-06-33870, 2006: in reverse postorder each node
//! takes the nearest common dominator of its callers until nothing changes.

use events::ComponentName;

use super::CallGraph;

/// A component that requests cannot get round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Which.
    pub component: ComponentName,
    /// How many others are only reached through it.
    pub behind: usize,
    /// Those others by name, at most [`NAMED`](super::NAMED), the nearest to it.
    pub members: Vec<ComponentName>,
}

const UNKNOWN: usize = usize::MAX;

impl CallGraph {
    /// The components through which every path from `entrances` to at least one other component
    /// leads: those with the most behind them first, then by name.
    pub fn gates(&self, entrances: &[ComponentName]) -> Vec<Gate> {
        let entrances: Vec<_> = entrances.iter().filter_map(|name| self.index_of(name)).collect();
        let order = self.reverse_postorder(&entrances);
        let above = self.dominators(&order, &entrances);
        // Children come after their dominator in the order, so counts are summed from its end.
        let mut behind = vec![0; self.names.len()];
        let mut children = vec![Vec::new(); self.names.len()];
        for &node in order.iter().rev() {
            if let Some(above) = above[node] {
                behind[above] += behind[node] + 1;
                children[above].push(node);
            }
        }
        let mut gates: Vec<_> = order
            .iter()
            .filter(|&&node| behind[node] > 0)
            .map(|&node| Gate {
                component: self.names[node].clone(),
                behind: behind[node],
                members: self.named(nearest(node, &children)),
            })
            .collect();
        gates.sort_by(|a, b| b.behind.cmp(&a.behind).then_with(|| a.component.cmp(&b.component)));
        gates
    }

    /// What `entrances` reach, each before what it calls unless a cycle leads back.
    fn reverse_postorder(&self, entrances: &[usize]) -> Vec<usize> {
        let mut seen = vec![false; self.names.len()];
        let mut order = Vec::new();
        for &entrance in entrances {
            if seen[entrance] {
                continue;
            }
            seen[entrance] = true;
            let mut stack = vec![(entrance, self.callees[entrance].iter())];
            while let Some((node, rest)) = stack.last_mut() {
                match rest.next() {
                    Some(&next) if !seen[next] => {
                        seen[next] = true;
                        stack.push((next, self.callees[next].iter()));
                    }
                    Some(_) => {}
                    None => {
                        order.push(*node);
                        stack.pop();
                    }
                }
            }
        }
        order.reverse();
        order
    }

    /// The nearest dominator of each node, below a root that calls all entrances; `None` where
    /// it is that root.
    fn dominators(&self, order: &[usize], entrances: &[usize]) -> Vec<Option<usize>> {
        // Places in the order count from 1; the root is 0.
        let mut place = vec![UNKNOWN; self.names.len()];
        for (at, &node) in order.iter().enumerate() {
            place[node] = at + 1;
        }
        let mut dominator = vec![UNKNOWN; order.len() + 1];
        dominator[0] = 0;
        for &entrance in entrances {
            dominator[place[entrance]] = 0;
        }
        let is_entrance: Vec<bool> = dominator.iter().map(|&above| above == 0).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (at, &node) in order.iter().enumerate() {
                if is_entrance[at + 1] {
                    continue;
                }
                let known = self.callers[node]
                    .iter()
                    .map(|&caller| place[caller])
                    .filter(|&caller| caller != UNKNOWN && dominator[caller] != UNKNOWN);
                let common = known.reduce(|a, b| meet(a, b, &dominator)).unwrap_or(UNKNOWN);
                if dominator[at + 1] != common {
                    dominator[at + 1] = common;
                    changed = true;
                }
            }
        }
        let mut above = vec![None; self.names.len()];
        for (at, &node) in order.iter().enumerate() {
            above[node] = dominator[at + 1].checked_sub(1).map(|place| order[place]);
        }
        above
    }
}

/// The nearest node that dominates both.
fn meet(mut a: usize, mut b: usize, dominator: &[usize]) -> usize {
    while a != b {
        while a > b {
            a = dominator[a];
        }
        while b > a {
            b = dominator[b];
        }
    }
    a
}

/// Everything below `node` in the tree, level by level.
fn nearest(node: usize, children: &[Vec<usize>]) -> impl Iterator<Item = usize> {
    let mut queue = std::collections::VecDeque::from([node]);
    let mut level = Vec::new().into_iter();
    std::iter::from_fn(move || {
        loop {
            if let Some(next) = level.next() {
                queue.push_back(next);
                return Some(next);
            }
            let mut below = children[queue.pop_front()?].clone();
            below.sort_unstable();
            level = below.into_iter();
        }
    })
}
