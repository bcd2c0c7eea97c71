//! Templates of log lines, mined online: the Drain algorithm (He et al., "Drain: An Online Log
//! Parsing Approach with Fixed Depth Tree", ICWS 2017) over shapes instead of lines.
//!
//! Lines of as many words that begin alike are compared with the templates that began so; the
//! most similar one takes the line up and has a wildcard where they differ. The tree is two
//! levels deep, and has a bounded number of branches and templates; the longest silent template
//! makes room.

use std::collections::BTreeMap;

use crate::aggregate::window::Number;

/// The share of words that a line and its template have in common.
const SIMILAR: f64 = 0.6;
/// First words that are told apart, a number of words.
const MOST_BRANCHES: usize = 100;
/// Windows with lines after which what is new is worth telling.
const LEARNING: u64 = 6;
/// Windows without a line of a template after which it has vanished.
const VANISHED_AFTER: i64 = 6;
/// Windows in which a template was there before that is worth telling.
const REGULAR: u32 = 3;
/// What stands for anything.
const ANY: &str = "<*>";

#[derive(Debug)]
struct Template {
    words: Vec<Box<str>>,
    branch: (usize, Box<str>),
    last: Number,
    /// Windows in which it was there.
    windows: u32,
    told_gone: bool,
}

/// The templates of one component.
#[derive(Debug, Default)]
pub struct Miner {
    templates: BTreeMap<u64, Template>,
    /// By number of words and first word.
    branches: BTreeMap<(usize, Box<str>), Vec<u64>>,
    next: u64,
    now: Number,
    /// Windows with lines so far.
    windows: u64,
    new: u64,
}

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mined {
    Template(u64),
    NoRoom,
}

/// What changed with a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub new: u64,
    pub vanished: u64,
}

impl Miner {
    /// A window begins. Windows have to come in their order.
    pub fn begin(&mut self, number: Number) {
        (self.now, self.new) = (number, 0);
        self.windows += 1;
    }

    /// Takes up a shape.
    pub fn add(&mut self, shape: &str, most: usize) -> Mined {
        let words: Vec<&str> = shape.split(' ').collect();
        let branch = self.branch(&words);
        if let Some(id) = self.most_similar(&branch, &words)
            && let Some(template) = self.templates.get_mut(&id)
        {
            for (known, word) in template.words.iter_mut().zip(&words) {
                if **known != **word && **known != *ANY {
                    *known = ANY.into();
                }
            }
            if template.last != self.now {
                template.windows = template.windows.saturating_add(1);
            }
            (template.last, template.told_gone) = (self.now, false);
            return Mined::Template(id);
        }
        if self.templates.len() >= most && !self.make_room() {
            return Mined::NoRoom;
        }
        let id = self.next;
        self.next += 1;
        self.new += 1;
        self.branches.entry(branch.clone()).or_default().push(id);
        let words = words.into_iter().map(Box::from).collect();
        let template = Template { words, branch, last: self.now, windows: 1, told_gone: false };
        self.templates.insert(id, template);
        Mined::Template(id)
    }

    /// The text of a template.
    pub fn text(&self, id: u64) -> String {
        self.templates.get(&id).map_or_else(|| ANY.to_owned(), |template| template.words.join(" "))
    }

    /// The window ends: what is new in it, and what is no longer there.
    pub fn end(&mut self) -> News {
        let mut vanished = 0;
        for template in self.templates.values_mut() {
            let gone = self.now - template.last >= VANISHED_AFTER;
            if gone && template.windows >= REGULAR && !template.told_gone {
                template.told_gone = true;
                vanished += 1;
            }
        }
        News { new: if self.windows > LEARNING { self.new } else { 0 }, vanished }
    }

    fn branch(&self, words: &[&str]) -> (usize, Box<str>) {
        let first = words.first().copied().unwrap_or_default();
        let own = (words.len(), Box::from(first));
        if self.branches.contains_key(&own) {
            return own;
        }
        let of_length = (words.len(), Box::from(""))..(words.len() + 1, Box::from(""));
        if self.branches.range(of_length).count() < MOST_BRANCHES {
            own
        } else {
            (words.len(), ANY.into())
        }
    }

