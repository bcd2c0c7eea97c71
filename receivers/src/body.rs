//! From the bytes of a request to a document: media type, compression, and how large either may
//! be. What is refused says which of its words was wrong and what would be right.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Protocol buffers.
    Protobuf,
    /// JSON.
    Json,
}

impl Media {
    /// The `Content-Type` of an answer in the same form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// How the bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// Compressed by gzip.
    Gzip,
}

/// What the headers of a request say of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// How the document is written.
    pub media: Media,
    /// How its bytes are packed.
    pub encoding: Encoding,
}

impl Content {
    /// Reads `Content-Type` and `Content-Encoding`. Parameters of the media type are passed over.
    pub fn read(content_type: Option<&str>, encoding: Option<&str>) -> Result<Self, Refusal> {
        let given = content_type.unwrap_or_default();
        let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let media = match media.as_str() {
            "application/x-protobuf" | "application/protobuf" => Media::Protobuf,
            "application/json" => Media::Json,
            _ => return Err(Refusal::MediaType { got: short(given) }),
        };
        let given = encoding.unwrap_or("identity");
        let encoding = match given.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Encoding::Identity,
            "gzip" | "x-gzip" => Encoding::Gzip,
            _ => return Err(Refusal::Encoding { got: short(given) }),
        };
        Ok(Self { media, encoding })
    }
}

/// How large a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes, after decompression.
    pub max_bytes: usize,
    /// Most memory that the decoded document may take, as it is estimated before decoding: a
    /// span of two bytes on the wire is a structure of four hundred.
    pub max_decoded_bytes: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_decoded_bytes: 128 << 20 }
    }
}

/// Why a request was refused as a whole. Nothing of it was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A `Content-Type` that is not spoken.
    #[error("expected content type application/x-protobuf or application/json, got {got:?}")]
    MediaType {
        /// What was given.
        got: String,
    },
    /// A `Content-Encoding` that is not spoken.
    #[error("expected content encoding gzip or identity, got {got:?}")]
    Encoding {
        /// What was given.
        got: String,
    },
    /// More bytes than accepted, after decompression.
    #[error("expected a body of at most {limit} bytes after decompression")]
    TooLarge {
        /// Most accepted bytes.
        limit: usize,
    },
    /// A document that would take more memory than its sender is given.
    #[error("the decoded request would take more than {limit} bytes; send smaller batches")]
    DecodedTooLarge {
        /// Most accepted bytes.
        limit: usize,
    },
    /// Bytes that gzip cannot unpack.
    #[error("the body is not valid gzip, or it is cut off")]
    Gzip,
    /// A document that is not what it should be.
    #[error("expected {expected}: {reason}")]
    Malformed {
        /// What would be right.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Refusal {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MediaType { .. } => "unsupported_media_type",
            Self::Encoding { .. } => "unsupported_content_encoding",
            Self::TooLarge { .. } => "body_too_large",
            Self::DecodedTooLarge { .. } => "decoded_too_large",
            Self::Gzip => "invalid_gzip",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// The HTTP status. None of them asks a client to try again.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::MediaType { .. } | Self::Encoding { .. } => 415,
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } => 413,
            Self::Gzip | Self::Malformed { .. } => 400,
        }
    }

    /// The code of `google.rpc.Status`: `INVALID_ARGUMENT`, which a client of OTLP does not
    /// retry; `RESOURCE_EXHAUSTED` could be read as an invitation to.
    pub fn grpc_code(&self) -> i32 {
        3
    }
}

/// The bytes as they were before compression. Stops as soon as there are more than accepted, so
/// that what a small body unpacks to costs no more than the limit.
pub fn unpacked(
    body: &[u8],
    encoding: Encoding,
    max_bytes: usize,
) -> Result<std::borrow::Cow<'_, [u8]>, Refusal> {
    if body.len() > max_bytes {
        return Err(Refusal::TooLarge { limit: max_bytes });
    }
    if encoding == Encoding::Identity {
        return Ok(body.into());
    }
    let mut bytes = Vec::with_capacity((body.len() * 4).min(max_bytes));
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut bytes).map_err(|_| Refusal::Gzip)?;
    if bytes.len() > max_bytes {
        return Err(Refusal::TooLarge { limit: max_bytes });
    }
    Ok(bytes.into())
}

/// As much of a header as an answer repeats.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn headers_say_how_to_read_and_what_is_unknown_is_named() {
        let read = Content::read(Some("Application/JSON; charset=utf-8"), Some("GZIP")).unwrap();
        assert_eq!(read, Content { media: Media::Json, encoding: Encoding::Gzip });
        let read = Content::read(Some("application/x-protobuf"), None).unwrap();
        assert_eq!(read, Content { media: Media::Protobuf, encoding: Encoding::Identity });
        for wrong in [None, Some("text/plain"), Some("")] {
            let refusal = Content::read(wrong, None).unwrap_err();
            assert_eq!((refusal.code(), refusal.http_status()), ("unsupported_media_type", 415));
        }
        let refusal = Content::read(Some("application/json"), Some("br")).unwrap_err();
        assert!(refusal.to_string().contains("\"br\""), "{refusal}");
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_a_cut_stream_as_invalid() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let refusal = unpacked(&bomb, Encoding::Gzip, 1 << 20).unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge { limit: 1 << 20 });
        let whole = gzip(b"a small document");
        assert_eq!(&*unpacked(&whole, Encoding::Gzip, 100).unwrap(), b"a small document");
        let cut = &whole[..whole.len() - 5];
        assert_eq!(unpacked(cut, Encoding::Gzip, 100).unwrap_err(), Refusal::Gzip);
        assert_eq!(unpacked(b"plain", Encoding::Gzip, 100).unwrap_err(), Refusal::Gzip);
        let refusal = unpacked(&[0; 101], Encoding::Identity, 100).unwrap_err();
        assert_eq!(refusal.http_status(), 413);
    }
}
