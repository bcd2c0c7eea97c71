use super::*;
use crate::sample::said;

fn of(version: &str) -> opentelemetry_proto::tonic::resource::v1::Resource {
    let mut resource = resource("cart");
    resource.attributes.push(said("service.version", version));
    resource.attributes.push(said("k8s.node.name", &format!("node-{version}")));
    resource
}

fn deployments(events: &[Event]) -> Vec<(String, String, events::Timestamp)> {
    let told = events.iter().filter_map(|event| match &event.data {
        EventData::DeploymentRecorded(data) => {
            Some((data.previous_version.clone()?.to_string(), data.version.to_string(), event.time))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_new_version_is_a_deployment_at_its_first_telemetry() {
    let mut aggregator = aggregator(Settings::default());
    let mut spans = Vec::new();
    for (trace, version, ms) in [(1, "1.0", 1_000), (2, "2.0", 12_500), (3, "2.0", 12_000)] {
        spans.push((of(version), vec![span(Server, trace, 1, 0, ms)]));
    }
    aggregator.traces(&traces(spans).into());
    let events = aggregator.advance(at(60_000));
    check(&events);
    assert_eq!(deployments(&events), [("1.0".to_owned(), "2.0".to_owned(), at(12_000))]);
    let described = events.iter().filter_map(|event| match &event.data {
        EventData::ComponentDescribed(data) => Some(data.attributes["k8s.node.name"].to_string()),
        _ => None,
    });
    assert_eq!(described.collect::<Vec<_>>(), ["node-1.0", "node-1.0, node-2.0"]);
}

#[test]
fn a_version_that_was_live_before_a_restart_is_no_deployment() {
    let mut aggregator = aggregator(Settings::default());
    aggregator.know_version(&"cart".parse().unwrap(), "1.0");
    aggregator.traces(&traces(vec![(of("1.0"), vec![span(Server, 1, 1, 0, 1_000)])]).into());
    assert_eq!(deployments(&aggregator.advance(at(20_000))), []);
    aggregator.traces(&traces(vec![(of("1.1"), vec![span(Server, 2, 1, 0, 21_000)])]).into());
    assert_eq!(deployments(&aggregator.advance(at(60_000))).len(), 1);
}

#[test]
fn a_component_is_its_service_in_its_namespace_or_its_workload() {
    let with = |attributes: Vec<(&str, &str)>| {
        let mut resource = resource("unknown_service:java");
        resource.attributes.extend(attributes.into_iter().map(|(key, value)| said(key, value)));
        resource
    };
    let named = with(vec![("service.name", "cart"), ("service.namespace", "shop")]);
    let pod = with(vec![("k8s.pod.name", "cart-abc-1"), ("k8s.deployment.name", "cart")]);
    let job = |name| with(vec![("k8s.job.name", name)]);
    let nobody = with(vec![("k8s.pod.name", "cart-abc-1")]);
    for (resource, settings, expected) in [
        (named.clone(), Settings::default(), Some("shop/cart")),
        (named, Settings { qualify_names: false, ..Settings::default() }, Some("cart")),
        (pod, Settings::default(), Some("cart")),
        (job("backup-28333335"), Settings::default(), Some("backup")),
        (job("backup-28333336"), Settings::default(), Some("backup")),
        (job("backup-2026"), Settings::default(), Some("backup-2026")),
        (job("28333335"), Settings::default(), Some("28333335")),
        (nobody, Settings::default(), None),
    ] {
        let mut aggregator = aggregator(settings);
        let absorbed =
            aggregator.traces(&traces(vec![(resource, vec![span(Server, 1, 1, 0, 1_000)])]).into());
        let events = aggregator.advance(at(20_000));
        match expected {
            Some(name) => assert_eq!(snapshots(&events, name).len(), 1),
            None => assert_eq!(absorbed.dropped[&Reason::NoServiceName], 1),
        }
    }
}
