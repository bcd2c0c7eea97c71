//! Requests and answers of OTLP 1, for HTTP in both encodings and for gRPC.
//!
//! [`decode`] takes the bytes of a body and gives a typed request or a [`Refusal`]. What was
//! refused within an accepted request (a span without an id, a point that comes too late) is for
//! the [`Aggregator`](crate::Aggregator) to say, and [`answer`] writes it as a partial success.

mod answer;
pub(crate) mod attributes;
mod budget;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost_otlp::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{BodyLimits, Content, Media, Refusal, unpacked};
pub use answer::{Rejected, answer, status};
use budget::Shape;

/// A kind of request: traces, metrics or logs.
pub trait Request: Message + Default + DeserializeOwned + sealed::Sealed {
    /// What the answer is.
    type Response: Message + Serialize;
    /// The request's name in messages.
    const NAME: &'static str;

    /// The answer to a request of which something was refused, or nothing.
    fn response(rejected: Option<Rejected>) -> Self::Response;
}

mod sealed {
    pub trait Sealed {
        const SHAPE: super::Shape;
    }
}

macro_rules! request {
    ($($request:ident, $response:ident, $partial:ident, $count:ident, $shape:ident;)*) => {$(
        impl sealed::Sealed for $request {
            const SHAPE: Shape = Shape::$shape;
        }

        impl Request for $request {
            type Response = $response;
            const NAME: &'static str = stringify!($request);

            fn response(rejected: Option<Rejected>) -> $response {
                let partial_success = rejected.map(|rejected| $partial {
                    $count: rejected.count,
                    error_message: rejected.message,
                });
                $response { partial_success }
            }
        }
    )*};
}

request! {
    ExportTraceServiceRequest, ExportTraceServiceResponse, ExportTracePartialSuccess, rejected_spans, Traces;
    ExportMetricsServiceRequest, ExportMetricsServiceResponse, ExportMetricsPartialSuccess, rejected_data_points, Metrics;
    ExportLogsServiceRequest, ExportLogsServiceResponse, ExportLogsPartialSuccess, rejected_log_records, Logs;
}

/// A request, and what its bytes are known again by.
#[derive(Clone, Debug, PartialEq)]
pub struct Received<R> {
    /// The request.
    pub request: R,
    /// A hash of the uncompressed body. A client that did not hear the answer sends the same
    /// bytes again; absent where there were no bytes to hash, and then a repetition is not known.
    pub fingerprint: Option<u128>,
}

impl<R> From<R> for Received<R> {
    fn from(request: R) -> Self {
        Self { request, fingerprint: None }
    }
}

/// Reads the body of a request. Memory is bounded by `limits` whatever the bytes are. A message of
/// gRPC is a body in protocol buffers; giving its bytes here rather than to a generated codec
/// bounds it too, and knows a repetition.
pub fn decode<R: Request>(
    content: Content,
    body: &[u8],
    limits: &BodyLimits,
) -> Result<Received<R>, Refusal> {
    let bytes = unpacked(body, content.encoding, limits.max_bytes)?;
    let malformed = |reason: String| Refusal::Malformed { expected: R::NAME, reason };
    if bytes.len().saturating_mul(budget::MOST_PER_BYTE) > limits.max_decoded_bytes {
        let estimated = match content.media {
            Media::Protobuf => budget::of_protobuf(R::SHAPE, &bytes).map_err(malformed)?,
            Media::Json => budget::of_json(&bytes),
        };
        if estimated > limits.max_decoded_bytes {
            return Err(Refusal::DecodedTooLarge { limit: limits.max_decoded_bytes });
        }
    }
    let request = match content.media {
        Media::Protobuf => R::decode(&*bytes).map_err(|error| malformed(error.to_string()))?,
        Media::Json => {
            // Lists would be read as fields without names.
            if !bytes.trim_ascii_start().starts_with(b"{") {
                return Err(malformed("expected an object".to_owned()));
            }
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?
        }
    };
    let fingerprint = Some(xxhash_rust::xxh3::xxh3_128(&bytes));
    Ok(Received { request, fingerprint })
}

#[cfg(test)]
mod tests;
