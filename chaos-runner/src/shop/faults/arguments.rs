//! A driver's arguments: read with their defaults, refused when unknown or out of range.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::FaultError;

/// What was given, what was read, and what therefore acts.
pub(super) struct Arguments {
    given: BTreeMap<String, Value>,
    acting: BTreeMap<String, Value>,
}

fn invalid(name: &str, message: impl Into<String>) -> FaultError {
    FaultError::InvalidArgument { name: name.to_owned(), message: message.into() }
}

impl Arguments {
    pub(super) fn new(given: &BTreeMap<String, Value>) -> Self {
        Self { given: given.clone(), acting: BTreeMap::new() }
    }

    /// A number in a range.
    pub(super) fn number(
        &mut self,
        name: &str,
        default: f64,
        (least, most): (f64, f64),
    ) -> Result<f64, FaultError> {
        let number = match self.given.remove(name) {
            None => default,
            Some(value) => value
                .as_f64()
                .ok_or_else(|| invalid(name, format!("expected a number, got {value}")))?,
        };
        if !(least..=most).contains(&number) {
            return Err(invalid(name, format!("expected {least} to {most}, got {number}")));
        }
        self.acting.insert(name.to_owned(), number.into());
        Ok(number)
    }

    /// A whole number in a range.
    pub(super) fn count(
        &mut self,
        name: &str,
        default: u64,
        (least, most): (u64, u64),
    ) -> Result<u64, FaultError> {
        let count = match self.given.remove(name) {
            None => default,
            Some(value) => value
                .as_u64()
                .ok_or_else(|| invalid(name, format!("expected a whole number, got {value}")))?,
        };
        if !(least..=most).contains(&count) {
            return Err(invalid(name, format!("expected {least} to {most}, got {count}")));
        }
        self.acting.insert(name.to_owned(), count.into());
        Ok(count)
    }

    /// A time of at most a minute, in milliseconds.
    pub(super) fn millis(&mut self, name: &str, default: u64) -> Result<Duration, FaultError> {
        self.count(name, default, (1, 60_000)).map(Duration::from_millis)
    }

    /// A probability.
    pub(super) fn probability(&mut self, name: &str, default: f64) -> Result<f64, FaultError> {
        self.number(name, default, (0.0, 1.0))
    }

    /// A text that has no default.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FaultError> {
        let Some(value) = self.given.remove(name) else { return Ok(None) };
        let Value::String(text) = value else {
            return Err(invalid(name, format!("expected a text, got {value}")));
        };
        self.acting.insert(name.to_owned(), text.clone().into());
        Ok(Some(text))
    }

    /// Everything that was read, defaults included. What was given and not read is refused: a
    /// misspelt argument would act with its default silently.
    pub(super) fn finish(self) -> Result<BTreeMap<String, Value>, FaultError> {
        match self.given.keys().next() {
            Some(name) => Err(invalid(name, "the driver has no such argument")),
            None => Ok(self.acting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arguments(given: Value) -> Arguments {
        Arguments::new(&serde_json::from_value(given).unwrap())
    }

    #[test]
    fn defaults_act_and_are_reported() {
        let mut arguments = arguments(json!({ "probability": 0.25 }));
        assert_eq!(arguments.probability("probability", 0.5).unwrap(), 0.25);
        assert_eq!(arguments.millis("delay_ms", 250).unwrap(), Duration::from_millis(250));
        let acting = arguments.finish().unwrap();
        assert_eq!(json!(acting), json!({ "probability": 0.25, "delay_ms": 250 }));
    }

    #[test]
    fn unknown_wrong_and_out_of_range_are_refused_by_name() {
        let error = arguments(json!({ "delay": 1 })).finish().unwrap_err();
        assert!(error.to_string().contains("\"delay\""), "{error}");
        let error = arguments(json!({ "delay_ms": "1" })).millis("delay_ms", 1).unwrap_err();
        assert!(error.to_string().contains("whole number"), "{error}");
        let error = arguments(json!({ "p": 1.5 })).probability("p", 0.5).unwrap_err();
        assert!(error.to_string().contains("0 to 1"), "{error}");
        assert!(arguments(json!({ "delay_ms": 0 })).millis("delay_ms", 1).is_err());
    }
}
