//! The least of a smooth function: limited-memory BFGS (Liu, Nocedal, "On the limited memory BFGS
//! method for large scale optimization", Math. Program. 45, 1989) with a backtracking line search.

const REMEMBERED: usize = 12;
const MOST_STEPS: usize = 150;
const LONGEST_SEARCH: usize = 30;
/// Share of the promised decrease that a step has to bring.
const ENOUGH: f64 = 1e-4;
/// The function is at its least when a step lowers it by less than this share.
const FLAT: f64 = 1e-7;

/// Goes down from `at` until it is flat. `function` gives the value and writes the gradient. The
/// same input takes the same steps.
pub fn descend(mut at: Vec<f64>, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut gradient = vec![0.0; at.len()];
    let mut value = function(&at, &mut gradient);
    let mut memory: Vec<Pair> = Vec::new();
    for _ in 0..MOST_STEPS {
        let direction = direction(&gradient, &memory);
        let slope = dot(&gradient, &direction);
        if slope >= 0.0 || !slope.is_finite() {
            break;
        }
        let length = dot(&direction, &direction).sqrt();
        let mut step = if memory.is_empty() { 1.0 / length.max(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..LONGEST_SEARCH {
            let there: Vec<f64> = at.iter().zip(&direction).map(|(a, d)| a + step * d).collect();
            let mut gradient_there = vec![0.0; at.len()];
            let value_there = function(&there, &mut gradient_there);
            if value_there <= value + ENOUGH * step * slope {
                found = Some((there, gradient_there, value_there));
                break;
            }
            step /= 2.0;
        }
        let Some((there, gradient_there, value_there)) = found else { break };
        memory.extend(Pair::new(&at, &there, &gradient, &gradient_there));
        if memory.len() > REMEMBERED {
            memory.remove(0);
        }
        let lowered = value - value_there;
        (at, gradient, value) = (there, gradient_there, value_there);
        if lowered <= FLAT * value.abs().max(1.0) {
            break;
        }
    }
    at
}

struct Pair {
    moved: Vec<f64>,
    turned: Vec<f64>,
    curvature: f64,
}

impl Pair {
    // Nothing to remember where the function does not curve upwards.
    fn new(from: &[f64], to: &[f64], gradient: &[f64], gradient_to: &[f64]) -> Option<Self> {
        let moved: Vec<f64> = to.iter().zip(from).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = gradient_to.iter().zip(gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        (curvature > 1e-12).then_some(Self { moved, turned, curvature })
    }
}

fn direction(gradient: &[f64], memory: &[Pair]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let share = dot(&pair.moved, &q) / pair.curvature;
        add(&mut q, &pair.turned, -share);
        shares.push(share);
    }
    if let Some(last) = memory.last() {
        let scale = last.curvature / dot(&last.turned, &last.turned);
        q.iter_mut().for_each(|x| *x *= scale);
    }
    for (pair, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(&pair.turned, &q) / pair.curvature;
        add(&mut q, &pair.moved, share - back);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], what: &[f64], times: f64) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += times * what;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_curved_valley() {
        // Rosenbrock's function, least at (1, 1).
        let least = descend(vec![-1.2, 1.0], |at, gradient| {
            let (x, y) = (at[0], at[1]);
            gradient[0] = -2.0 * (1.0 - x) - 400.0 * x * (y - x * x);
            gradient[1] = 200.0 * (y - x * x);
            (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
        });
        assert!((least[0] - 1.0).abs() < 1e-2 && (least[1] - 1.0).abs() < 1e-2, "{least:?}");
    }

    #[test]
    fn stays_where_it_is_flat() {
        let at = descend(vec![3.0], |_, gradient| {
            gradient[0] = 0.0;
            1.0
        });
        assert_eq!(at, [3.0]);
    }
}
