//! Answers: success, partial success, and the status of a refusal, in the encoding of the
//! request.

use prost_otlp::Message;
use prost_otlp::encoding::{int32, string};

use super::Request;
use crate::body::{Media, Refusal};

/// What of an accepted request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How many spans, data points or log records.
    pub count: i64,
    /// Why, and what would be right.
    pub message: String,
}

/// The body of the answer to a request that was taken, all or in part. Its HTTP status is 200:
/// what was rejected would be rejected again, so a client must not retry.
pub fn answer<R: Request>(media: Media, rejected: Option<Rejected>) -> Vec<u8> {
    // JSON would show the unset field as null.
    if rejected.is_none() && media == Media::Json {
        return b"{}".to_vec();
    }
    let response = R::response(rejected);
    match media {
        Media::Protobuf => response.encode_to_vec(),
        Media::Json => json(&response),
    }
}

/// `google.rpc.Status` for a request that was refused.
pub fn status(media: Media, refusal: &Refusal) -> Vec<u8> {
    let (code, message) = (refusal.grpc_code(), format!("{}: {refusal}", refusal.code()));
    match media {
        Media::Protobuf => {
            let mut bytes = Vec::new();
            int32::encode(1, &code, &mut bytes);
            string::encode(2, &message, &mut bytes);
            bytes
        }
        Media::Json => json(&serde_json::json!({ "code": code, "message": message })),
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers have string keys and finite numbers only")
}
