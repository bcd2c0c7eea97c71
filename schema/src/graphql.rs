//! GraphQL over the graph: what is failing, why, when it was seen before, what fixed it.
//!
//! Types wrap the rows of [`crate::rows`]; whatever hangs on a row is loaded in batches
//! (`load`), so that a page costs a fixed number of statements. Mutations append events and
//! change nothing else. Every request passes the `guard`, which holds the limits and gives
//! errors their codes:
//!
//! | code | meaning |
//! |---|---|
//! | `invalid_input` | an argument no request can succeed with; `field` names it |
//! | `not_found` | an argument names something unknown; `field` names it |
//! | `incident_exists`, `incident_over`, `incident_not_over`, `incident_merged`, `label_exists`, `label_retracted`, `event_id_taken` | the state of things forbids it; `field` names the argument |
//! | `not_projected_yet` | `waitFor` or `asOf` was not reached in time; ask again |
//! | `index_not_loaded` | the index that the question needs was not loaded in time; ask again |
//! | `overloaded` | the log takes nothing at the moment; ask again |
//! | `disk_full` | the log's disk has no room; ask again when it has |
//! | `query_syntax`, `query_invalid` | the query text is wrong |
//! | `query_too_long`, `query_too_deep`, `query_too_complex`, `query_timeout` | a limit of [`Limits`] |
//! | `internal` | not the caller's fault |

mod audit;
mod batch;
mod component;
mod coverage;
mod critical;
mod described;
mod diagnosis;
mod error;
mod event;
mod experiment;
mod guard;
mod id;
mod incident;
mod knowledge;
mod label;
mod list;
mod load;
mod model;
mod mutation;
mod node;
mod objective;
mod operations;
mod order;
mod page;
mod provenance;
mod query;
mod read;
mod record;
mod recovery;
mod retention;
mod scalar;
mod search;
mod signals;
mod similar;
mod spread;
mod subscription;
mod timeline;
mod verdict;
mod view;
mod vocabulary;
mod without;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder};
use events::log::EventLog;
use events::{SloId, Timestamp};

use crate::commands::{Carried, Commands};
use crate::{Graph, LiveGraph, Models, Projected};
use audit::AuditEvent;
pub use audit::WithoutAudit;
use component::{Call, Component};
use coverage::CoverageCell;
use critical::{AffectedComponent, CriticalPoint};
use diagnosis::Diagnosis;
use event::{Event, SetAsideEvent};
use experiment::{Experiment, Fault};
pub use guard::Limits;
use guard::{Guarding, MAX_DIRECTIVES};
use incident::Incident;
use knowledge::{Change, Mitigation, Runbook};
use label::Label;
use model::{Model, ModelSelection};
use mutation::Mutation;
use objective::Objective;
pub use objective::Standings;
use operations::{Alert, Maintenance};
use page::Nodes;
use query::Query;
use retention::Retention;
use subscription::Subscription;
use timeline::TimelineEntry;
use verdict::Feedback;

/// The executable schema.
pub type FaultlineSchema = Schema<Query, Mutation, Subscription>;

/// What answers are made of.
#[derive(Clone)]
pub struct Base {
    graph: LiveGraph,
    log: Arc<dyn EventLog>,
    projected: Projected,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    limits: Limits,
    statements: Arc<AtomicU64>,
    commands: Commands,
    standings: Standings,
    models: Models,
}

impl Base {
    /// Answers from `graph`, which contains the log up to `projected`; mutations append to `log`,
    /// dated by `now`.
    pub fn new(
        graph: impl Into<LiveGraph>,
        log: Arc<dyn EventLog>,
        projected: Projected,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        limits: Limits,
    ) -> Self {
        let statements = Arc::new(AtomicU64::new(0));
        let (graph, now) = (graph.into(), Arc::new(now));
        let commands =
            Commands::new(graph.clone(), log.clone(), projected.clone(), now.clone(), limits.wait);
        let standings: Standings = Arc::new(|_| None);
        let models = Models::default();
        Self { graph, log, projected, now, limits, statements, commands, standings, models }
    }

    /// With somebody who keeps count of objectives.
    pub fn standing_by(self, standings: Standings) -> Self {
        Self { standings, ..self }
    }

    /// With models that others use too.
    pub fn with_models(self, models: Models) -> Self {
        Self { models, ..self }
    }

    /// With `carried` about the work of each command, see [`Commands::carrying`].
    pub fn carrying(self, carried: Carried) -> Self {
        Self { commands: self.commands.carrying(carried), ..self }
    }

    /// What the mutations of the schema go through, for other ways in.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// How many statements answers have put to the graph so far.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The graph as of now. A request takes it once, so that a rebuild that ends meanwhile does
    /// not change what it sees.
    fn graph(&self) -> Arc<Graph> {
        self.graph.current()
    }

    fn count_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    fn standing(&self, slo: &SloId) -> Option<::diagnosis::objectives::Standing> {
        (self.standings)(slo)
    }

    fn projected(&self) -> u64 {
        self.projected.position()
    }

    /// Waits until the graph contains `position`; false when that takes longer than
    /// [`Limits::wait`] or the projection has ended.
    async fn projected_to(&self, position: u64) -> bool {
        self.projected.wait_for(position, self.limits.wait).await.is_ok()
    }
}

/// The schema over `base`, ready to execute.
pub fn schema(base: Base) -> FaultlineSchema {
    let limits = base.limits;
    builder()
        .data(base)
        .limit_depth(limits.depth)
        .limit_complexity(limits.complexity)
        .limit_directives(MAX_DIRECTIVES)
        .extension(Guarding)
        .finish()
}

/// The schema definition, which is the contract with clients.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions();
    builder().finish().sdl_with_options(options)
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .override_output_type_description::<Nodes<AffectedComponent>>("A page of components.")
        .override_output_type_description::<Nodes<Alert>>("A page of alerts.")
        .override_output_type_description::<Nodes<AuditEvent>>("A page of the audit.")
        .override_output_type_description::<Nodes<Call>>("A page of calls.")
        .override_output_type_description::<Nodes<Change>>("A page of changes.")
        .override_output_type_description::<Nodes<Component>>("A page of components.")
        .override_output_type_description::<Nodes<CoverageCell>>("A page of cells.")
        .override_output_type_description::<Nodes<CriticalPoint>>("A page of critical points.")
        .override_output_type_description::<Nodes<Diagnosis>>("A page of diagnoses.")
        .override_output_type_description::<Nodes<Event>>("A page of events.")
        .override_output_type_description::<Nodes<Experiment>>("A page of runs of experiments.")
        .override_output_type_description::<Nodes<Fault>>("A page of injected faults.")
        .override_output_type_description::<Nodes<Feedback>>("A page of feedback.")
        .override_output_type_description::<Nodes<Incident>>("A page of incidents.")
        .override_output_type_description::<Nodes<Maintenance>>(
            "A page of windows of planned work.",
        )
        .override_output_type_description::<Nodes<Label>>("A page of labels.")
        .override_output_type_description::<Nodes<Mitigation>>("A page of mitigations.")
        .override_output_type_description::<Nodes<Objective>>("A page of objectives.")
        .override_output_type_description::<Nodes<Model>>("A page of models.")
        .override_output_type_description::<Nodes<ModelSelection>>("A page of decisions.")
        .override_output_type_description::<Nodes<Retention>>("A page of what was pruned.")
        .override_output_type_description::<Nodes<Runbook>>("A page of runbooks.")
        .override_output_type_description::<Nodes<SetAsideEvent>>("A page of set-aside events.")
        .override_output_type_description::<Nodes<TimelineEntry>>("A page of steps.")
}
