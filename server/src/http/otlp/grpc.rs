//! The same over gRPC.
//!
//! The messages are left as bytes for [`receivers`] to read: a generated codec would decode them
//! without a bound on memory, and could not know a repetition.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes};
use receivers::body::{Encoding, Media};
use receivers::otlp::answer;
use receivers::{Content, Refusal};
use tonic_otlp::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_otlp::server::Grpc;
use tonic_otlp::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::super::App;
use crate::otlp::{Declined, RETRY_AFTER, Signal};

/// `…/Export` of a service of OTLP: one message in, one out, by gzip where the client wants it.
pub(in crate::http) async fn export<S: Signal>(
    State(app): State<App>,
    request: Request,
) -> Response {
    let _room = match app.otlp.room(None).await {
        Ok(room) => room,
        Err(declined) => return status(declined).into_http(),
    };
    let limit = usize::try_from(app.config.otlp.max_body_bytes).unwrap_or(usize::MAX);
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limit);
    let service = tower::service_fn(move |request: tonic_otlp::Request<Bytes>| {
        let app = app.clone();
        async move { taken::<S>(&app, request.into_inner()).await }
    });
    let answer = grpc.unary(service, request).await.map(Body::new);
    match Status::from_header_map(answer.headers()) {
        // What tonic says of a message that is too large asks clients to send it again.
        Some(refused) if refused.code() == Code::OutOfRange => {
            status(Declined::Refused(Refusal::TooLarge { limit })).into_http()
        }
        _ => answer,
    }
}

async fn taken<S: Signal>(
    app: &App,
    message: Bytes,
) -> Result<tonic_otlp::Response<Bytes>, Status> {
    let content = Content { media: Media::Protobuf, encoding: Encoding::Identity };
    match app.otlp.take::<S>(content, message).await {
        Ok(absorbed) => {
            let body = answer::<S>(Media::Protobuf, absorbed.rejected());
            Ok(tonic_otlp::Response::new(body.into()))
        }
        Err(declined) => Err(status(declined)),
    }
}

fn status(declined: Declined) -> Status {
    match declined {
        Declined::Refused(refusal) => {
            let message = format!("{}: {refusal}", refusal.code());
            Status::new(Code::from_i32(refusal.grpc_code()), message)
        }
        Declined::Busy(why) => {
            let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
            let message = format!("overloaded: {why}; send the same request again");
            Status::with_error_details(Code::Unavailable, message, details)
        }
    }
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
