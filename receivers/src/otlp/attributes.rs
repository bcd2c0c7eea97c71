//! Looking up attributes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The text of an attribute, if it is one and not empty.
pub fn text(attribute: &KeyValue) -> Option<&str> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The whole number of an attribute; older instrumentation sends it as a text.
pub fn whole(attribute: &KeyValue) -> Option<i64> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        Value::StringValue(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether an attribute is `true`.
pub fn is_true(attribute: &KeyValue) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(Value::BoolValue(true)))
}

/// A hash of a value, so that equal values hash equally.
fn hash(value: Option<&AnyValue>, seed: u64) -> u64 {
    let number = |bytes: [u8; 8]| xxh3_64_with_seed(&bytes, seed);
    match value.and_then(|value| value.value.as_ref()) {
        None => seed,
        Some(Value::StringValue(text)) => xxh3_64_with_seed(text.as_bytes(), seed),
        Some(Value::BytesValue(bytes)) => xxh3_64_with_seed(bytes, seed.wrapping_add(1)),
        Some(Value::BoolValue(it)) => number(u64::from(*it).to_le_bytes()),
        Some(Value::IntValue(it)) => number(it.to_le_bytes()),
        Some(Value::DoubleValue(it)) => number(it.to_bits().to_le_bytes()),
        Some(Value::StringValueStrindex(it)) => number(i64::from(*it).to_le_bytes()),
        Some(Value::ArrayValue(list)) => {
            list.values.iter().fold(seed.wrapping_add(2), |seed, value| hash(Some(value), seed))
        }
        Some(Value::KvlistValue(list)) => {
            let fold = |seed, pair: &KeyValue| {
                hash(pair.value.as_ref(), xxh3_64_with_seed(pair.key.as_bytes(), seed))
            };
            list.values.iter().fold(seed.wrapping_add(3), fold)
        }
    }
}

/// A hash of attributes that does not depend on their order.
pub fn hash_all(attributes: &[KeyValue]) -> u64 {
    let hashes = attributes.iter().map(|attribute| {
        hash(attribute.value.as_ref(), xxh3_64_with_seed(attribute.key.as_bytes(), 0x5eed))
    });
    hashes.fold(0, u64::wrapping_add)
}
