//! What an incident says of itself in words: what it is called, what each component showed, which
//! log lines came up or stayed away, what was changed.
//!
//! Search, similarity and whatever else reads text read the same words, made of evidence alone. A
//! line names its component first, so that it also stands for itself.

use std::collections::{BTreeMap, BTreeSet};

use events::ComponentName;
use events::catalogue::telemetry::LogSeverity;

use crate::codebook::{Part, Scene};
use crate::evidence::{Change, Evidence};

/// Most lines of an incident; further ones are left out.
pub const MOST_LINES: usize = 1_000;
/// So many standard deviations of a count are chance, of rare lines this many more.
const CHANCE: f64 = 3.0;
const CHANCE_LINES: f64 = 2.0;

/// The lines of an incident: its title, then signs, logs and changes by component; each once.
pub fn lines(title: Option<&str>, evidence: &Evidence) -> Vec<String> {
    let title = title.map(str::to_owned).into_iter();
    let told = title.chain(signs(evidence)).chain(logs(evidence)).chain(changes(evidence));
    let mut known = BTreeSet::new();
    told.filter(|line| known.insert(line.clone())).take(MOST_LINES).collect()
}

fn signs(evidence: &Evidence) -> Vec<String> {
    let scene = Scene::of(evidence);
    let of_part = |part: &Part| -> Vec<String> {
        part.signs.keys().map(|sign| format!("{} {sign}", part.name)).collect()
    };
    scene.parts.iter().flat_map(of_part).collect()
}

fn changes(evidence: &Evidence) -> Vec<String> {
    let told = evidence.changes().iter().map(|change| match &change.change {
        Change::Deployment { version, .. } => format!("{} deployed {version}", change.component),
        Change::Configuration { description } => {
            format!("{} configured: {description}", change.component)
        }
    });
    told.collect()
}

/// How often a template was written before an incident and in it.
#[derive(Default)]
struct Counted {
    before: f64,
    after: f64,
    is_complaint: bool,
}

/// The templates that a component wrote more or less often than before, beyond chance.
fn logs(evidence: &Evidence) -> Vec<String> {
    let mut windows: BTreeMap<&ComponentName, (f64, f64)> = BTreeMap::new();
    let mut templates: BTreeMap<(&ComponentName, &str), Counted> = BTreeMap::new();
    for log in evidence.logs() {
        let is_after = log.window.start >= evidence.noticed_at();
        let seconds = log.window.duration_ms as f64 / 1_000.0;
        let (before, after) = windows.entry(&log.component).or_default();
        *if is_after { after } else { before } += seconds;
        for pattern in &log.patterns {
            let counted = templates.entry((&log.component, pattern.template.as_str())).or_default();
            *if is_after { &mut counted.after } else { &mut counted.before } +=
                pattern.count as f64;
            counted.is_complaint |= pattern.severity >= LogSeverity::Warning;
        }
    }
    let told = templates.into_iter().filter_map(|((component, template), counted)| {
        let (before, after) = windows.get(component).copied().unwrap_or_default();
        if before <= 0.0 {
            let is_new = counted.is_complaint && counted.after > 0.0;
            return is_new.then(|| format!("{component} {template}"));
        }
        let expected = counted.before * after / before;
        let chance = CHANCE * expected.sqrt() + CHANCE_LINES;
        match counted.after - expected {
            more if more > chance => Some(format!("{component} {template}")),
            less if -less > chance => Some(format!("{component} no longer {template}")),
            // A complaint that never came before needs no second.
            _ if counted.is_complaint && counted.before <= 0.0 && counted.after > 0.0 => {
                Some(format!("{component} {template}"))
            }
            _ => None,
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use events::catalogue::telemetry::{LogPattern, Window};
    use events::value::Line;
    use events::{EventId, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::evidence::{AlertEvidence, ChangeEvidence, Gathered, LogEvidence, Signal};

    fn name(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).unwrap()
    }

    /// Of a minute of `cart` that begins at `second`: how often each line was written.
    fn logs(second: i64, counts: &[(&str, LogSeverity, u64)]) -> LogEvidence {
        let pattern = |(template, severity, count): &(&str, LogSeverity, u64)| LogPattern {
            template: Line::clipped(template),
            severity: *severity,
            count: *count,
            exemplar_trace_ids: Vec::new(),
        };
        LogEvidence {
            event: EventId(Uuid::from_u128(second.unsigned_abs().into())),
            component: name("cart"),
            window: Window { start: at(second), duration_ms: 60_000 },
            patterns: counts.iter().map(pattern).collect(),
        }
    }

    fn evidence(logs: Vec<LogEvidence>) -> Evidence {
        let alert = AlertEvidence {
            event: EventId(Uuid::from_u128(7)),
            component: name("stock"),
            caller: None,
            at: at(0),
            signal: Signal::Metric,
            name: Line::clipped("cpu"),
            direction: Some(Line::clipped("up")),
        };
        let description = Line::clipped("pool of 10");
        let change = ChangeEvidence {
            event: EventId(Uuid::from_u128(8)),
            component: name("cart"),
            at: at(-60),
            change: Change::Configuration { description },
        };
        Evidence::new(Gathered {
            noticed: name("cart"),
            noticed_at: at(0),
            calls: Vec::new(),
            snapshots: Vec::new(),
            edges: Vec::new(),
            logs,
            changes: vec![change],
            alerts: vec![alert],
        })
    }

    #[test]
    fn what_alarmed_what_was_changed_and_what_was_logged_otherwise_is_told() {
        use LogSeverity::{Error, Info};
        let before = logs(-60, &[("got <*>", Info, 100), ("sent <*>", Info, 50)]);
        let after = logs(0, &[("got <*>", Info, 104), ("pool exhausted", Error, 1)]);
        let told = lines(Some("cart is slow"), &evidence(vec![before, after]));
        let expected = [
            "cart is slow",
            "stock metric cpu up",
            "cart pool exhausted",
            "cart no longer sent <*>",
            "cart configured: pool of 10",
        ];
        assert_eq!(told, expected, "4 more in 100 are chance, one error is not");
    }

    #[test]
    fn without_a_before_only_complaints_are_told() {
        use LogSeverity::{Info, Warning};
        let after = logs(0, &[("got <*>", Info, 104), ("retrying", Warning, 3)]);
        let told = lines(None, &evidence(vec![after]));
        assert!(told.contains(&"cart retrying".to_owned()), "{told:?}");
        assert!(!told.iter().any(|line| line.contains("got")), "{told:?}");
    }
}
