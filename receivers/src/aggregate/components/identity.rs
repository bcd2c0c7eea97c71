//! Which component a resource is of, in which version, and where it runs.

use events::ComponentName;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::aggregate::dropped::Reason;
use crate::otlp::attributes::text;

/// What the attributes of a resource say.
#[derive(Debug)]
pub struct Identity {
    pub name: ComponentName,
    /// `service.name` as it stands.
    pub service: Option<String>,
    pub version: Option<Box<str>>,
    pub placement: Vec<(&'static str, String)>,
}

/// What names a workload of Kubernetes, the most telling first. A pod or a replica set is one
/// instance of it and would be another component with every deployment.
const WORKLOADS: &[&str] = &[
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// What a description of a component repeats.
const PLACES: &[&str] = &[
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
    "k8s.node.name",
    "host.name",
    "cloud.region",
    "cloud.availability_zone",
    "deployment.environment.name",
    "telemetry.sdk.language",
];

/// Longest value of a description.
const MAX_VALUE: usize = 200;

impl Identity {
    /// A component is its `service.name`, within its `service.namespace` where there is one and
    /// names are qualified. A service that was not named (`unknown_service:java`) is the workload
    /// of Kubernetes that it runs in.
    pub fn read(attributes: &[KeyValue], qualify: bool) -> Result<Self, Reason> {
        let (mut service, mut namespace, mut version) = (None, None, None);
        let mut workload: Option<(usize, &str)> = None;
        let mut placement = Vec::new();
        for attribute in attributes {
            let Some(mut value) = text(attribute) else { continue };
            if attribute.key == "k8s.job.name" {
                value = without_run(value);
            }
            match attribute.key.as_str() {
                "service.name" => service = Some(value),
                "service.namespace" => namespace = Some(value),
                "service.version" => version = Some(value.chars().take(MAX_VALUE).collect()),
                _ => {}
            }
            if let Some(name) = PLACES.iter().find(|name| **name == attribute.key) {
                placement.push((*name, value.chars().take(MAX_VALUE).collect()));
            }
            let rank = WORKLOADS.iter().position(|name| *name == attribute.key);
            if let Some(rank) = rank
                && workload.is_none_or(|(before, _)| rank < before)
            {
                workload = Some((rank, value));
            }
        }
        placement.sort();
        let unnamed =
            |name: &str| name == "unknown_service" || name.starts_with("unknown_service:");
        let service = service.filter(|name| !unnamed(name));
        let own = service.or(workload.map(|(_, name)| name)).ok_or(Reason::NoServiceName)?;
        let name = match namespace.filter(|_| qualify) {
            Some(namespace) => format!("{namespace}/{own}"),
            None => own.to_owned(),
        };
        let name = ComponentName::new(printable(name)).map_err(|_| Reason::NameTooLong)?;
        Ok(Self { name, service: service.map(str::to_owned), version, placement })
    }
}

/// The name of a job without the number of its run: a `CronJob` makes `backup-29545920` of
/// `backup`, and each would be another component.
fn without_run(job: &str) -> &str {
    match job.rsplit_once('-') {
        Some((name, run))
            if !name.is_empty() && run.len() >= 8 && run.bytes().all(|it| it.is_ascii_digit()) =>
        {
            name
        }
        _ => job,
    }
}

/// A name without what no name may have.
pub fn printable(name: String) -> String {
    if name.chars().any(char::is_control) {
        return name.chars().map(|it| if it.is_control() { '?' } else { it }).collect();
    }
    name
}
