//! How one field takes a new value.

use events::Timestamp;
use surrealdb::types::{Array, Datetime, Number, Object, Value};

use super::shifted;
use crate::change::{Keep, LAST_SEEN_STEP_MS, Merge};
use crate::value::{datetime, float, timestamp};

/// What a merge would do to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// The row says the same, and only the time of whom it believes moves.
    Stamp,
    /// The row says something else.
    Says,
}

/// What [`into`] would do.
pub(super) fn effect(fields: &Object, field: &'static str, merge: &Merge) -> Effect {
    let current = fields.get(field);
    let says = |changes: bool| if changes { Effect::Says } else { Effect::None };
    match merge {
        Merge::Set(value) => says(!same(current, value)),
        Merge::First(value) => says(is_absent(current) && !same(current, value)),
        Merge::Newest(at, value) => match stamp(fields, field) {
            Some(stamp) if *at < stamp => Effect::None,
            _ if !same(current, value) => Effect::Says,
            Some(stamp) if *at == stamp => Effect::None,
            _ => Effect::Stamp,
        },
        Merge::Earliest(at) => says(moment(current).is_none_or(|current| *at < current)),
        Merge::Latest(at) => says(moment(current).is_none_or(|current| *at > current)),
        Merge::LatestInSteps(at) => says(is_a_step(current, *at)),
        Merge::Largest(number) => says(number_of(current).is_none_or(|current| *number > current)),
        Merge::Entry { by, entry, keep } => {
            let known = match current {
                Some(Value::Array(entries)) => {
                    entries.iter().find(|known| key(known, by) == entry.get(*by))
                }
                _ => None,
            };
            says(known.is_none_or(|known| match keep {
                Keep::Newer => !matches!(known, Value::Object(known) if known == entry),
                Keep::Stronger => strength(entry) > strength_of(known),
            }))
        }
    }
}

/// Merges into the field of a row.
pub(super) fn into(fields: &mut Object, field: &'static str, merge: Merge) {
    let current = fields.get(field);
    match merge {
        Merge::Set(value) => put(fields, field, value),
        Merge::First(value) => {
            if is_absent(current) {
                put(fields, field, value);
            }
        }
        Merge::Newest(at, value) => {
            if stamped(fields, field, at) {
                put(fields, field, value);
            }
        }
        Merge::Earliest(at) => {
            if moment(current).is_none_or(|current| at < current) {
                put(fields, field, Value::Datetime(datetime(at)));
            }
        }
        Merge::Latest(at) => {
            if moment(current).is_none_or(|current| at > current) {
                put(fields, field, Value::Datetime(datetime(at)));
            }
        }
        Merge::LatestInSteps(at) => {
            if is_a_step(current, at) {
                put(fields, field, Value::Datetime(datetime(at)));
            }
        }
        Merge::Largest(number) => {
            if number_of(current).is_none_or(|current| number > current) {
                put(fields, field, float(number));
            }
        }
        Merge::Entry { by, entry, keep } => {
            let mut entries = match fields.remove(field) {
                Some(Value::Array(entries)) => entries.into_inner(),
                _ => Vec::new(),
            };
            put_entry(&mut entries, by, entry, keep);
            put(fields, field, Value::Array(Array::from(entries)));
        }
    }
}

fn is_absent(current: Option<&Value>) -> bool {
    matches!(current, None | Some(Value::None))
}

fn same(current: Option<&Value>, value: &Value) -> bool {
    current.unwrap_or(&Value::None) == value
}

fn is_a_step(current: Option<&Value>, at: Timestamp) -> bool {
    moment(current).is_none_or(|current| at >= shifted(current, LAST_SEEN_STEP_MS))
}

fn stamp(fields: &Object, field: &str) -> Option<Timestamp> {
    match fields.get("stamps") {
        Some(Value::Object(stamps)) => moment(stamps.get(field)),
        _ => None,
    }
}

fn key<'a>(entry: &'a Value, by: &str) -> Option<&'a Value> {
    match entry {
        Value::Object(entry) => entry.get(by),
        _ => None,
    }
}

fn put(fields: &mut Object, field: &'static str, value: Value) {
    fields.insert(field, value);
}

/// Whether what is said of `at` stands; notes the time when it does.
fn stamped(fields: &mut Object, field: &'static str, at: Timestamp) -> bool {
    let mut stamps = match fields.remove("stamps") {
        Some(Value::Object(stamps)) => stamps,
        _ => Object::new(),
    };
    let stands = moment(stamps.get(field)).is_none_or(|stamp| at >= stamp);
    if stands {
        stamps.insert(field, Value::Datetime(datetime(at)));
    }
    fields.insert("stamps", Value::Object(stamps));
    stands
}

fn put_entry(entries: &mut Vec<Value>, by: &'static str, entry: Object, keep: Keep) {
    let new = entry.get(by);
    let place = entries.iter().position(|old| key(old, by) >= new);
    match place {
        Some(place) if key(&entries[place], by) == new => {
            if keep == Keep::Newer || strength(&entry) > strength_of(&entries[place]) {
                entries[place] = Value::Object(entry);
            }
        }
        Some(place) => entries.insert(place, Value::Object(entry)),
        None => entries.push(Value::Object(entry)),
    }
}

