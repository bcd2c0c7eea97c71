//! How much memory a request would take when it is decoded, told from its bytes without decoding.
//!
//! An empty span is two bytes in protocol buffers and three in JSON, and a structure of hundreds
//! of bytes when it is decoded, so a limit on the body alone would bound nothing.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// A message of OTLP, by what its fields hold.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Traces,
    ResourceSpans,
    ScopeSpans,
    Span,
    Metrics,
    ResourceMetrics,
    ScopeMetrics,
    Metric,
    NumberPoints,
    HistogramPoints,
    ExponentialPoints,
    SummaryPoints,
    NumberPoint,
    HistogramPoint,
    ExponentialPoint,
    SummaryPoint,
    Exemplar,
    Logs,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
    Resource,
    Scope,
    EntityRef,
    Event,
    Link,
    KeyValue,
    AnyValue,
    Array,
    KeyValueList,
    Buckets,
}

/// The most memory that one byte can stand for: half of the largest structure, whose empty form
/// is two bytes. What is small enough by that needs no estimate.
pub const MOST_PER_BYTE: usize = {
    let sizes = [
        size_of::<Span>(),
        size_of::<LogRecord>(),
        size_of::<Metric>(),
        size_of::<HistogramDataPoint>(),
        size_of::<ExponentialHistogramDataPoint>(),
        size_of::<ResourceMetrics>(),
    ];
    let (mut largest, mut index) = (0, 0);
    while index < sizes.len() {
        if sizes[index] > largest {
            largest = sizes[index];
        }
        index += 1;
    }
    largest / 2 + 1
};

/// What a length-delimited field holds.
enum Holds {
    /// A message, with the size of its structure.
    Message(Shape, usize),
    /// One of several texts.
    Text,
    /// Numbers without a tag each.
    Packed,
    /// A text or bytes, or something that is passed over.
    Other,
}

/// Levels of values within values that prost decodes.
const MAX_DEPTH: u32 = 100;

impl Shape {
    fn field(self, number: u64) -> Holds {
        use Holds::{Message, Packed, Text};
        let attribute = Message(Self::KeyValue, size_of::<KeyValue>());
        match (self, number) {
            (Self::Traces, 1) => Message(Self::ResourceSpans, size_of::<ResourceSpans>()),
            (Self::ResourceSpans, 2) => Message(Self::ScopeSpans, size_of::<ScopeSpans>()),
            (Self::ScopeSpans, 2) => Message(Self::Span, size_of::<Span>()),
            (Self::Span, 11) => Message(Self::Event, size_of::<Event>()),
            (Self::Span, 13) => Message(Self::Link, size_of::<Link>()),
            (Self::Metrics, 1) => Message(Self::ResourceMetrics, size_of::<ResourceMetrics>()),
            (Self::ResourceMetrics, 2) => Message(Self::ScopeMetrics, size_of::<ScopeMetrics>()),
            (Self::ScopeMetrics, 2) => Message(Self::Metric, size_of::<Metric>()),
            (Self::Metric, 5 | 7) => Message(Self::NumberPoints, 0),
            (Self::Metric, 9) => Message(Self::HistogramPoints, 0),
            (Self::Metric, 10) => Message(Self::ExponentialPoints, 0),
            (Self::Metric, 11) => Message(Self::SummaryPoints, 0),
            (Self::NumberPoints, 1) => Message(Self::NumberPoint, size_of::<NumberDataPoint>()),
            (Self::HistogramPoints, 1) => {
                Message(Self::HistogramPoint, size_of::<HistogramDataPoint>())
            }
            (Self::ExponentialPoints, 1) => {
                Message(Self::ExponentialPoint, size_of::<ExponentialHistogramDataPoint>())
            }
            (Self::SummaryPoints, 1) => Message(Self::SummaryPoint, size_of::<SummaryDataPoint>()),
            (Self::NumberPoint, 5) | (Self::HistogramPoint, 8) | (Self::ExponentialPoint, 11) => {
                Message(Self::Exemplar, size_of::<Exemplar>())
            }
            (Self::ExponentialPoint, 8 | 9) => Message(Self::Buckets, 0),
            (Self::SummaryPoint, 6) => Message(Self::Array, size_of::<ValueAtQuantile>()),
            (Self::HistogramPoint, 6 | 7) | (Self::Buckets, 2) => Packed,
            (Self::Logs, 1) => Message(Self::ResourceLogs, size_of::<ResourceLogs>()),
            (Self::ResourceLogs, 2) => Message(Self::ScopeLogs, size_of::<ScopeLogs>()),
            (Self::ScopeLogs, 2) => Message(Self::LogRecord, size_of::<LogRecord>()),
            (Self::LogRecord, 5) => Message(Self::AnyValue, 0),
            (Self::ResourceSpans | Self::ResourceMetrics | Self::ResourceLogs, 1) => {
                Message(Self::Resource, 0)
            }
            (Self::ScopeSpans | Self::ScopeMetrics | Self::ScopeLogs, 1) => Message(Self::Scope, 0),
            (Self::Resource, 3) => Message(Self::EntityRef, size_of::<EntityRef>()),
            (Self::EntityRef, 3 | 4) => Text,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Link, 4)
            | (Self::LogRecord, 6)
            | (Self::Span | Self::HistogramPoint, 9)
            | (Self::NumberPoint | Self::SummaryPoint | Self::Exemplar, 7)
            | (Self::ExponentialPoint, 1)
            | (Self::Metric, 12) => attribute,
            (Self::KeyValue, 2) => Message(Self::AnyValue, 0),
            (Self::AnyValue, 5) => Message(Self::Array, 0),
            (Self::AnyValue, 6) => Message(Self::KeyValueList, 0),
            (Self::Array, 1) => Message(Self::AnyValue, size_of::<AnyValue>()),
            _ => Holds::Other,
        }
    }
}

/// The estimate for a message in protocol buffers, or why the bytes are none.
pub fn of_protobuf(shape: Shape, bytes: &[u8]) -> Result<usize, String> {
    let mut reader = Reader { bytes };
    walk(shape, &mut reader, 0).ok_or_else(|| "the bytes end early or are no message".to_owned())
}

fn walk(shape: Shape, reader: &mut Reader<'_>, depth: u32) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut sum = 0_usize;
    while !reader.bytes.is_empty() {
        let tag = reader.varint()?;
        match tag & 7 {
            0 => {
                // A number of its own in a list of numbers.
                reader.varint()?;
                sum += 8;
            }
            1 => {
                reader.skip(8)?;
            }
            2 => {
                let length = usize::try_from(reader.varint()?).ok()?;
                let mut inner = Reader { bytes: reader.skip(length)? };
                sum += match shape.field(tag >> 3) {
                    Holds::Message(shape, size) => size + walk(shape, &mut inner, depth + 1)?,
                    Holds::Text => size_of::<String>() + length,
                    Holds::Packed => length * 8,
                    Holds::Other => length,
                };
            }
            5 => {
                reader.skip(4)?;
            }
            // Groups are no part of OTLP; prost skips them, and so they cost nothing.
            3 | 4 => {}
            _ => return None,
        }
    }
    Some(sum)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for index in 0..10 {
            let byte = *self.bytes.get(index)?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.bytes = &self.bytes[index + 1..];
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }
}

/// What an object of JSON costs in the middle: less than a span, more than an attribute.
const OBJECT: usize = 256;

/// The estimate for a document in JSON: its texts, and the objects that it opens.
pub fn of_json(bytes: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut objects) = (false, false, 0_usize);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => objects += 1,
            _ => {}
        }
    }
    bytes.len() + objects * OBJECT
}
