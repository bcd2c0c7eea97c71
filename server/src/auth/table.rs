//! The one table of scopes. A route that is not in it is refused when it is asked for, and a
//! mutation that is not in it needs `admin`; tests hold both against the router and the SDL.

use events::EventData;

use super::scope::Scope;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// A scope.
    Needs(Scope),
    /// A token; which scope, the operation says: [`super::needed`] and [`scope_of_event`].
    ByContent,
    /// A token in the header, or in the first message over the socket.
    Socket,
}

use Access::{ByContent, Needs, Open, Socket};

/// Every route, by method and path.
pub(crate) const ROUTES: &[(&str, &str, Access)] = &[
    ("GET", "/", Open),
    ("GET", "/assets/{*path}", Open),
    ("GET", "/graphql", Open),
    ("POST", "/graphql", ByContent),
    ("GET", "/graphql/ws", Socket),
    ("GET", "/healthz", Open),
    ("GET", "/readyz", Open),
    ("GET", "/metrics", Needs(Scope::Read)),
    ("GET", "/v1/events", Needs(Scope::Read)),
    ("POST", "/v1/events", ByContent),
    ("GET", "/v1/events/{id}", Needs(Scope::Read)),
    ("GET", "/v1/schemas", Needs(Scope::Read)),
    ("GET", "/v1/schemas/{type}", Needs(Scope::Read)),
    ("GET", "/v1/set-aside", Needs(Scope::Read)),
    ("GET", "/v1/admin/rebuild", Needs(Scope::Admin)),
    ("POST", "/v1/admin/rebuild", Needs(Scope::Admin)),
    ("GET", "/v1/admin/retention", Needs(Scope::Admin)),
    ("POST", "/v1/admin/retention", Needs(Scope::Admin)),
    ("POST", "/v1/incidents/{id}/labels", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/labels/{label}/retract", Needs(Scope::Label)),
    ("POST", "/v1/labels", Needs(Scope::Label)),
    ("POST", "/v1/diagnoses/{id}/feedback", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/acknowledge", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/mitigate", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/resolve", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/reopen", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/merge", Needs(Scope::Label)),
    ("POST", "/v1/incidents/{id}/postmortem", Needs(Scope::Label)),
    ("POST", "/v1/webhooks/alertmanager", Needs(Scope::Ingest)),
    ("POST", "/v1/webhooks/pagerduty/v2/enqueue", Needs(Scope::Ingest)),
    ("POST", "/v1/webhooks/pagerduty/v2/change/enqueue", Needs(Scope::Ingest)),
    ("POST", "/v1/webhooks/chaos-mesh", Needs(Scope::Ingest)),
    ("POST", "/v1/webhooks/litmus", Needs(Scope::Ingest)),
    ("POST", "/v1/slos", Needs(Scope::Ingest)),
    ("POST", "/v1/traces", Needs(Scope::Ingest)),
    ("POST", "/v1/metrics", Needs(Scope::Ingest)),
    ("POST", "/v1/logs", Needs(Scope::Ingest)),
    ("POST", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Needs(Scope::Ingest)),
    (
        "POST",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Needs(Scope::Ingest),
    ),
    ("POST", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", Needs(Scope::Ingest)),
];

/// Every mutation. One that is missing needs `admin`.
pub(crate) const MUTATIONS: &[(&str, Scope)] = &[
    ("acknowledgeIncident", Scope::Label),
    ("applyMitigation", Scope::Label),
    ("assignLabel", Scope::Label),
    ("assignLabels", Scope::Label),
    ("giveFeedback", Scope::Label),
    ("mergeIncident", Scope::Label),
    ("mitigateIncident", Scope::Label),
    ("openIncident", Scope::Label),
    ("publishPostmortem", Scope::Label),
    ("reopenIncident", Scope::Label),
    ("resolveIncident", Scope::Label),
    ("retractLabel", Scope::Label),
    ("selectModel", Scope::Admin),
];

/// The questions that need more than `read`.
pub(crate) const QUERIES: &[(&str, Scope)] = &[("auditEvents", Scope::Admin)];

/// The subscriptions that need more than `read`.
pub(crate) const SUBSCRIPTIONS: &[(&str, Scope)] = &[];

/// What a route asks for; `None` for one that is not in the table.
pub(crate) fn access(method: &str, route: &str) -> Option<Access> {
    // What answers GET answers HEAD.
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES
        .iter()
        .find(|(known, path, _)| *known == method && *path == route)
        .map(|(_, _, access)| *access)
}

/// Which scope an event may be appended with. What people answer for is not for machines: a
/// token that only ingests cannot label, and only an import brings an audit.
pub(crate) fn scope_of_event(data: &EventData) -> Scope {
    use EventData::*;
    match data {
        ExperimentPlanned(_)
        | ExperimentStarted(_)
        | SteadyStateMeasured(_)
        | FaultInjected(_)
        | FaultCleared(_)
        | ExperimentFinished(_)
        | ComponentDiscovered(_)
        | ComponentDescribed(_)
        | DependencyObserved(_)
        | MetricSnapshotRecorded(_)
        | LogPatternsRecorded(_)
        | TraceEdgesRecorded(_)
        | DeploymentRecorded(_)
        | ConfigurationChanged(_)
        | MaintenanceStarted(_)
        | MaintenanceEnded(_)
        | AlertFired(_)
        | AlertResolved(_)
        | AnomalyDetected(_)
        | SymptomAttached(_)
        | IncidentOpened(_)
        | MitigationApplied(_)
        | IncidentMitigated(_)
        | SloDefined(_)
        | ErrorBudgetBurned(_)
        | RunbookPublished(_) => Scope::Ingest,
        IncidentAcknowledged(_)
        | IncidentResolved(_)
        | IncidentReopened(_)
        | IncidentMerged(_)
        | PostmortemPublished(_)
        | LabelAssigned(_)
        | LabelRetracted(_)
        | FeedbackGiven(_) => Scope::Label,
        DiagnosisProposed(_)
        | RemediationSuggested(_)
        | ResponseActionTaken(_)
        | FailurePredicted(_)
        | ModelTrained(_)
        | ModelSelected(_)
        | AuditRecorded(_)
        | RetentionApplied(_) => Scope::Admin,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names of the fields of a type in the SDL.
    fn fields(sdl: &str, of: &str) -> BTreeSet<String> {
        let Some((_, body)) = sdl.split_once(&format!("\ntype {of} {{")) else {
            return BTreeSet::new();
        };
        let body = body.split_once("\n}").expect("a type ends").0;
        let name = |line: &str| {
            let field = line.strip_prefix('\t')?;
            let end = field.find(|it: char| !it.is_ascii_alphanumeric())?;
            let follows = field[end..].starts_with(['(', ':']);
            (end > 0 && follows).then(|| field[..end].to_owned())
        };
        body.lines().filter_map(name).collect()
    }

    fn names(table: &[(&str, Scope)]) -> BTreeSet<String> {
        let names: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names.len(), table.len(), "a name stands in the table twice");
        names
    }

    #[test]
    fn every_mutation_is_in_the_table_and_nothing_else() {
        let sdl = crate::sdl();
        let mutations = fields(&sdl, "Mutation");
        assert!(mutations.contains("assignLabel"), "the SDL is not read: {mutations:?}");
        assert_eq!(names(MUTATIONS), mutations);
    }

    #[test]
    fn what_needs_more_than_read_exists() {
        let sdl = crate::sdl();
        assert!(names(QUERIES).is_subset(&fields(&sdl, "Query")));
        assert!(names(SUBSCRIPTIONS).is_subset(&fields(&sdl, "Subscription")));
    }

    #[test]
    fn every_route_is_in_the_table_once() {
        let routes: BTreeSet<_> = ROUTES.iter().map(|(method, path, _)| (method, path)).collect();
        assert_eq!(routes.len(), ROUTES.len());
        for (method, path, access_of) in ROUTES {
            assert_eq!(access(method, path), Some(*access_of));
        }
        assert_eq!(access("HEAD", "/healthz"), Some(Open));
        assert_eq!(access("DELETE", "/v1/events"), None);
    }
}