fn strength(entry: &Object) -> f64 {
    number_of(entry.get("strength")).unwrap_or_default().abs()
}

fn strength_of(entry: &Value) -> f64 {
    match entry {
        Value::Object(entry) => strength(entry),
        _ => 0.0,
    }
}

fn moment(value: Option<&Value>) -> Option<Timestamp> {
    match value {
        Some(Value::Datetime(stored)) => Some(timestamp(Datetime::from(stored.into_inner()))),
        _ => None,
    }
}

fn number_of(value: Option<&Value>) -> Option<f64> {
    match value {
        Some(Value::Number(Number::Float(number))) => Some(*number),
        // Counts far below 2^53 only.
        Some(Value::Number(Number::Int(number))) => Some(*number as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{object, text};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn merged(merges: impl IntoIterator<Item = Merge>) -> Value {
        let mut fields = Object::new();
        for merge in merges {
            into(&mut fields, "field", merge);
        }
        fields.remove("field").unwrap_or_default()
    }

    #[test]
    fn the_newest_statement_stands_in_whatever_order_they_arrive() {
        let early = Merge::Newest(at(1), text("early"));
        let late = Merge::Newest(at(2), text("late"));
        assert_eq!(merged([early.clone(), late.clone()]), text("late"));
        assert_eq!(merged([late, early]), text("late"));
    }

    #[test]
    fn at_the_same_time_the_last_statement_stands() {
        let one = Merge::Newest(at(1), text("one"));
        let other = Merge::Newest(at(1), text("other"));
        assert_eq!(merged([one, other]), text("other"));
    }

    #[test]
    fn a_late_statement_does_not_bring_back_what_a_newer_one_cleared() {
        let cleared = Merge::Newest(at(2), Value::None);
        assert_eq!(merged([cleared, Merge::Newest(at(1), text("late"))]), Value::None);
    }

    #[test]
    fn first_last_and_largest_keep_their_extremes() {
        assert_eq!(merged([1, 2].map(|n| Merge::First(text(n.to_string())))), text("1"));
        assert_eq!(merged([1, 2].map(|n| Merge::Set(text(n.to_string())))), text("2"));
        let moments = [3, 1, 2].map(at);
        let datetime_of = |second| Value::Datetime(datetime(at(second)));
        assert_eq!(merged(moments.map(Merge::Earliest)), datetime_of(1));
        assert_eq!(merged(moments.map(Merge::Latest)), datetime_of(3));
        assert_eq!(merged([1.0, 3.0, 2.0].map(Merge::Largest)), float(3.0));
    }

    #[test]
    fn what_is_seen_again_soon_is_not_worth_a_change() {
        let seen = |second| Merge::LatestInSteps(at(second));
        let datetime_of = |second| Value::Datetime(datetime(at(second)));
        assert_eq!(merged([5, 1, 604].map(seen)), datetime_of(5));
        assert_eq!(merged([5, 605, 900].map(seen)), datetime_of(605));
    }

    #[test]
    fn an_effect_is_told_before_it_is_made() {
        let symptom = |strength: f64| Merge::Entry {
            by: "signal",
            entry: object([("signal", text("latency")), ("strength", float(strength))]),
            keep: Keep::Stronger,
        };
        let merges = [
            Merge::Set(text("a")),
            Merge::Set(Value::None),
            Merge::First(text("b")),
            Merge::Newest(at(1), text("a")),
            Merge::Newest(at(2), text("a")),
            Merge::Newest(at(2), Value::None),
            Merge::Earliest(at(1)),
            Merge::Earliest(at(2)),
            Merge::Latest(at(1)),
            Merge::LatestInSteps(at(601)),
            Merge::Largest(1.0),
            symptom(1.0),
            symptom(-2.0),
        ];
        // Whatever stands there: a merge changes what the row says exactly when it is told so.
        for first in &merges {
            for second in &merges {
                let mut fields = Object::new();
                into(&mut fields, "field", first.clone());
                let told = effect(&fields, "field", second);
                let said = fields.get("field").cloned().unwrap_or_default();
                let stamps = fields.get("stamps").cloned();
                into(&mut fields, "field", second.clone());
                let says = fields.get("field").cloned().unwrap_or_default() != said;
                let made = match (says, fields.get("stamps").cloned() != stamps) {
                    (true, _) => Effect::Says,
                    (false, true) => Effect::Stamp,
                    (false, false) => Effect::None,
                };
                assert_eq!(told, made, "{first:?}, then {second:?}");
            }
        }
    }

    #[test]
    fn entries_are_told_apart_ordered_and_the_stronger_kept() {
        let symptom = |signal: &str, strength: f64| Merge::Entry {
            by: "signal",
            entry: object([("signal", text(signal)), ("strength", float(strength))]),
            keep: Keep::Stronger,
        };
        let list = merged([
            symptom("latency", 2.0),
            symptom("errors", -3.0),
            symptom("latency", -4.0),
            symptom("errors", 1.0),
        ]);
        let expected = [("errors", -3.0), ("latency", -4.0)].map(|(signal, strength)| {
            Value::Object(object([("signal", text(signal)), ("strength", float(strength))]))
        });
        assert_eq!(list, Value::Array(Array::from(expected.to_vec())));
    }
}
