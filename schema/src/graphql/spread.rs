//! How large a query is once its fragments are spread out.
//!
//! Validation walks a fragment as often as it is spread, and a few that spread each other several
//! times stand for more fields than anyone can walk. So the size is told first, in time that is
//! linear in the text: what a fragment spreads out to is counted once.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// Why a query is not even validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversized {
    /// Spread out it has more selections than are taken.
    Wide,
    /// Its fragments spread each other through more levels than are taken.
    Deep,
}

/// Checks that `document` spreads out to at most `most` selections, through at most `depth`
/// fragments within each other. Of a cycle, which validation refuses, one round is counted.
pub fn check(document: &ExecutableDocument, most: usize, depth: usize) -> Result<(), Oversized> {
    let mut sizes = Sizes { document, known: HashMap::new(), depth };
    let mut total: usize = 0;
    for (_, operation) in document.operations.iter() {
        total = total.saturating_add(sizes.of(&operation.node.selection_set.node, 0)?);
    }
    for name in document.fragments.keys() {
        sizes.of_fragment(name, 0)?;
    }
    if total > most { Err(Oversized::Wide) } else { Ok(()) }
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// Of fragments; 0 while one is being counted.
    known: HashMap<&'a Name, usize>,
    depth: usize,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet, level: usize) -> Result<usize, Oversized> {
        let mut size: usize = 0;
        for selection in &set.items {
            let below = match &selection.node {
                Selection::Field(field) => self.of(&field.node.selection_set.node, level)?,
                Selection::InlineFragment(inline) => {
                    self.of(&inline.node.selection_set.node, level)?
                }
                Selection::FragmentSpread(spread) => {
                    self.of_fragment(&spread.node.fragment_name.node, level + 1)?
                }
            };
            size = size.saturating_add(1).saturating_add(below);
        }
        Ok(size)
    }

    fn of_fragment(&mut self, name: &Name, level: usize) -> Result<usize, Oversized> {
        if level > self.depth {
            return Err(Oversized::Deep);
        }
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(0);
        };
        if let Some(size) = self.known.get(name) {
            return Ok(*size);
        }
        self.known.insert(name, 0);
        let size = self.of(&fragment.node.selection_set.node, level)?;
        self.known.insert(name, size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(query: &str) -> Result<(), Oversized> {
        check(&parse_query(query).unwrap(), 1_000, 20)
    }

    /// Each of `levels` fragments spreads the next one `times` times.
    fn chain(levels: usize, times: usize) -> String {
        let mut query = String::from("{...A0}");
        for level in 0..levels {
            let spreads = format!("...A{} ", level + 1).repeat(times);
            query.push_str(&format!(" fragment A{level} on Query {{{spreads}}}"));
        }
        query + &format!(" fragment A{levels} on Query {{head}}")
    }

    #[test]
    fn fragments_that_multiply_are_refused_however_short_the_text() {
        assert_eq!(checked(&chain(3, 4)), Ok(()));
        assert_eq!(checked(&chain(18, 4)), Err(Oversized::Wide));
    }

    #[test]
    fn fragments_within_each_other_are_bounded_even_when_nothing_uses_them() {
        assert_eq!(checked(&chain(19, 1)), Ok(()));
        assert_eq!(checked(&chain(400, 1)), Err(Oversized::Deep));
        let unused = chain(400, 1).replace("{...A0}", "{head}");
        assert_eq!(checked(&unused), Err(Oversized::Deep));
    }

    #[test]
    fn a_cycle_ends() {
        assert_eq!(checked("{...A} fragment A on Query {head ...A}"), Ok(()));
    }
}
