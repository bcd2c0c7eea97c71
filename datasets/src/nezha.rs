//! Nezha: traces, logs and metrics of two systems around injected faults.
//!
//! Yu, Chen, Li, Chen, Li, Zheng: "Nezha: Interpretable Fine-Grained Root Causes Analysis for
//! Microservices on Multi-modal Observability Data", ESEC/FSE 2023, MIT.
//!
//! ```text
//! rca_data/<day>/<day>-fault_list.json     when something was injected, and the truth
//! rca_data/<day>/trace|log/*.csv[.gz]      minutes around the faults
//! rca_data/<day>/metric/*_metric.csv[.gz]  one per pod, a row each minute
//! construct_data/<day>/…                   the same, without faults
//! ```
//!
//! Nothing alarms in this data set: a case is noticed when its fault was injected, where users
//! come in. What was recorded before a fault belongs to the day, which all its cases share.

mod clock;
mod faults;
mod logs;
mod metrics;
mod pods;
mod spans;

use std::collections::BTreeMap;
use std::path::Path;

use events::catalogue::topology::DependencyObserved;
use events::{ComponentName, Timestamp};

use crate::case::{Case, DataSet, Noticed, Period, Recorder, Skipped};
use crate::table::{self, ReadError};
use clock::Clock;
use faults::Fault;

const NAME: &str = "nezha";
const FAULTY: &str = "rca_data";
const NORMAL: &str = "construct_data";

/// Reads every day below `path`.
pub fn read(path: &Path) -> Result<DataSet, ReadError> {
    let mut data_set = DataSet { name: NAME, ..DataSet::default() };
    for day in table::folders(&path.join(FAULTY))? {
        read_day(&mut data_set, path, &day)?;
    }
    if data_set.cases.is_empty() && data_set.skipped.is_empty() {
        let expected = "faults of Nezha (rca_data/DAY/DAY-fault_list.json)";
        return Err(ReadError::NotFound { path: path.to_owned(), expected });
    }
    Ok(data_set)
}

fn read_day(data_set: &mut DataSet, path: &Path, day: &str) -> Result<(), ReadError> {
    let list = path.join(FAULTY).join(day).join(format!("{day}-fault_list.json"));
    let Some(text) = table::text(&list)? else {
        let reason = "no fault list: nothing says when to look".to_owned();
        data_set.skipped.push(Skipped { path: list, reason });
        return Ok(());
    };
    let faults = match faults::parse(&text) {
        Ok(faults) => faults,
        Err(reason) => {
            data_set.skipped.push(Skipped { path: list, reason });
            return Ok(());
        }
    };
    let mut recorded = Recorded::of(day, &faults);
    let folders = [path.join(NORMAL).join(day), path.join(FAULTY).join(day)];
    let dependencies = metrics::read(&folders, &mut recorded)?;
    let entrance = spans::read(&folders, &mut recorded)?;
    logs::read(&folders, &mut recorded)?;
    let entrance = entrance.or_else(|| metrics::outermost(&dependencies));
    let entrance = entrance.or_else(|| recorded.components.keys().next().cloned());
    let Some(entrance) = entrance else {
        let reason = "nothing was recorded on that day".to_owned();
        data_set.skipped.push(Skipped { path: path.join(FAULTY).join(day), reason });
        return Ok(());
    };
    for (caller, callee) in dependencies {
        let what = format!("call {caller} {callee}");
        let start = recorded.start;
        recorded.day.record(&what, start, DependencyObserved { caller, callee, protocol: None });
    }
    let group = pods::system(recorded.components.keys());
    let events = recorded.day.finish();
    data_set.periods.push(Period { name: day.to_owned(), events });
    for (fault, recorder) in faults.into_iter().zip(recorded.cases) {
        data_set.cases.push(Case {
            name: fault.case(day),
            group: group.to_owned(),
            periods: vec![day.to_owned()],
            events: recorder.finish(),
            noticed: Noticed {
                component: entrance.clone(),
                at: fault.at,
                until: Some(fault.at + clock::FAULT_LASTS),
            },
            title: None,
            truth: fault.truth,
        });
    }
    Ok(())
}

/// What is recorded of a day, and during each of its faults.
struct Recorded {
    clock: Clock,
    start: Timestamp,
    day: Recorder,
    cases: Vec<Recorder>,
    // Components that have metrics, spans or logs, with how many of their events there are.
    components: BTreeMap<ComponentName, usize>,
}

impl Recorded {
    fn of(day: &str, faults: &[Fault]) -> Self {
        let clock = Clock::new(faults.iter().map(|fault| fault.at));
        let start = format!("{day}T00:00:00Z").parse().unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            start,
            day: Recorder::new(NAME, day),
            cases: faults.iter().map(|f| Recorder::new(NAME, &f.case(day))).collect(),
            components: BTreeMap::new(),
            clock,
        }
    }

    // Where something belongs that began at `start`: to a fault, or to the day.
    fn at(&mut self, start: Timestamp) -> &mut Recorder {
        match self.clock.fault_at(start) {
            Some(fault) => &mut self.cases[fault],
            None => &mut self.day,
        }
    }
}
