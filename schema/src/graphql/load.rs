//! What one view of a request loads, each kind of thing in as few statements as the depth of the query
//! allows. A page of incidents costs a fixed number of statements, however long it is.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::Context;
use events::{
    AlertId, ComponentName, DiagnosisId, EventId, ExperimentId, FaultId, IncidentId, LabelId,
    MaintenanceId, RunbookId,
};
use futures::future::try_join_all;

use super::batch::Batch;
use super::component::Component;
use super::diagnosis::Diagnosis;
use super::error::ApiResult;
use super::experiment::{Experiment, Fault};
use super::incident::Incident;
use super::knowledge::{Change, Mitigation, Runbook};
use super::label::Label;
use super::operations::{Alert, Maintenance};
use super::read::{Link, Rows, Source, grouped, nodes};
use super::view::{View, Views};
use crate::rows;

type Links<K, A, B> = Batch<K, Rows<Link<A, B>>>;

macro_rules! loaders {
    (
        nodes { $($node:ident: $key:ty => $row:ident in $table:literal;)* }
        groups {
            $($group:ident: $owner:ty => $edge:ty, by $by:expr, $source:expr;)*
        }
    ) => {
        /// The loaders of one view.
        pub struct Loaders {
            view: Arc<View>,
            $($node: Batch<$key, Arc<rows::$row>>,)*
            $($group: Batch<$owner, Rows<$edge>>,)*
        }

        impl Loaders {
            /// Loaders that know nothing yet.
            pub fn new(view: Arc<View>) -> Self {
                Self {
                    $($node: nodes(&view, $table, |row: &rows::$row| row.id.clone()),)*
                    $($group: grouped(&view, $source, $by),)*
                    view,
                }
            }

            /// Forgets everything, because something changed.
            pub fn forget(&self) {
                $(self.$node.forget();)*
                $(self.$group.forget();)*
            }
        }
    };
}

loaders! {
    nodes {
        components: ComponentName => Component in "component";
        incidents: IncidentId => Incident in "incident";
        experiments: ExperimentId => Experiment in "experiment";
        faults: FaultId => Fault in "fault";
        labels: LabelId => Label in "label";
        diagnoses: DiagnosisId => Diagnosis in "diagnosis";
        runbooks: RunbookId => Runbook in "runbook";
        changes: EventId => ChangeRow in "change";
        anomalies: EventId => Anomaly in "anomaly";
        alerts: AlertId => Alert in "alert";
        maintenances: MaintenanceId => Maintenance in "maintenance";
        mitigations: EventId => Mitigation in "mitigation";
    }
    groups {
        calls_of: ComponentName => rows::Calls, by |row| row.from.clone(),
            Source::from("component", "calls");
        calls_to: ComponentName => rows::Calls, by |row| row.to.clone(),
            Source::into("component", "calls");
        affects: IncidentId => rows::Affects, by |row| row.from.clone(),
            Source::from("incident", "affects");
        affected: ComponentName => Link<IncidentId, ComponentName>, by |row| row.to.clone(),
            Source::into("component", "affects").ends();
        injected: ComponentName => Link<FaultId, ComponentName>, by |row| row.to.clone(),
            Source::into("component", "injected_into").ends();
        parts: ExperimentId => Link<FaultId, ExperimentId>, by |row| row.to.clone(),
            Source::into("experiment", "part_of").ends();
        triggered: FaultId => Link<FaultId, IncidentId>, by |row| row.from.clone(),
            Source::from("fault", "triggered").ends();
        causes: IncidentId => Link<FaultId, IncidentId>, by |row| row.to.clone(),
            Source::into("incident", "triggered").ends();
        preceded: IncidentId => rows::Preceded, by |row| row.to.clone(),
            Source::into("incident", "preceded");
        suspects: DiagnosisId => rows::Suspects, by |row| row.from.clone(),
            Source::from("diagnosis", "suspects");
        resembles: IncidentId => rows::Resembles, by |row| row.from.clone(),
            Source::from("incident", "resembles");
        labels_of: IncidentId => rows::Label, by |row| row.incident.clone(),
            Source::naming("label", "incident");
        diagnoses_of: IncidentId => rows::Diagnosis,
            by |row| row.incident.clone().expect("the statement selects by it"),
            Source::naming("diagnosis", "incident").when("at != NONE");
        mitigations_of: IncidentId => rows::Mitigation, by |row| row.incident.clone(),
            Source::naming("mitigation", "incident");
        timeline_of: IncidentId => rows::TimelineEntry, by |row| row.incident.clone(),
            Source::naming("timeline_entry", "incident");
        effects_of: EventId => rows::Effect, by |row| row.cause, Source::keyed("effect");
        feedback_of: IncidentId => rows::Feedback, by |row| row.incident.clone(),
            Source::naming("feedback", "incident");
    }
}

