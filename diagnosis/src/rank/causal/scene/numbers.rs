//! Things as numbers, found again where they came last time.

use std::collections::HashMap;

use events::ComponentName;

/// What came behind what. Windows repeat the same things in the same order, so that most are found
/// by a glance at what is likely to be next.
#[derive(Default)]
pub struct Round {
    last: usize,
    behind: Vec<usize>,
}

impl Round {
    /// The number that is likely to come next.
    pub fn next(&self) -> usize {
        self.behind.get(self.last).copied().unwrap_or(0)
    }

    /// Goes on to the number that came.
    pub fn go_to(&mut self, number: usize) {
        if self.next() != number {
            self.behind.resize(self.behind.len().max(self.last + 1), 0);
            self.behind[self.last] = number;
        }
        self.last = number;
    }
}

/// Numbers components as they come.
#[derive(Default)]
pub struct Numbers<'e> {
    names: Vec<&'e ComponentName>,
    by_name: HashMap<&'e ComponentName, usize>,
}

impl<'e> Numbers<'e> {
    /// The number of a component, the next free one when its name is new.
    pub fn of(&mut self, name: &'e ComponentName, round: &mut Round) -> usize {
        let mut number = round.next();
        if !self.is(number, name) {
            number = *self.by_name.entry(name).or_insert(self.names.len());
            if number == self.names.len() {
                self.names.push(name);
            }
        }
        round.go_to(number);
        number
    }

    /// Whether this is the number of a component.
    pub fn is(&self, number: usize, name: &ComponentName) -> bool {
        self.names.get(number).is_some_and(|known| *known == name)
    }

    /// The names, by number.
    pub fn names(&self) -> &[&'e ComponentName] {
        &self.names
    }

    /// The numbers, in the order of their names.
    pub fn by_name(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.names.len()).collect();
        numbers.sort_unstable_by_key(|number| self.names[*number]);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_keep_their_numbers_whoever_is_missing_or_out_of_turn() {
        let name = |name: &str| ComponentName::new(name).unwrap();
        let (a, b, c, d) = (name("a"), name("b"), name("c"), name("d"));
        let (mut numbers, mut round) = (Numbers::default(), Round::default());
        let came = [&c, &a, &d, &c, &d, &c, &c, &a, &b, &d, &c, &a, &b, &d];
        let found = came.map(|name| numbers.of(name, &mut round));
        assert_eq!(found, [0, 1, 2, 0, 2, 0, 0, 1, 3, 2, 0, 1, 3, 2]);
        assert_eq!(numbers.names(), [&c, &a, &d, &b]);
        assert_eq!(numbers.by_name(), [1, 3, 0, 2]);
    }
}
