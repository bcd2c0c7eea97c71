//! What was usual for a component or an edge in its last calm windows.

use std::collections::{BTreeMap, VecDeque};

use events::catalogue::incident::Signal;
use events::{ComponentName, EventId};
use jiff::Timestamp;

use super::Settings;
use super::assembly::Slot;
use super::judge::{Finding, Values};
use super::novelty::Vocabulary;
use super::rhythm::Rhythm;
use crate::baseline::Usual;

/// Most events of earlier windows that an anomaly cites.
const MOST_CITED: usize = 8;

/// A window with less than this share of the usual calls shows nothing of what is usual.
const GONE_QUIET: f64 = 0.2;

/// Windows for which it is remembered that something was unusual for a moment.
const BLIP_REMEMBERED: u64 = 500;
/// So many such moments are a habit.
const HABIT: usize = 3;

/// What is bad in itself is never usual, however long it lasts, unless a person says that it is over.
const BAD: [Signal; 3] = [Signal::Errors, Signal::Latency, Signal::Availability];

/// What has a past of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A component as all its callers and its process see it.
    Component(ComponentName),
    /// A component as one caller sees it.
    Edge {
        /// The caller.
        caller: ComponentName,
        /// The component.
        callee: ComponentName,
    },
    /// A component as its log tells of it.
    Logs(ComponentName),
}

impl Subject {
    /// Whose trouble it is told as.
    pub fn component(&self) -> &ComponentName {
        match self {
            Self::Component(component)
            | Self::Edge { callee: component, .. }
            | Self::Logs(component) => component,
        }
    }
}

/// Unusual windows in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Streak {
    /// Start of the first.
    pub since: Timestamp,
    /// How many.
    pub windows: usize,
    /// The events that show the first of them.
    pub events: Vec<EventId>,
}

/// The calm past of a subject. It stands still while something is unusual, so that a fault does
/// not become its own baseline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    values: VecDeque<Values>,
    streaks: BTreeMap<Signal, Streak>,
    unusual: VecDeque<Values>,
    /// Windows in a row whose unusual values may become usual.
    other: usize,
    /// A person ended the incident that these windows belong to.
    accepted: bool,
    vocabulary: Vocabulary,
    rhythm: Rhythm,
    /// How many windows there were.
    seen: u64,
    /// When a signal was unusual for less long than an anomaly has to last.
    blips: BTreeMap<Signal, VecDeque<u64>>,
}

impl History {
    /// How many calm windows are remembered.
    pub fn windows(&self) -> usize {
        self.values.len()
    }

    /// What is usual of one value.
    pub fn usual(&self, of: impl Fn(&Values) -> Option<f64>) -> Option<Usual> {
        Usual::of(self.values.iter().filter_map(of))
    }

    /// The most calls a second that are usual at this time: those of the last windows, or what
    /// the hour of the day or week brings.
    pub fn busiest(&self, at: Timestamp) -> Option<Usual> {
        let usual = self.usual(|v| v.calls_per_s)?;
        let most = self.rhythm.expected(at).map_or(0.0, |expected| f64::from(expected.high));
        Some(Usual { median: usual.median.max(most), ..usual })
    }

    /// The fewest calls a second that are usual at this time, likewise.
    pub fn quietest(&self, at: Timestamp) -> Option<Usual> {
        let usual = self.usual(|v| v.calls_per_s)?;
        let fewest = self.rhythm.expected(at).map_or(f64::MAX, |expected| expected.low.into());
        Some(Usual { median: usual.median.min(fewest), ..usual })
    }

    /// The sum of one value over the remembered windows.
    pub fn sum(&self, of: impl Fn(&Values) -> Option<f64>) -> f64 {
        self.values.iter().filter_map(of).sum()
    }

