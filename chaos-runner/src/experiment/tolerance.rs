//! Which values of a probe are accepted.

use serde_json::Value;

use super::reader::Node;

/// The accepted values, in Chaos Toolkit's forms.
#[derive(Clone, Debug, PartialEq)]
pub enum Tolerance {
    /// Exactly this value; for an answer with a `status`, its status.
    Equals(Value),
    /// A number from the first to the second, both included: `[a, b]` or a `range`.
    Between(f64, f64),
    /// One of a list of other than two values.
    OneOf(Vec<Value>),
}

impl Tolerance {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        match node.value {
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Some(Self::Equals(node.value.clone()))
            }
            Value::Array(items) if items.len() == 2 && items.iter().all(Value::is_number) => {
                Self::bounds(node)
            }
            Value::Array(items) if !items.is_empty() => Some(Self::OneOf(items.clone())),
            Value::Object(_) => {
                let fields = node.object()?;
                let kind = fields.required("type", "\"range\"")?;
                if kind.value != "range" {
                    return kind.problem(format!(
                        "tolerances of type {} are not supported; expected \"range\", a value, or a list",
                        kind.value
                    ));
                }
                fields.only(&["type", "range"]);
                Self::bounds(&fields.required("range", "two numbers, the lowest and the highest")?)
            }
            _ => node.refuse("a value, a list, or {\"type\": \"range\", \"range\": [low, high]}"),
        }
    }

    fn bounds(node: &Node<'_>) -> Option<Self> {
        let items = node.list()?;
        let [low, high] = items.as_slice() else {
            return node.refuse("two numbers, the lowest and the highest");
        };
        let (low, high) = (low.number()?, high.number()?);
        if low > high {
            return node.problem(format!("expected the lower bound first, got [{low}, {high}]"));
        }
        Some(Self::Between(low, high))
    }

    /// Whether `output` is accepted. An object with a `status`, which is what the process and
    /// HTTP providers put out, is judged by it.
    pub fn accepts(&self, output: &Value) -> bool {
        let output = output.get("status").unwrap_or(output);
        match self {
            Self::Equals(expected) => same(expected, output),
            Self::Between(low, high) => {
                output.as_f64().is_some_and(|number| (*low..=*high).contains(&number))
            }
            Self::OneOf(accepted) => accepted.iter().any(|expected| same(expected, output)),
        }
    }

    /// The accepted values in words, with their `unit`.
    pub fn in_words(&self, unit: &str) -> String {
        let words = match self {
            Self::Equals(value) => plain(value),
            Self::Between(low, high) => format!("{low} to {high}"),
            Self::OneOf(values) => values.iter().map(plain).collect::<Vec<_>>().join(" or "),
        };
        if unit.is_empty() { words } else { format!("{words} {unit}") }
    }
}

/// `1` and `1.0` are the same measurement.
fn same(expected: &Value, output: &Value) -> bool {
    match (expected.as_f64(), output.as_f64()) {
        (Some(expected), Some(output)) => expected == output,
        _ => expected == output,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::experiment::problem::Problems;

    fn read(value: &Value) -> Result<Tolerance, String> {
        let problems = Problems::default();
        let read = Tolerance::read(&Node::root(value, &problems));
        problems.conclude(read).map_err(|error| error.to_string())
    }

    #[test]
    fn bounds_are_included_and_written_either_way() {
        for form in [json!([0, 0.5]), json!({"type": "range", "range": [0, 0.5]})] {
            let tolerance = read(&form).unwrap();
            assert!(tolerance.accepts(&json!(0)) && tolerance.accepts(&json!(0.5)));
            assert!(!tolerance.accepts(&json!(0.51)) && !tolerance.accepts(&json!("0.1")));
            assert_eq!(tolerance.in_words("ms"), "0 to 0.5 ms");
        }
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        let answer = json!({"status": 200, "body": "ok"});
        assert!(read(&json!(200)).unwrap().accepts(&answer));
        assert!(read(&json!([200, 299])).unwrap().accepts(&answer));
        assert!(read(&json!([200, 201, 204])).unwrap().accepts(&answer));
        assert!(!read(&json!(204)).unwrap().accepts(&answer));
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        assert_eq!(
            read(&json!({"type": "jsonpath", "path": "$"})).unwrap_err(),
            "/type: tolerances of type \"jsonpath\" are not supported; expected \"range\", a value, or a list"
        );
        assert_eq!(
            read(&json!([5, 1])).unwrap_err(),
            "(the document): expected the lower bound first, got [5, 1]"
        );
        assert_eq!(
            read(&json!({"type": "range", "range": [0, "x"]})).unwrap_err(),
            "/range/1: expected a number, got \"x\""
        );
    }
}
