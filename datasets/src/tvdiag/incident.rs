//! The events of one case.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::evidence::Signal;
use diagnosis::evidence::alert::labels;
use events::catalogue::alert::AlertFired;
use events::catalogue::incident::Severity;
use events::catalogue::topology::{ComponentDiscovered, DependencyObserved};
use events::value::Line;
use events::{AlertId, ComponentName, Event, Timestamp};
use jiff::{SignedDuration, ToSpan};
use uuid::Uuid;

use super::NAME;
use super::files::Entries;
use crate::case::{Noticed, Recorder};

/// The caller of calls that come from outside.
const OUTSIDE: &str = "-1";
/// "Performance degradation".
const SLOW: &str = "PD";
const STEP: SignedDuration = SignedDuration::from_millis(100);
/// 2000-01-01: the files carry no times.
const EPOCH_S: i64 = 946_684_800;

/// The events of a case and where it was noticed: where the calls from outside come in, else at
/// what alarmed first. `None` when it names no component at all.
pub fn events(name: &str, index: &str, entries: &Entries) -> Option<(Vec<Event>, Noticed)> {
    let at = begin(index);
    let noticed = Noticed { component: noticed(entries)?, at, until: None };
    let mut recording =
        Recording { recorder: Recorder::new(NAME, name), name, at, known: BTreeSet::new() };
    recording.topology(entries);
    for (place, [instance, metric, direction]) in entries.metrics.iter().enumerate() {
        let later = STEP * i32::try_from(place).unwrap_or(i32::MAX);
        let fired = Fired { signal: Signal::Metric, of: instance, name: metric, later };
        recording.alert(fired, Some(direction), None);
    }
    for [instance, template] in &entries.logs {
        let number = template.strip_prefix(instance.as_str()).and_then(|t| t.strip_prefix('-'));
        let template = format!("template {}", number.unwrap_or(template));
        let fired = Fired { signal: Signal::Log, of: instance, name: &template, later: ZERO };
        recording.alert(fired, None, None);
    }
    for [caller, callee, operation, what] in &entries.calls {
        let fired = Fired { signal: Signal::Call, of: callee, name: operation, later: ZERO };
        let direction = if what == SLOW { "slow" } else { what };
        let caller = Some(caller.as_str()).filter(|it| *it != OUTSIDE);
        recording.alert(fired, Some(direction), caller);
    }
    Some((recording.recorder.finish(), noticed))
}

const ZERO: SignedDuration = SignedDuration::ZERO;

fn begin(index: &str) -> Timestamp {
    let epoch = Timestamp::from_second(EPOCH_S).expect("2000 is a year");
    let hours = index.parse::<u32>().unwrap_or(0).min(1_000_000);
    epoch.checked_add(i64::from(hours).hours()).expect("a million hours are 114 years")
}

fn noticed(entries: &Entries) -> Option<ComponentName> {
    let mut entrances: BTreeMap<&str, usize> = BTreeMap::new();
    for [caller, callee, ..] in &entries.calls {
        if caller == OUTSIDE {
            *entrances.entry(callee).or_default() += 1;
        }
    }
    let entrance =
        entrances.into_iter().max_by_key(|(name, calls)| (*calls, std::cmp::Reverse(*name)));
    let alarmed = entries.metrics.iter().map(|entry| &entry[0]);
    let logged = entries.logs.iter().map(|entry| &entry[0]);
    let called = entries.calls.iter().map(|entry| &entry[1]);
    let others = alarmed.chain(logged).chain(called).chain(&entries.nodes).map(String::as_str);
    let names = entrance.map(|(name, _)| name).into_iter().chain(others);
    names.filter_map(|name| ComponentName::new(name).ok()).next()
}

struct Recording<'n> {
    recorder: Recorder,
    name: &'n str,
    at: Timestamp,
    known: BTreeSet<String>,
}

struct Fired<'f> {
    signal: Signal,
    of: &'f str,
    name: &'f str,
    later: SignedDuration,
}

impl Recording<'_> {
    fn topology(&mut self, entries: &Entries) {
        for node in &entries.nodes {
            let Ok(component) = ComponentName::new(node.as_str()) else { continue };
            let discovered_by = Line::clipped(NAME);
            let data = ComponentDiscovered { component, discovered_by };
            self.recorder.record(&format!("component {node}"), self.at, data);
        }
        for [caller, callee] in entries.edges.iter().filter(|[caller, callee]| caller != callee) {
            let what = format!("call {caller} {callee}");
            let names = (ComponentName::new(caller.as_str()), ComponentName::new(callee.as_str()));
            let (Ok(caller), Ok(callee)) = names else { continue };
            if self.known.insert(what.clone()) {
                let data = DependencyObserved { caller, callee, protocol: None };
                self.recorder.record(&what, self.at, data);
            }
        }
    }

    // The same alert twice is the first of them.
    fn alert(&mut self, fired: Fired<'_>, direction: Option<&str>, caller: Option<&str>) {
        let Ok(component) = ComponentName::new(fired.of) else { return };
        let caller = caller.and_then(|it| ComponentName::new(it).ok());
        let from = caller.as_ref().map_or("", ComponentName::as_str);
        let Fired { signal, of, name, later } = fired;
        let what = format!("alert {signal:?} {from} {of} {name} {}", direction.unwrap_or_default());
        if !self.known.insert(what.clone()) {
            return;
        }
        let urn = format!("urn:faultline:data-set:{NAME}/{}/{what}", self.name);
        let alert = Uuid::new_v5(&Uuid::NAMESPACE_URL, urn.as_bytes()).to_string();
        let data = AlertFired {
            alert: AlertId::new(alert).expect("a UUID is short and printable"),
            name: Line::clipped(name),
            component: Some(component),
            severity: Severity::Warning,
            summary: None,
            labels: labels(signal, direction, caller.as_ref()),
        };
        self.recorder.record(&what, self.at + later, data);
    }
}
