//! Older versions of event types, brought to the newest when they are read.
//!
//! A stored event is never rewritten. When a type changes its shape, the newest version gets a
//! new number and a step here leads from the version before. Steps are chained, so each is
//! written once. A fixture of every version that was ever stored is kept in `tests/fixtures/`.

use serde_json::Value;

/// From one version of a type to the next.
struct Step {
    from: &'static str,
    to: &'static str,
    data: fn(Value) -> Value,
}

/// Empty until a type has a second version.
const STEPS: &[Step] = &[];

/// The newest type name and data for what was stored; an unknown type is handed back as it is.
pub(crate) fn to_newest(event_type: &str, data: Value) -> (String, Value) {
    apply(STEPS, event_type, data)
}

fn apply(steps: &[Step], event_type: &str, mut data: Value) -> (String, Value) {
    let mut current = event_type;
    while let Some(step) = steps.iter().find(|step| step.from == current) {
        data = (step.data)(data);
        current = step.to;
    }
    (current.to_owned(), data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_chained_to_the_newest_version() {
        let steps = [
            Step {
                from: "a.v1",
                to: "a.v2",
                data: |mut data| {
                    data["p95_ms"] = json!(data["p95_s"].as_f64().unwrap_or(0.0) * 1000.0);
                    data
                },
            },
            Step {
                from: "a.v2",
                to: "a.v3",
                data: |mut data| {
                    data["unit"] = json!("ms");
                    data
                },
            },
        ];
        let (event_type, data) = apply(&steps, "a.v1", json!({ "p95_s": 0.5 }));
        assert_eq!(event_type, "a.v3");
        assert_eq!(data["p95_ms"], 500.0);
        assert_eq!(data["unit"], "ms");
        assert_eq!(apply(&steps, "b.v1", json!({})).0, "b.v1");
    }
}