    /// The last values before the present window, unusual ones included, the newest first.
    pub fn latest<'h>(
        &'h self,
        of: impl Fn(&Values) -> Option<f64> + 'h,
    ) -> impl Iterator<Item = f64> + 'h {
        self.unusual.iter().rev().chain(self.values.iter().rev()).filter_map(of)
    }

    /// How many windows in a row the signal was unusual.
    pub fn in_a_row(&self, signal: Signal) -> usize {
        self.streaks.get(&signal).map_or(0, |streak| streak.windows)
    }

    /// The windows in a row that a finding is the last of.
    pub fn streak(&self, finding: &Finding) -> Option<&Streak> {
        self.streaks.get(&finding.part.signal)
    }

    /// What it is known to write into its log.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether the signal is now and then unusual for a moment, which is nothing to be alarmed
    /// by: then one window is not enough, however wild.
    pub fn is_fitful(&self, signal: Signal) -> bool {
        let recent = |at: &&u64| self.seen - **at <= BLIP_REMEMBERED;
        self.blips.get(&signal).is_some_and(|blips| blips.iter().filter(recent).count() >= HABIT)
    }

    // Whom nobody calls, because a caller is down, does not get used to it: when the calls come
    // back they are no surge.
    fn has_gone_quiet(&self, now: &Values, at: Timestamp) -> bool {
        let usual = self.quietest(at);
        usual.is_some_and(|usual| now.calls_per_s.unwrap_or(0.0) < usual.median * GONE_QUIET)
    }

    fn continue_streaks(&mut self, slot: &Slot, findings: &[&Finding], in_a_row: usize) {
        self.seen += 1;
        let goes_on = |signal: Signal| findings.iter().any(|f| f.part.signal == signal);
        for (signal, _) in self
            .streaks
            .extract_if(.., |signal, _| !goes_on(*signal))
            .filter(|(_, streak)| streak.windows < in_a_row)
        {
            let blips = self.blips.entry(signal).or_default();
            blips.push_back(self.seen);
            if blips.len() > HABIT {
                blips.pop_front();
            }
        }
        for finding in findings {
            let streak = self.streaks.entry(finding.part.signal).or_insert_with(|| Streak {
                since: slot.window.start,
                windows: 0,
                events: Vec::new(),
            });
            streak.windows += 1;
            if streak.events.len() < MOST_CITED {
                streak.events.push(finding.event);
            }
        }
    }

    /// Forgets what was usual lately, which a long silence makes worthless; not what hours and
    /// weekdays bring. Says whether anything is left.
    pub fn forget_lately(&mut self) -> bool {
        *self = Self { rhythm: std::mem::take(&mut self.rhythm), ..Self::default() };
        self.rhythm != Rhythm::default()
    }

    /// A person says that it is over. If it goes on all the same, it may become usual.
    pub fn accept(&mut self) {
        self.accepted = !self.unusual.is_empty();
    }

    fn remember(&mut self, values: Values, found: &[&Finding], calm: bool, settings: &Settings) {
        if calm {
            self.unusual.clear();
            (self.other, self.accepted) = (0, false);
            self.values.push_back(values);
        } else {
            let bad = found.iter().any(|it| it.triggers && BAD.contains(&it.part.signal));
            self.other = if bad && !self.accepted { 0 } else { self.other + 1 };
            self.unusual.push_back(values);
            if self.unusual.len() > settings.relearn_after {
                self.unusual.pop_front();
            }
            if self.other >= settings.relearn_after {
                self.values = std::mem::take(&mut self.unusual);
                (self.other, self.accepted) = (0, false);
                self.streaks.clear();
            }
        }
        while self.values.len() > settings.most_windows {
            self.values.pop_front();
        }
    }
}

/// Adds a window to the past of everything that it tells of, except of what `skip` names.
pub fn learn(
    histories: &mut BTreeMap<Subject, History>,
    slot: &Slot,
    findings: &[Finding],
    settings: &Settings,
    skip: impl Fn(&Subject) -> bool,
) {
    for (subject, values) in Values::of_slot(slot) {
        if skip(&subject) {
            continue;
        }
        let own: Vec<&Finding> = findings.iter().filter(|f| f.subject == subject).collect();
        let history = histories.entry(subject.clone()).or_default();
        let at = slot.window.start;
        let quiet = history.has_gone_quiet(&values, at);
        let calm = own.iter().all(|finding| !finding.triggers) && !quiet;
        history.continue_streaks(slot, &own, settings.in_a_row);
        if let Subject::Logs(component) = &subject
            && let Some((_, data)) = slot.logs.get(component)
        {
            history.vocabulary.learn(&data.patterns);
        }
        if let (Subject::Component(_), Some(rate)) = (&subject, values.calls_per_s) {
            history.rhythm.learn(at, rate);
        }
        history.remember(values, &own, calm, settings);
    }
}
