//! CloudEvents over HTTP: structured, batched and binary mode.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use events::{Event, Timestamp};
use futures::TryStreamExt;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::json;

const SINGLE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";

/// The documents that a body holds.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) list: Vec<Value>,
    /// Whether the client sent a list, so that pointers into it need an index.
    pub(super) batch: bool,
}

/// How the content type and the headers say that events are sent.
enum Mode {
    Single,
    Batch,
    /// Plain JSON: one event or a list of them.
    Either,
    /// Attributes in `ce-` headers, the body is `data`.
    Binary,
}

/// Splits a request into CloudEvents documents, none of them validated yet.
pub(super) fn documents(headers: &HeaderMap, body: &[u8]) -> Result<Documents, ApiError> {
    let mode = mode(headers)?;
    let value = json::parse(body)?;
    match (mode, value) {
        (Mode::Binary, data) => {
            Ok(Documents { list: vec![from_headers(headers, data)?], batch: false })
        }
        (Mode::Batch | Mode::Either, Value::Array(list)) => Ok(Documents { list, batch: true }),
        (Mode::Batch, _) => Err(ApiError::bad_request(
            "not_a_list",
            format!("a body of type {BATCH} is a list of events"),
        )
        .at("")),
        (Mode::Single | Mode::Either, value) => Ok(Documents { list: vec![value], batch: false }),
    }
}

/// The events of a body in which everything is right, and whether it is a list; `None` where
/// [`documents`] are to be looked at.
pub(super) fn right_events(
    headers: &HeaderMap,
    body: &[u8],
    received_at: Timestamp,
) -> Option<(Vec<Event>, bool)> {
    let text = json::right_text(body)?;
    let batch = text.trim_start().starts_with('[');
    match (mode(headers).ok()?, batch) {
        (Mode::Batch | Mode::Either, true) | (Mode::Single | Mode::Either, false) => {
            Some((Event::from_right_text(text, received_at)?, batch))
        }
        _ => None,
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    match headers.get(header::CONTENT_TYPE) {
        Some(value) => value.to_str().unwrap_or("?"),
        None => "",
    }
}

fn mode(headers: &HeaderMap) -> Result<Mode, ApiError> {
    let content_type = content_type(headers);
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase());
    if charset.as_deref().is_some_and(|charset| charset != "utf-8") {
        return Err(unsupported(content_type, "the charset utf-8"));
    }
    let binary = headers.contains_key("ce-specversion") || headers.contains_key("ce-id");
    match media_type.as_str() {
        SINGLE => Ok(Mode::Single),
        BATCH => Ok(Mode::Batch),
        JSON if binary => Ok(Mode::Binary),
        JSON => Ok(Mode::Either),
        other if binary && other.ends_with("+json") => Ok(Mode::Binary),
        _ if binary => Err(unsupported(content_type, "data of type application/json")),
        _ => Err(unsupported(content_type, &format!("{SINGLE}, {BATCH} or {JSON}"))),
    }
}

fn unsupported(got: &str, expected: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("expected {expected}, got {got:?}"),
    )
}

/// Refuses a body that is none of these by its content type.
pub(super) fn require(headers: &HeaderMap, expected: &[&str]) -> Result<(), ApiError> {
    let got = content_type(headers);
    let media_type = got.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match expected.contains(&media_type.as_str()) {
        true => Ok(()),
        false => Err(unsupported(got, &expected.join(", "))),
    }
}

/// Refuses a body that is not JSON by its content type.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    match mode(headers) {
        Ok(Mode::Either) => Ok(()),
        _ => Err(unsupported(content_type(headers), JSON)),
    }
}

/// Binary mode: the attributes are headers, percent-encoded where they are not ASCII.
fn from_headers(headers: &HeaderMap, data: Value) -> Result<Value, ApiError> {
    let mut document = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let text = value.to_str().ok().and_then(percent_decoded).ok_or_else(|| {
            ApiError::bad_request(
                "malformed_header",
                format!("header {name} is not percent-encoded UTF-8"),
            )
            .at(format!("/{attribute}"))
        })?;
        if document.insert(attribute.to_owned(), Value::String(text)).is_some() {
            return Err(ApiError::bad_request(
                "malformed_header",
                format!("header {name} stands there twice"),
            )
            .at(format!("/{attribute}")));
        }
    }
    document.insert("data".to_owned(), data);
    Ok(Value::Object(document))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Reads a body of at most `max_bytes`.
pub(super) async fn body(
    headers: &HeaderMap,
    body: Body,
    max_bytes: u64,
) -> Result<Vec<u8>, ApiError> {
    let too_large = || {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("a body takes at most {max_bytes} bytes"),
        )
        .with("max_bytes", max_bytes)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok())
        .unwrap_or(0);
    // A client that is still sending does not read an early answer: what is only somewhat too
    // large is read and thrown away, so that the answer arrives.
    let worth_draining = max_bytes.saturating_mul(4);
    if announced > worth_draining {
        return Err(too_large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::with_capacity(usize::try_from(announced.min(max_bytes)).unwrap_or(0));
    let mut read: u64 = 0;
    while let Some(chunk) = stream.try_next().await.map_err(|error| {
        ApiError::bad_request(
            "incomplete_body",
            format!("the body ended early or is not what its headers say: {error}"),
        )
    })? {
        read = read.saturating_add(chunk.len() as u64);
        if read > worth_draining {
            return Err(too_large());
        }
        if read > max_bytes {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    if read > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone_or_refused() {
        assert_eq!(percent_decoded("Euro %E2%82%AC"), Some("Euro €".to_owned()));
        assert_eq!(percent_decoded("100%"), None);
        assert_eq!(percent_decoded("%zz"), None);
        assert_eq!(percent_decoded("%ff"), None);
    }
}
