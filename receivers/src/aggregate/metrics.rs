//! Metrics: golden signals by the semantic conventions, and extras by name.
//!
//! A point waits until its window is closed, because only then is it known which is the last of
//! its series in the window and what came before. What a series grew by between its last points
//! of two windows belongs to the windows after the first up to the second: of a metric that is
//! exported every ten seconds to one window, of one that is exported every minute to six
//! together, as one snapshot of a minute.

mod histogram;
mod meaning;
mod packed;
mod points;
mod series;
mod signals;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Aggregator;
use super::components::{ComponentNo, ResourceNo};
use super::dropped::{Absorbed, Reason};
use super::peers::{Callee, Said};
use super::window::{self, Number};
use crate::otlp::attributes::{self, text, whole};
use meaning::Meaning;
pub use meaning::Meanings;
use points::Sent;
pub use points::{Kept, Point, Value, count as points_of};
pub use series::{SeriesTable, Stream};
pub use signals::{Gathered, Signals};

/// How the points of a series follow from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// The last one is the value.
    Gauge,
    /// Each counts from the start.
    Cumulative,
    /// Each counts from the one before.
    Delta,
}

/// Whose metrics they are.
#[derive(Clone, Copy)]
struct Sender {
    place: ResourceNo,
    component: ComponentNo,
    /// The resource as a hash, because the number of its place may be another's one day.
    resource: u64,
}

/// What all points of a metric in a request have in common.
struct Of<'a> {
    meaning: u16,
    sender: Sender,
    temporality: Temporality,
    sent: &'a Meaning,
    /// Resource, scope and name, as a hash.
    identity: u64,
}

impl Aggregator {
    /// Takes the data points of a request.
    pub(super) fn absorb_points(&mut self, request: &ExportMetricsServiceRequest) -> Absorbed {
        let mut absorbed = Absorbed::default();
        for of_resource in &request.resource_metrics {
            let metrics = || of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            let seen = self.grid.number(self.now_ns);
            let (place, component) =
                match self.components.resource(of_resource.resource.as_ref(), seen) {
                    Ok(known) => known,
                    Err(reason) => {
                        let points = metrics().map(points::count).sum::<usize>();
                        absorbed.drop(reason, points as u64);
                        continue;
                    }
                };
            let resource = self.components.place(place).map_or(0, |place| place.hash);
            let sender = Sender { place, component, resource };
            for of_scope in &of_resource.scope_metrics {
                let scope = of_scope.scope.as_ref().map_or("", |scope| &scope.name);
                let scope = xxh3_64_with_seed(scope.as_bytes(), resource);
                for metric in &of_scope.metrics {
                    self.absorb_metric(sender, scope, metric, &mut absorbed);
                }
            }
        }
        self.totals.points += absorbed.accepted;
        absorbed
    }

    fn absorb_metric(
        &mut self,
        sender: Sender,
        scope: u64,
        metric: &Metric,
        absorbed: &mut Absorbed,
    ) {
        let all = points::count(metric) as u64;
        let Some((meaning, sent)) = self.meanings.of(&metric.name) else {
            absorbed.accepted += all;
            self.totals.points_unused += all;
            return;
        };
        let temporality = match &metric.data {
            None | Some(Data::Gauge(_)) => Some(Temporality::Gauge),
            Some(Data::Summary(_)) => Some(Temporality::Cumulative),
            // What goes up and down is told by where it stands.
            Some(Data::Sum(sum)) if !sum.is_monotonic => {
                match temporality(sum.aggregation_temporality) {
                    Some(Temporality::Cumulative) => Some(Temporality::Gauge),
                    other => other,
                }
            }
            Some(Data::Sum(sum)) => temporality(sum.aggregation_temporality),
            Some(Data::Histogram(data)) => temporality(data.aggregation_temporality),
            Some(Data::ExponentialHistogram(data)) => temporality(data.aggregation_temporality),
        };
        let Some(temporality) = temporality else {
            return absorbed.drop(Reason::NoTemporality, all);
        };
        let identity = xxh3_64_with_seed(metric.name.as_bytes(), scope);
        let of = Of { meaning, sender, temporality, sent: &sent, identity };
        points::each(metric, |point| match self.absorb_point(&of, &point) {
            Ok(()) => absorbed.accepted += 1,
            Err(reason) => absorbed.drop(reason, 1),
        });
    }

