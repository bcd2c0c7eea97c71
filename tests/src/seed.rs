//! What a recording of the shop's suite has to hold, read from its events alone.

pub mod programme;
pub mod recorder;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use events::catalogue::label::Claim;
use events::{ComponentName, Event, EventData, FaultId, FaultKind, IncidentId};

/// Incidents that a recording has at least.
pub const LEAST_INCIDENTS: usize = 40;
/// Fault kinds among them.
pub const LEAST_KINDS: usize = 8;
/// The components of the shop; each is the root cause of an incident.
pub const COMPONENTS: [&str; 7] =
    ["gateway", "catalog", "cart", "checkout", "payments", "orders", "database"];

/// A fold of the events of a recording.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    faults: BTreeMap<FaultId, Fault>,
    incidents: BTreeMap<IncidentId, Incident>,
    deployments: usize,
    maintenance: usize,
    runbook_kinds: BTreeSet<FaultKind>,
}

#[derive(Clone, Debug)]
struct Fault {
    kind: FaultKind,
    component: ComponentName,
    cleared: bool,
}

#[derive(Clone, Debug, Default)]
struct Incident {
    over: bool,
    /// Faults that its labels are known from, with what is said.
    root_causes: BTreeMap<FaultId, ComponentName>,
    fault_kinds: BTreeMap<FaultId, FaultKind>,
    /// The suspects of the newest diagnosis, in order.
    suspects: Vec<ComponentName>,
}

/// How often an incident of a group was noticed, labelled and diagnosed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Faults injected.
    pub injected: usize,
    /// With an incident whose labels are known from them.
    pub labelled: usize,
    /// The component at fault is the first suspect.
    pub first: usize,
    /// Among the first three.
    pub third: usize,
}

