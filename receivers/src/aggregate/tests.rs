use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::{MetricSnapshotRecorded, TraceEdgesRecorded};
use events::{Event, EventData};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{
    Client, Consumer, Internal, Producer, Server,
};

use super::*;
use crate::sample::*;

mod edges;
mod limits;
mod order;
mod versions;

pub fn aggregator(settings: Settings) -> Aggregator {
    Aggregator::new(settings, at(0), None)
}

/// All events of spans, each of a service, taken in one request.
pub fn told(settings: Settings, spans: Vec<(&str, Span)>) -> Vec<Event> {
    let mut aggregator = aggregator(settings);
    let of = spans.into_iter().map(|(service, span)| (resource(service), vec![span]));
    let absorbed = aggregator.traces(&traces(of.collect()).into());
    assert_eq!(absorbed.rejected(), None);
    aggregator.advance(at(600_000))
}

/// `caller -> callee: calls/errors`, by caller and callee, over all windows.
pub fn edges(events: &[Event]) -> BTreeMap<(String, String), (u64, u64)> {
    let mut edges = BTreeMap::<(String, String), (u64, u64)>::new();
    for event in events {
        if let EventData::TraceEdgesRecorded(TraceEdgesRecorded { caller, edges: of, .. }) =
            &event.data
        {
            for edge in of {
                let pair = (caller.to_string(), edge.callee.to_string());
                let sum = edges.entry(pair).or_default();
                *sum = (sum.0 + edge.calls, sum.1 + edge.errors);
            }
        }
    }
    edges
}

pub fn pairs<const N: usize>(
    of: [(&str, &str, u64, u64); N],
) -> BTreeMap<(String, String), (u64, u64)> {
    let pair = |(caller, callee, calls, errors): (&str, &str, _, _)| {
        ((caller.to_owned(), callee.to_owned()), (calls, errors))
    };
    of.map(pair).into()
}

pub fn snapshots<'a>(events: &'a [Event], component: &str) -> Vec<&'a MetricSnapshotRecorded> {
    let of = |event: &'a Event| match &event.data {
        EventData::MetricSnapshotRecorded(data) => Some(data),
        _ => None,
    };
    events.iter().filter_map(of).filter(|data| data.component.as_str() == component).collect()
}

/// Reads every event as a client's, which checks all of its fields.
pub fn check(events: &[Event]) {
    let mut ids = BTreeSet::new();
    for event in events {
        let read = Event::from_cloud_event(event.to_cloud_event(), at(0)).unwrap();
        assert_eq!(&read, event);
        assert!(ids.insert(event.id), "{} is told twice", event.id);
    }
}