macro_rules! one {
    ($($(#[$doc:meta])* $name:ident($key:ty) -> $node:ident from $batch:ident;)*) => {
        impl Loaders {
            $($(#[$doc])*
            pub async fn $name(&self, key: &$key) -> ApiResult<Option<$node>> {
                Ok(self.$batch.load(key.clone()).await?.map($node))
            })*
        }
    };
}

one! {
    /// The component of this name.
    component(ComponentName) -> Component from components;
    /// The incident with this key.
    incident(IncidentId) -> Incident from incidents;
    /// The run with this key.
    experiment(ExperimentId) -> Experiment from experiments;
    /// The injection with this key.
    fault(FaultId) -> Fault from faults;
    /// The label with this key.
    label(LabelId) -> Label from labels;
    /// The diagnosis with this key.
    diagnosis(DiagnosisId) -> Diagnosis from diagnoses;
    /// The runbook with this key.
    runbook(RunbookId) -> Runbook from runbooks;
    /// The alert with this fingerprint.
    alert(AlertId) -> Alert from alerts;
    /// The window with this key.
    maintenance(MaintenanceId) -> Maintenance from maintenances;
    /// The mitigation that this event tells of.
    mitigation(EventId) -> Mitigation from mitigations;
}

macro_rules! many {
    ($($(#[$doc:meta])* $name:ident($key:ty) -> $row:ident from $batch:ident;)*) => {
        impl Loaders {
            $($(#[$doc])*
            pub async fn $name(&self, key: &$key) -> ApiResult<Rows<rows::$row>> {
                Ok(self.$batch.load(key.clone()).await?.unwrap_or_default())
            })*
        }
    };
}

many! {
    /// The calls that a component makes.
    outgoing(ComponentName) -> Calls from calls_of;
    /// The calls that others make to a component.
    incoming(ComponentName) -> Calls from calls_to;
    /// The components with symptoms in an incident.
    affected_by(IncidentId) -> Affects from affects;
    /// The labels of an incident, those taken back included.
    labels_on(IncidentId) -> Label from labels_of;
    /// The diagnoses of an incident.
    diagnoses_for(IncidentId) -> Diagnosis from diagnoses_of;
    /// The mitigations of an incident.
    mitigations_of(IncidentId) -> Mitigation from mitigations_of;
    /// The steps of an incident.
    steps_of(IncidentId) -> TimelineEntry from timeline_of;
    /// The suspects of a diagnosis.
    suspects_of(DiagnosisId) -> Suspects from suspects;
    /// The events that an event caused.
    effects(EventId) -> Effect from effects_of;
    /// What people say of the diagnoses of an incident.
    feedback_on(IncidentId) -> Feedback from feedback_of;
    /// What the diagnoses of an incident found similar.
    resemblances_of(IncidentId) -> Resembles from resembles;
}

impl Loaders {
    /// Those of the root field that `ctx` stands below.
    pub fn of(ctx: &Context<'_>) -> Arc<Self> {
        ctx.data_unchecked::<Views>().of(ctx)
    }

    /// What they read from.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// `load` of a key that may be absent.
    pub async fn optional<'a, K, N, F>(
        &'a self,
        key: Option<&'a K>,
        load: impl FnOnce(&'a Self, &'a K) -> F,
    ) -> ApiResult<Option<N>>
    where
        F: Future<Output = ApiResult<Option<N>>>,
    {
        match key {
            Some(key) => load(self, key).await,
            None => Ok(None),
        }
    }

    /// The deployment or change of configuration that this event tells of.
    pub async fn change(&self, id: &EventId) -> ApiResult<Option<Change>> {
        Ok(self.changes.load(*id).await?.map(Change::from))
    }

    /// The anomaly that this event tells of.
    pub async fn anomaly(&self, id: &EventId) -> ApiResult<Option<Arc<rows::Anomaly>>> {
        self.anomalies.load(*id).await
    }

    /// The incidents in which a component shows symptoms.
    pub async fn incidents_affecting(
        &self,
        name: &ComponentName,
    ) -> ApiResult<Vec<Arc<rows::Incident>>> {
        through(&self.affected, name, |link| &link.from, &self.incidents).await
    }

    /// The incidents that a fault caused.
    pub async fn incidents_triggered_by(
        &self,
        fault: &FaultId,
    ) -> ApiResult<Vec<Arc<rows::Incident>>> {
        through(&self.triggered, fault, |link| &link.to, &self.incidents).await
    }

    /// The faults that were injected into a component.
    pub async fn faults_injected_into(
        &self,
        name: &ComponentName,
    ) -> ApiResult<Vec<Arc<rows::Fault>>> {
        through(&self.injected, name, |link| &link.from, &self.faults).await
    }

    /// The faults of a run.
    pub async fn faults_of(&self, run: &ExperimentId) -> ApiResult<Vec<Arc<rows::Fault>>> {
        through(&self.parts, run, |link| &link.from, &self.faults).await
    }

    /// The faults that caused an incident.
    pub async fn faults_behind(&self, incident: &IncidentId) -> ApiResult<Vec<Arc<rows::Fault>>> {
        through(&self.causes, incident, |link| &link.from, &self.faults).await
    }

    /// The changes shortly before an incident.
    pub async fn changes_before(&self, incident: &IncidentId) -> ApiResult<Vec<Arc<Change>>> {
        let edges = self.preceded.load(incident.clone()).await?.unwrap_or_default();
        let changes = edges.iter().map(|edge| async {
            let row = self.changes.load(edge.from).await?;
            Ok(row.map(|row| Arc::new(Change { row, lead_ms: Some(edge.lead_ms) })))
        });
        Ok(try_join_all(changes).await?.into_iter().flatten().collect())
    }
}

/// The nodes at the other ends of the edges of `key`.
async fn through<K, A, B, N, R>(
    edges: &Links<K, A, B>,
    key: &K,
    end: impl Fn(&Link<A, B>) -> &N,
    nodes: &Batch<N, Arc<R>>,
) -> ApiResult<Vec<Arc<R>>>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    A: Send + Sync + 'static,
    B: Send + Sync + 'static,
    N: Clone + Eq + Hash + Send + Sync + 'static,
    R: Send + Sync + 'static,
{
    let links = edges.load(key.clone()).await?.unwrap_or_default();
    // Several edges may lead to one node: one for each label that says so.
    let ends: HashSet<&N> = links.iter().map(|link| end(link)).collect();
    let found = try_join_all(ends.into_iter().map(|end| nodes.load(end.clone()))).await?;
    Ok(found.into_iter().flatten().collect())
}