impl Recording {
    /// The recording of `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut recording = Self::default();
        events.into_iter().for_each(|event| recording.add(event));
        recording
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &Event) {
        match &event.data {
            EventData::FaultInjected(it) => {
                let (kind, component) = (it.kind.clone(), it.component.clone());
                self.faults.insert(it.fault.clone(), Fault { kind, component, cleared: false });
            }
            EventData::FaultCleared(it) => {
                if let Some(fault) = self.faults.get_mut(&it.fault) {
                    fault.cleared = true;
                }
            }
            EventData::IncidentOpened(it) => self.incident(&it.incident).over = false,
            EventData::IncidentReopened(it) => self.incident(&it.incident).over = false,
            EventData::IncidentResolved(it) => self.incident(&it.incident).over = true,
            EventData::IncidentMerged(it) => self.incident(&it.incident).over = true,
            EventData::DiagnosisProposed(it) => {
                self.incident(&it.incident).suspects =
                    it.suspects.iter().map(|suspect| suspect.component.clone()).collect();
            }
            EventData::LabelAssigned(it) => {
                let Some(fault) = it.fault.clone() else { return };
                let incident = self.incident(&it.incident);
                match &it.claim {
                    Claim::RootCause { component } => {
                        incident.root_causes.insert(fault, component.clone());
                    }
                    Claim::FaultKind { fault_kind } => {
                        incident.fault_kinds.insert(fault, fault_kind.clone());
                    }
                    _ => {}
                }
            }
            EventData::DeploymentRecorded(_) => self.deployments += 1,
            EventData::MaintenanceEnded(_) => self.maintenance += 1,
            EventData::RunbookPublished(it) => {
                self.runbook_kinds.extend(it.fault_kinds.iter().cloned());
            }
            _ => {}
        }
    }

    fn incident(&mut self, id: &IncidentId) -> &mut Incident {
        self.incidents.entry(id.clone()).or_default()
    }

    /// Incidents so far.
    pub fn incidents(&self) -> usize {
        self.incidents.len()
    }

    /// Whether an incident is open.
    pub fn any_open(&self) -> bool {
        self.incidents.values().any(|incident| !incident.over)
    }

    /// Faults that were injected so far.
    pub fn injected(&self) -> usize {
        self.faults.len()
    }

    /// Whether a fault still acts.
    pub fn any_acts(&self) -> bool {
        self.faults.values().any(|fault| !fault.cleared)
    }

    /// Whether an incident is labelled from every fault so far.
    pub fn is_labelled(&self, fault: &FaultId) -> bool {
        self.labelled_by(fault).is_some()
    }

    /// The faults so far, by id.
    pub fn faults(&self) -> impl Iterator<Item = &FaultId> {
        self.faults.keys()
    }

    /// The incident whose labels are known from a fault and say what it was.
    fn labelled_by(&self, fault: &FaultId) -> Option<&Incident> {
        let truth = self.faults.get(fault)?;
        self.incidents.values().find(|incident| {
            incident.root_causes.get(fault) == Some(&truth.component)
                && incident.fault_kinds.get(fault) == Some(&truth.kind)
        })
    }

    fn count(&self, wanted: impl Fn(&Fault) -> bool) -> Count {
        let mut count = Count::default();
        for (id, fault) in self.faults.iter().filter(|(_, fault)| wanted(fault)) {
            count.injected += 1;
            let Some(incident) = self.labelled_by(id) else { continue };
            count.labelled += 1;
            let rank = incident.suspects.iter().position(|one| *one == fault.component);
            count.first += usize::from(rank == Some(0));
            count.third += usize::from(rank.is_some_and(|rank| rank < 3));
        }
        count
    }

    /// What is missing for a recording that is good to start from; empty when nothing is.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let all = self.count(|_| true);
        if all.labelled < LEAST_INCIDENTS {
            let labelled = all.labelled;
            missing.push(format!("{labelled} labelled incidents, expected {LEAST_INCIDENTS}"));
        }
        let kinds = self
            .kinds()
            .into_iter()
            .filter(|kind| self.count(|fault| fault.kind == *kind).labelled > 0);
        let kinds = kinds.count();
        if kinds < LEAST_KINDS {
            missing.push(format!("incidents of {kinds} fault kinds, expected {LEAST_KINDS}"));
        }
        for component in COMPONENTS {
            if self.count(|fault| fault.component.as_str() == component).labelled == 0 {
                missing.push(format!("no labelled incident of {component}"));
            }
        }
        for kind in self.kinds() {
            if !self.runbook_kinds.contains(&kind) {
                missing.push(format!("no runbook for {kind}"));
            }
        }
        let faults = self.faults.iter();
        let left = faults.filter(|(_, fault)| !fault.cleared).map(|(id, _)| id.to_string());
        missing.extend(left.map(|fault| format!("the fault {fault} is not cleared")));
        for (name, count) in
            [("deployment", self.deployments), ("maintenance window", self.maintenance)]
        {
            if count == 0 {
                missing.push(format!("no {name}"));
            }
        }
        if self.any_open() {
            missing.push("an incident is still open".to_owned());
        }
        missing
    }

    fn kinds(&self) -> BTreeSet<FaultKind> {
        self.faults.values().map(|fault| fault.kind.clone()).collect()
    }

    /// A table by fault kind and one by component.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<30}{:>9}{:>10}{:>7}{:>8}\n", "", "injected", "labelled", "first", "top 3");
        let mut row = |name: &str, count: Count| {
            let Count { injected, labelled, first, third } = count;
            let _ = writeln!(text, "{name:<30}{injected:>9}{labelled:>10}{first:>7}{third:>8}");
        };
        for kind in self.kinds() {
            row(kind.as_str(), self.count(|fault| fault.kind == kind));
        }
        for component in COMPONENTS {
            row(
                &format!("on {component}"),
                self.count(|fault| fault.component.as_str() == component),
            );
        }
        row("all", self.count(|_| true));
        let _ = write!(
            text,
            "{} incidents in all, {} deployments, {} maintenance windows",
            self.incidents.len(),
            self.deployments,
            self.maintenance
        );
        text
    }
}
