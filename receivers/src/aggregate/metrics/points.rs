//! Data points of every kind, seen alike.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint,
};

use super::histogram::{Buckets, Distribution};
use super::packed::Packed;
use crate::aggregate::dropped::Reason;

/// A data point as it was sent.
pub struct Sent<'a> {
    pub attributes: &'a [KeyValue],
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub flags: u32,
    pub value: Measured<'a>,
}

/// The value of a data point as it was sent.
pub enum Measured<'a> {
    Number(&'a NumberDataPoint),
    Histogram(&'a HistogramDataPoint),
    Exponential(&'a ExponentialHistogramDataPoint),
    Summary(&'a SummaryDataPoint),
}

/// A data point that waits for its window to be closed.
#[derive(Clone, Debug)]
pub struct Point {
    pub series: u32,
    /// 0 if the sender does not tell.
    pub start_ns: i64,
    pub time_ns: i64,
    pub value: Kept,
}

/// A finite number, or a distribution.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Number(f64),
    Distribution(Distribution<'a>),
}

/// A value as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    Number(f64),
    Distribution(Packed),
}

/// How many points a metric has.
pub fn count(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}

/// Calls `of` with every point of a metric.
pub fn each<'a>(metric: &'a Metric, mut of: impl FnMut(Sent<'a>)) {
    macro_rules! each {
        ($points:expr, $measured:ident) => {
            for point in $points {
                of(Sent {
                    attributes: &point.attributes,
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    flags: point.flags,
                    value: Measured::$measured(point),
                });
            }
        };
    }
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => each!(&data.data_points, Number),
        Some(Data::Sum(data)) => each!(&data.data_points, Number),
        Some(Data::Histogram(data)) => each!(&data.data_points, Histogram),
        Some(Data::ExponentialHistogram(data)) => each!(&data.data_points, Exponential),
        Some(Data::Summary(data)) => each!(&data.data_points, Summary),
    }
}

impl<'a> Measured<'a> {
    /// The value, if it is one: finite, and with as many counts as there are buckets.
    pub fn checked(&self, most_buckets: usize) -> Result<Value<'a>, Reason> {
        let finite = |number: f64| number.is_finite().then_some(number);
        let distribution = match self {
            Self::Number(point) => {
                let number = match point.value {
                    Some(Number::AsDouble(number)) => finite(number),
                    Some(Number::AsInt(number)) => Some(number as f64),
                    None => None,
                };
                return number.map(Value::Number).ok_or(Reason::InvalidValue);
            }
            Self::Histogram(point) => {
                if point.bucket_counts.len() > most_buckets {
                    return Err(Reason::TooManyBuckets);
                }
                Distribution {
                    count: point.count,
                    sum: finite(point.sum.unwrap_or_default()).ok_or(Reason::InvalidValue)?,
                    buckets: Buckets::explicit(&point.explicit_bounds, &point.bucket_counts)
                        .ok_or(Reason::InvalidValue)?,
                }
            }
            Self::Exponential(point) => {
                let positive = point.positive.as_ref();
                let counts = positive.map(|it| it.bucket_counts.as_slice()).unwrap_or_default();
                if counts.len() > most_buckets {
                    return Err(Reason::TooManyBuckets);
                }
                // Durations are not negative: what stands there is about zero.
                let negative = point.negative.as_ref().map(|it| it.bucket_counts.as_slice());
                let below = negative
                    .unwrap_or_default()
                    .iter()
                    .fold(0, |sum: u64, count| sum.saturating_add(*count));
                Distribution {
                    count: point.count,
                    sum: finite(point.sum.unwrap_or_default()).ok_or(Reason::InvalidValue)?,
                    buckets: Buckets::exponential(
                        point.scale,
                        positive.map_or(0, |it| it.offset),
                        point.zero_count.saturating_add(below),
                        counts,
                    )
                    .ok_or(Reason::InvalidValue)?,
                }
            }
            Self::Summary(point) => {
                if point.quantile_values.len() > most_buckets {
                    return Err(Reason::TooManyBuckets);
                }
                Distribution {
                    count: point.count,
                    sum: finite(point.sum).ok_or(Reason::InvalidValue)?,
                    buckets: Buckets::summary(&point.quantile_values)
                        .ok_or(Reason::InvalidValue)?,
                }
            }
        };
        if !distribution.is_sane() {
            return Err(Reason::InvalidValue);
        }
        Ok(Value::Distribution(distribution))
    }
}
