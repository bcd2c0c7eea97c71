//! A JSON value with its place, for reading with exact errors.
//!
//! Every method that returns `None` for a present value has recorded a problem, so that reading
//! goes on behind it and finds the next one.

use std::time::Duration;

use events::value::{Line, Text};
use serde_json::{Map, Value};

use super::problem::Problems;

/// Longest accepted time, one day: longer ones are a mistake in the unit.
const MAX_TIME: Duration = Duration::from_secs(86_400);

/// A value, its JSON pointer, and where its problems go.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) pointer: String,
    problems: &'a Problems,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self { value, pointer: String::new(), problems }
    }

    /// Records that something else is there than `expected`.
    pub(super) fn refuse<T>(&self, expected: &str) -> Option<T> {
        self.problem(format!("expected {expected}, got {}", shown(self.value)))
    }

    /// Records a problem in the caller's words.
    pub(super) fn problem<T>(&self, message: impl Into<String>) -> Option<T> {
        self.problems.add(&self.pointer, message);
        None
    }

    pub(super) fn object(&self) -> Option<Fields<'a>> {
        match self.value {
            Value::Object(map) => Some(Fields { map, node: self.clone() }),
            _ => self.refuse("an object"),
        }
    }

    pub(super) fn list(&self) -> Option<Vec<Node<'a>>> {
        let Value::Array(items) = self.value else { return self.refuse("a list") };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| self.child(&index.to_string(), item))
                .collect(),
        )
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => self.refuse("a text"),
        }
    }

    pub(super) fn line(&self) -> Option<Line> {
        Line::new(self.string()?).map_err(|error| self.problem::<()>(error.to_string())).ok()
    }

    pub(super) fn text(&self) -> Option<Text> {
        Text::new(self.string()?).map_err(|error| self.problem::<()>(error.to_string())).ok()
    }

    /// A name that one of the typed identifiers accepts.
    pub(super) fn name<T: std::str::FromStr>(&self) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.string()?.parse().map_err(|error: T::Err| self.problem::<()>(error.to_string())).ok()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.refuse("true or false"),
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.value.as_f64().or_else(|| self.refuse("a number"))
    }

    /// A time in seconds, as Chaos Toolkit gives pauses and timeouts.
    pub(super) fn seconds(&self) -> Option<Duration> {
        self.time(1.0, "a time from 0 to 86400 seconds")
    }

    /// A time in milliseconds.
    pub(super) fn milliseconds(&self) -> Option<Duration> {
        self.time(0.001, "a time from 0 to 86400000 ms")
    }

    fn time(&self, unit_seconds: f64, expected: &str) -> Option<Duration> {
        let time =
            self.value.as_f64().map(|number| Duration::try_from_secs_f64(number * unit_seconds));
        match time {
            Some(Ok(time)) if time <= MAX_TIME => Some(time),
            _ => self.refuse(expected),
        }
    }

    /// One of the named choices.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found =
            self.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        found.map(|(_, choice)| *choice).or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(&format!("one of {}", names.join(", ")))
        })
    }

    fn child(&self, segment: &str, value: &'a Value) -> Node<'a> {
        let segment = segment.replace('~', "~0").replace('/', "~1");
        Node { value, pointer: format!("{}/{segment}", self.pointer), problems: self.problems }
    }
}

/// The fields of an object.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    node: Node<'a>,
}

impl<'a> Fields<'a> {
    pub(super) fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// The field, unless it is absent or null.
    pub(super) fn optional(&self, name: &str) -> Option<Node<'a>> {
        self.map
            .get(name)
            .filter(|value| !value.is_null())
            .map(|value| self.node.child(name, value))
    }

    /// The field; `expected` says what it is, for whoever forgot it.
    pub(super) fn required(&self, name: &str, expected: &str) -> Option<Node<'a>> {
        self.optional(name)
            .or_else(|| self.node.problem(format!("`{name}` is missing: expected {expected}")))
    }

    /// Every field with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.map.iter().map(|(name, value)| (name.as_str(), self.node.child(name, value)))
    }

    /// Refuses fields that nobody would read: a misspelt one would be lost silently.
    pub(super) fn only(&self, known: &[&str]) {
        for (name, field) in self.iter() {
            if !known.contains(&name) {
                field.problem::<()>(format!("unknown field; expected one of {}", known.join(", ")));
            }
        }
    }
}

/// A value in an error message: its kind when it is a container, else itself, clipped.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        scalar => {
            let text = scalar.to_string();
            if text.chars().count() <= 80 {
                text
            } else {
                format!("{}…", text.chars().take(80).collect::<String>())
            }
        }
    }
}
