//! Cases dealt into parts, so that none is asked of a model that learned from it.

use std::collections::BTreeMap;

/// The part of each case, 0 to `k` - 1. Cases of one group are dealt evenly, in the order of
/// their names: the answer does not depend on the order of `cases`, which are (group, name).
pub fn folds(cases: &[(&str, &str)], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&index| cases[index]);
    let mut dealt: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts = vec![0; cases.len()];
    for (groups_before, index) in order.into_iter().enumerate() {
        // Each group begins where the last one ended, so that small groups fill all parts.
        let next = dealt.entry(cases[index].0).or_insert(groups_before);
        parts[index] = *next % k.max(1);
        *next += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_do_not_depend_on_order() {
        let cases = [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("c", "1")];
        let parts = folds(&cases, 3);
        for part in 0..3 {
            assert_eq!(parts.iter().filter(|p| **p == part).count(), 2, "{parts:?}");
        }
        let mut reversed = cases;
        reversed.reverse();
        let mut again = folds(&reversed, 3);
        again.reverse();
        assert_eq!(parts, again);
        assert_eq!(folds(&cases, 0), [0; 6], "one part when none is asked for");
    }
}
