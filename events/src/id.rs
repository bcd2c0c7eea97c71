//! Typed identifiers. Each refuses, when it is read, what no later stage could handle.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of one event: a UUID, version 7 when a client made it, version 5 when the server
/// derived it from the event that caused it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new time-ordered id (UUIDv7). Not for reactors: their ids are [derived](Self::derived).
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the event that plays `role` among those caused by `self`. The same cause and
    /// role give the same id, so that a crash or a replay appends nothing twice.
    pub fn derived(self, role: &str) -> Self {
        Self(Uuid::new_v5(&self.0, role.as_bytes()))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Why a text cannot be an identifier of the named kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} characters without control characters, got {got}")]
pub struct InvalidId {
    what: &'static str,
    max: usize,
    got: String,
}

fn check(what: &'static str, max: usize, text: &str) -> Result<(), InvalidId> {
    let length = text.chars().count();
    let got = if length == 0 {
        "an empty string".to_owned()
    } else if length > max {
        format!("{length} characters")
    } else if text.chars().any(char::is_control) {
        "a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidId { what, max, got })
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Longest accepted length, in characters.
            pub const MAX_CHARS: usize = $max;

            /// Accepts 1 to [`Self::MAX_CHARS`] characters, none of them a control character.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check($what, $max, &text)?;
                Ok(Self(text))
            }

            /// The text as given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": $max,
                    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
                })
            }
        }
    )*};
}

text_id! {
    /// A part of the system that can fail: a service, a database, a load balancer, a client.
    ComponentName, "a component name", 200;
    /// One run of a chaos experiment. A rerun is another id.
    ExperimentId, "an experiment id", 128;
    /// One injection of a fault.
    FaultId, "a fault id", 128;
    /// What kind of fault it is (`latency`, `process_kill`, …); see [`crate::catalogue::fault_kind`].
    FaultKind, "a fault kind", 64;
    /// One incident.
    IncidentId, "an incident id", 128;
    /// One diagnosis of an incident.
    DiagnosisId, "a diagnosis id", 128;
    /// One label.
    LabelId, "a label id", 128;
    /// An alert: its fingerprint, the same while it fires and when it resolves.
    AlertId, "an alert id", 256;
    /// A maintenance window.
    MaintenanceId, "a maintenance id", 128;
    /// A runbook.
    RunbookId, "a runbook id", 128;
    /// A trained model version.
    ModelId, "a model id", 128;
    /// A service level objective.
    SloId, "an SLO id", 128;
    /// An access token's public part.
    TokenId, "a token id", 64;
    /// A stream of the log: the events of one subject, with gapless revisions.
    StreamId, "a stream id", 400;
}
