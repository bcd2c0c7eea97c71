//! Log templates that a component was not known to write.

use std::collections::BTreeMap;

use events::catalogue::telemetry::{LogPattern, LogSeverity};
use uuid::Uuid;

/// Most templates that are remembered of a component; those that were not seen for longest are
/// forgotten.
const MOST_KNOWN: usize = 2_000;
/// Windows in which a template that came late is new.
const FRESH: u64 = 30;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    first: u64,
    last: u64,
}

/// What a component is known to write. Templates are kept by a hash of their text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    windows: u64,
    known: BTreeMap<Uuid, Seen>,
}

/// Lines of new templates in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NewLines {
    /// Warnings, errors and worse.
    pub complaints: u64,
    /// Errors and worse.
    pub errors: u64,
}

impl Vocabulary {
    /// The lines of templates that it did not write while it was learned, the first so many
    /// windows, nor since, but for the last [`FRESH`] windows.
    pub fn new_lines(&self, patterns: &[LogPattern], learned_in: usize) -> NewLines {
        let mut lines = NewLines::default();
        for pattern in patterns.iter().filter(|it| it.severity >= LogSeverity::Warning) {
            let is_new = self.known.get(&key(pattern)).is_none_or(|seen| {
                seen.first >= learned_in as u64 && self.windows - seen.first < FRESH
            });
            if is_new {
                lines.complaints += pattern.count;
                lines.errors +=
                    if pattern.severity >= LogSeverity::Error { pattern.count } else { 0 };
            }
        }
        lines
    }

    /// Adds a window.
    pub fn learn(&mut self, patterns: &[LogPattern]) {
        let now = self.windows;
        for pattern in patterns.iter().filter(|it| it.severity >= LogSeverity::Warning) {
            self.known.entry(key(pattern)).or_insert(Seen { first: now, last: now }).last = now;
        }
        self.windows += 1;
        if self.known.len() > MOST_KNOWN {
            let mut latest: Vec<u64> = self.known.values().map(|seen| seen.last).collect();
            latest.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = latest[MOST_KNOWN - 1];
            self.known.retain(|_, seen| seen.last > oldest);
        }
    }
}

fn key(pattern: &LogPattern) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, pattern.template.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use events::value::Line;

    use super::*;

    fn pattern(template: &str, severity: LogSeverity) -> LogPattern {
        let template = Line::clipped(template);
        LogPattern { template, severity, count: 5, exemplar_trace_ids: Vec::new() }
    }

    #[test]
    fn what_was_written_while_it_was_learned_is_not_new() {
        let usual = pattern("slow query <*>", LogSeverity::Warning);
        let strange = pattern("NullPointerException", LogSeverity::Error);
        let mut vocabulary = Vocabulary::default();
        (0..6).for_each(|_| vocabulary.learn(std::slice::from_ref(&usual)));
        let both = [usual, strange, pattern("hello", LogSeverity::Info)];
        let new = |vocabulary: &Vocabulary| vocabulary.new_lines(&both, 6);
        assert_eq!(new(&vocabulary), NewLines { complaints: 5, errors: 5 });
        (0..FRESH - 1).for_each(|_| vocabulary.learn(&both));
        assert_eq!(new(&vocabulary).errors, 5, "it stays new for a while");
        vocabulary.learn(&both);
        assert_eq!(new(&vocabulary), NewLines::default(), "and is usual then");
    }

    #[test]
    fn what_is_new_in_every_window_does_not_pile_up() {
        let mut vocabulary = Vocabulary::default();
        for window in 0..20 {
            let word = |n: i32| pattern(&format!("{window} {n}"), LogSeverity::Error);
            vocabulary.learn(&(0..500).map(word).collect::<Vec<_>>());
        }
        assert!(vocabulary.known.len() <= MOST_KNOWN);
    }
}
