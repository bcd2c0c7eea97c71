//! The trace of a batch: part of the trace that its events belong to, or linked to theirs.

use std::collections::{BTreeSet, HashMap};

use events::RecordedEvent;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Most links of a batch.
const MOST_LINKS: usize = 32;

/// A span for the projection of `events`. Where nothing is exported it is a span of the log alone.
pub(super) fn span(events: &[RecordedEvent]) -> Span {
    let position = events.last().map(|event| event.position);
    let span = tracing::info_span!("project", events.count = events.len(), log.position = position);
    let traced: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| Some(event.event.traceparent.as_ref()?.as_str()))
        .collect();
    let propagator = TraceContextPropagator::new();
    let context = |traceparent: &&str| {
        propagator.extract(&HashMap::from([("traceparent".to_owned(), (*traceparent).to_owned())]))
    };
    match traced.len() {
        0 => {}
        1 => {
            // Refused where nobody listens to spans, and then there is no trace to be part of.
            let _ = traced.iter().map(context).try_for_each(|context| span.set_parent(context));
        }
        _ => {
            for context in traced.iter().take(MOST_LINKS).map(context) {
                span.add_link(context.span().span_context().clone());
            }
        }
    }
    span
}
