//! The incident that a case is: the events that open it, end it, and say what it was.

use events::catalogue::incident::{IncidentOpened, IncidentResolved, Severity};
use events::catalogue::label::{Claim, LabelAssigned};
use events::value::{Line, Ratio};
use events::{Event, IncidentId, LabelId};

use crate::case::{Case, Recorder, Truth};

impl Case {
    /// The incident's id: data set and case. A name that is too long for one is told by its UUID.
    pub fn incident(&self, data_set: &str) -> IncidentId {
        IncidentId::new(format!("{data_set}/{}", self.name)).unwrap_or_else(|_| {
            let id = Recorder::new(data_set, &self.name).root();
            IncidentId::new(format!("{data_set}/{id}")).expect("both are short")
        })
    }

    /// That it was noticed, and that it was over where that is known.
    pub fn opening(&self, data_set: &str) -> Vec<Event> {
        let incident = self.incident(data_set);
        let mut recorder = Recorder::new(data_set, &self.name);
        let opened = IncidentOpened {
            incident: incident.clone(),
            title: self.title.clone().unwrap_or_else(|| {
                Line::clipped(&format!("{} at {}", self.name, self.noticed.component))
            }),
            component: self.noticed.component.clone(),
            severity: Severity::Error,
            opened_by: Line::clipped(data_set),
            evidence: Vec::new(),
        };
        recorder.record("opened", self.noticed.at, opened);
        if let Some(until) = self.noticed.until {
            let resolved =
                IncidentResolved { incident, by: Line::clipped(data_set), resolution: None };
            recorder.record("resolved", until, resolved);
        }
        recorder.finish()
    }

    /// What it was, as labels of the data set; none when the truth is not told.
    pub fn labels(&self, data_set: &str) -> Vec<Event> {
        let Some(Truth { root_causes, fault_kind }) = &self.truth else { return Vec::new() };
        let causes = root_causes.iter().map(|it| Claim::RootCause { component: it.clone() });
        let kind = fault_kind.iter().map(|it| Claim::FaultKind { fault_kind: it.clone() });
        let mut recorder = Recorder::new(data_set, &self.name);
        for (n, claim) in causes.chain(kind).enumerate() {
            let what = format!("label {n}");
            let label = recorder.root().derived(&what).to_string();
            let assigned = LabelAssigned {
                label: LabelId::new(label).expect("a UUID's text is 36 characters"),
                incident: self.incident(data_set),
                claim,
                by: Line::clipped(data_set),
                confidence: Ratio::new(1.0).expect("1 is a ratio"),
                fault: None,
                comment: None,
            };
            recorder.record(&what, self.noticed.until.unwrap_or(self.noticed.at), assigned);
        }
        recorder.finish()
    }
}
