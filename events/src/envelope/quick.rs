//! Reading what is right without a look at what would be wrong: several times as fast as the
//! careful way, which goes over a tree of JSON values and keeps the path to every field.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Event, is_json};
use crate::catalogue::EventData;
use crate::id::EventId;
use crate::value::Line;

/// A CloudEvent whose data is not read yet.
#[derive(serde::Deserialize)]
struct Attributes<'a> {
    specversion: String,
    id: EventId,
    source: Line,
    #[serde(rename = "type")]
    event_type: String,
    subject: Option<Line>,
    time: Option<Timestamp>,
    datacontenttype: Option<String>,
    correlationid: Option<Line>,
    causationid: Option<EventId>,
    traceparent: Option<Line>,
    #[serde(rename = "prunedhash")]
    pruned: Option<IgnoredAny>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// What stands in braces: a structure is read from a list of its values too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Braces<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Braces<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Braces(PhantomData))
    }
}

impl Event {
    /// Reads one CloudEvents JSON object, or a list of them, as [`Self::from_cloud_event`] reads
    /// each. `None` when any of them is to be read that way: it is wrong, and what is wrong is to
    /// be told, or of an older version. Objects that name a field twice are not noticed everywhere.
    pub fn from_right_text(text: &str, received_at: Timestamp) -> Option<Vec<Self>> {
        let list: Vec<Object<Attributes<'_>>> = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text).ok()?,
            false => vec![serde_json::from_str(text).ok()?],
        };
        list.into_iter().map(|Object(attributes)| attributes.event(received_at)).collect()
    }
}

impl Attributes<'_> {
    fn event(self, received_at: Timestamp) -> Option<Event> {
        let is_known = self.specversion == "1.0"
            && self.pruned.is_none()
            && self.data.get().starts_with('{')
            && self.datacontenttype.as_deref().is_none_or(is_json);
        if !is_known {
            return None;
        }
        let data = EventData::from_right_json(&self.event_type, self.data.get())?;
        Some(Event {
            id: self.id,
            source: self.source,
            subject: self.subject,
            time: self.time.unwrap_or(received_at),
            correlation_id: self.correlationid,
            causation_id: self.causationid,
            traceparent: self.traceparent,
            data,
        })
    }
}