    fn absorb_point(&mut self, of: &Of<'_>, sent: &Sent<'_>) -> Result<(), Reason> {
        let limits = &self.settings.limits;
        if sent.attributes.len() > limits.attributes {
            return Err(Reason::TooManyAttributes);
        }
        // The series says that it has no value now.
        if sent.flags & 1 == 1 {
            return Ok(());
        }
        let time_ns = window::sent(sent.time_unix_nano).ok_or(Reason::InvalidTime)?;
        let start_ns = window::sent(sent.start_time_unix_nano).unwrap_or(0);
        if start_ns > time_ns {
            return Err(Reason::InvalidTime);
        }
        let number = self.accepts(time_ns)?;
        let value = sent.value.checked(limits.buckets)?;
        let peer = match of.sent {
            Meaning::Calls { .. } => self.peers.number(&Said::read(sent.attributes), number)?,
            _ => 0,
        };
        // A peer that was forgotten comes back under another number, and its own may be
        // another's by then.
        let identity = of.identity.wrapping_add(attributes::hash_all(sent.attributes));
        let key = identity.wrapping_add(xxh3_64(&peer.to_le_bytes()));
        let series = match self.series.find(key) {
            Some(series) => series,
            None => {
                let stream = Stream {
                    resource: of.sender.resource,
                    component: of.sender.component,
                    meaning: of.meaning,
                    temporality: of.temporality,
                    peer,
                };
                let failed = failed(sent.attributes);
                self.series.insert(key, stream, failed, number)?
            }
        };
        self.note(number, of.sender.place, of.sender.component, time_ns);
        let most = self.series.most_points();
        let window = self.open.entry(number).or_default();
        let point = Point { series, start_ns, time_ns, value: self.series.pack(&value) };
        self.series.keep(number, point, of.temporality, &mut window.points, most)
    }
}

impl Aggregator {
    /// What the metrics of a window come to, by component.
    pub(super) fn gathered(&mut self, number: Number, points: Vec<Point>) -> Gathered {
        let mut gathered = Gathered::new();
        let mut superseded = 0;
        let (meanings, grid) = (&self.meanings, self.grid);
        let (peers, components, totals) = (&mut self.peers, &mut self.components, &mut self.totals);
        self.series.close(&grid, number, points, &mut superseded, |growth| {
            let stream = growth.stream;
            let meaning = meanings.get(stream.meaning);
            let component = match meaning {
                Meaning::Calls { .. } => {
                    match peers.resolve(components, stream.component, stream.peer, number) {
                        Callee::Known(callee) => callee,
                        Callee::Unknown => return,
                        Callee::NoRoom(reason) => return totals.drop(reason, 1),
                    }
                }
                _ => stream.component,
            };
            let signals = gathered.entry((component, growth.windows)).or_default();
            signals.add(meaning, &growth, grid.width_ns());
        });
        self.totals.points_superseded += superseded;
        gathered
    }
}

fn temporality(number: i32) -> Option<Temporality> {
    match AggregationTemporality::try_from(number).ok()? {
        AggregationTemporality::Delta => Some(Temporality::Delta),
        AggregationTemporality::Cumulative => Some(Temporality::Cumulative),
        AggregationTemporality::Unspecified => None,
    }
}

/// Whether the requests that a series counts are those that failed.
fn failed(attributes: &[KeyValue]) -> bool {
    let mut failed = None;
    for attribute in attributes {
        match attribute.key.as_str() {
            "http.response.status_code" | "http.status_code" => {
                let status = whole(attribute).unwrap_or_default();
                return status >= 500;
            }
            // What gRPC's conventions count as an error of the server's.
            "rpc.grpc.status_code" => {
                let status = whole(attribute).unwrap_or_default();
                return matches!(status, 2 | 4 | 12..=15);
            }
            "error.type" => failed = text(attribute),
            _ => {}
        }
    }
    failed.is_some()
}

#[cfg(test)]
mod tests;