    /// Of equally similar templates the one with fewer wildcards, and then the older one.
    fn most_similar(&self, branch: &(usize, Box<str>), words: &[&str]) -> Option<u64> {
        let mut best: Option<(usize, usize, u64)> = None;
        for id in self.branches.get(branch)? {
            let template = self.templates.get(id)?;
            let (mut same, mut any) = (0, 0);
            for (known, word) in template.words.iter().zip(words) {
                same += usize::from(**known == **word);
                any += usize::from(**known == *ANY && **word != *ANY);
            }
            // A wildcard is neither alike nor unlike.
            let compared = words.len().saturating_sub(any).max(1);
            let similar = same as f64 >= SIMILAR * compared as f64 && same + any > 0;
            let better = best.is_none_or(|(most, fewest, _)| (same, fewest) > (most, any));
            if similar && better {
                best = Some((same, any, *id));
            }
        }
        best.map(|(_, _, id)| id)
    }

    /// Forgets the template that is silent for longest; `false` if all of them are in use.
    fn make_room(&mut self) -> bool {
        let oldest = self.templates.iter().min_by_key(|(id, template)| (template.last, **id));
        let Some((id, last)) = oldest.map(|(id, template)| (*id, template.last)) else {
            return false;
        };
        if last >= self.now {
            return false;
        }
        if let Some(template) = self.templates.remove(&id)
            && let Some(branch) = self.branches.get_mut(&template.branch)
        {
            branch.retain(|known| *known != id);
            if branch.is_empty() {
                self.branches.remove(&template.branch);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_a_word_are_one_template_and_others_are_not() {
        let mut miner = Miner::default();
        miner.begin(0);
        let lines = ["user ada logged in from <*>", "user bob logged in from <*>"];
        let ids = lines.map(|line| miner.add(line, 10));
        assert_eq!(ids[0], ids[1]);
        let Mined::Template(id) = ids[0] else { panic!("there is room") };
        assert_eq!(miner.text(id), "user <*> logged in from <*>");
        assert_eq!(miner.add("user cyd logged in from <*>", 10), ids[0]);
        assert_ne!(miner.add("cache is full", 10), ids[0]);
        assert_ne!(miner.add("user ada was removed by root", 10), ids[0], "another length");
    }

    #[test]
    fn news_are_what_was_not_there_and_what_no_longer_is() {
        let mut miner = Miner::default();
        for window in 0..10 {
            miner.begin(window);
            miner.add("all is well", 10);
            let news = miner.end();
            assert_eq!(news, News::default());
        }
        miner.begin(10);
        miner.add("disk is failing", 10);
        assert_eq!(miner.end(), News { new: 1, vanished: 0 });
        for window in 11..20 {
            miner.begin(window);
            miner.add("disk is failing", 10);
            let vanished = u64::from(window == 15);
            assert_eq!(miner.end(), News { new: 0, vanished });
        }
    }

    #[test]
    fn templates_and_branches_are_bounded_and_the_silent_make_room() {
        let word = |number: u32| {
            format!("{:?}", number).replace(|it: char| it.is_ascii_digit(), "x")
                + &"y".repeat(number as usize)
        };
        let mut miner = Miner::default();
        miner.begin(0);
        for number in 0..300 {
            miner.add(&format!("{} b c d", word(number)), 250);
        }
        assert!(miner.templates.len() <= 250);
        assert!(miner.branches.len() <= MOST_BRANCHES + 1);
        let mut miner = Miner::default();
        miner.begin(0);
        assert_ne!(miner.add("a b", 1), Mined::NoRoom);
        assert_eq!(miner.add("c d e", 1), Mined::NoRoom);
        miner.begin(1);
        assert_ne!(miner.add("c d e", 1), Mined::NoRoom);
        assert_eq!(miner.templates.len(), 1);
    }
}
