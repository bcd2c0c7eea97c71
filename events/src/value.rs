//! Validated values with a unit: what cannot be measured cannot be read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Why a number or a text was refused; the message says what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidValue {
    /// A number outside its range, or not finite.
    #[error("expected {expected}, got {got}")]
    Number {
        /// The accepted range in words.
        expected: &'static str,
        /// What was given.
        got: f64,
    },
    /// A text that is empty where it must not be, or too long.
    #[error("expected a text of 1 to {max} characters, got {got}")]
    Text {
        /// Longest accepted length in characters.
        max: usize,
        /// Length of what was given.
        got: usize,
    },
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $accepts:expr, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Refuses everything outside the type's range, NaN and infinities included.
            pub fn new(number: f64) -> Result<Self, InvalidValue> {
                let accepts: fn(f64) -> bool = $accepts;
                if number.is_finite() && accepts(number) {
                    // Negative zero would compare equal and print differently.
                    Ok(Self(number + 0.0))
                } else {
                    Err(InvalidValue::Number { expected: $expected, got: number })
                }
            }

            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = InvalidValue;
            fn try_from(number: f64) -> Result<Self, InvalidValue> {
                Self::new(number)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

number! {
    /// A finite number of any sign.
    Finite, "a finite number", |_| true, { "type": "number" };
    /// A finite number that is zero or more: a duration, a count, a size.
    NonNegative, "a finite number that is 0 or more", |n| n >= 0.0, { "type": "number", "minimum": 0 };
    /// A share or a probability.
    Ratio, "a number from 0 to 1", |n| (0.0..=1.0).contains(&n), { "type": "number", "minimum": 0, "maximum": 1 };
}

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident, $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to the type's longest length, in characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidValue> {
                let text = text.into();
                let got = text.chars().count();
                if (1..=$max).contains(&got) {
                    Ok(Self(text))
                } else {
                    Err(InvalidValue::Text { max: $max, got })
                }
            }

            /// As [`Self::new`], with what is too long cut and an empty text shown as `-`.
            pub fn clipped(text: &str) -> Self {
                if text.is_empty() {
                    return Self("-".to_owned());
                }
                Self(text.chars().take($max).collect())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1, "maxLength": $max })
            }
        }
    )*};
}

text! {
    /// One line: a title, a name, who said it.
    Line, 500;
    /// A paragraph or a document: a description, a post-mortem.
    Text, 100_000;
}
