//! Variables: `${name}` stands for a value of `configuration` or of one of the `secrets` groups.
//!
//! A text that is nothing but `${name}` takes the value with its type; inside a longer text the
//! value is written out. `$${` stands for `${`. An unknown name is refused: Chaos Toolkit would
//! pass the text on as it is, and the experiment would act on a place called `${target}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::problem::Problems;
use super::reader::{Fields, Node, shown};

/// Looks up an environment variable. Given by the command line, so that reading a file has no
/// hidden input.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The values that `${name}` can stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// Reads `configuration` and `secrets` of a document. Configuration wins over secrets of the
    /// same name, as in Chaos Toolkit.
    pub(super) fn read(document: &Fields<'_>, environment: &Environment<'_>) -> Self {
        let mut variables = BTreeMap::new();
        if let Some(groups) = document.optional("secrets").and_then(|node| node.object()) {
            for (_, group) in groups.iter() {
                collect(&group, environment, &mut variables);
            }
        }
        if let Some(configuration) = document.optional("configuration") {
            collect(&configuration, environment, &mut variables);
        }
        Self(variables)
    }

    /// A copy of `value` with every variable replaced; `pointer` is its place.
    pub(super) fn apply(&self, value: &Value, pointer: &str, problems: &Problems) -> Value {
        match value {
            Value::String(text) => match self.apply_text(text) {
                Ok(value) => value,
                Err(message) => {
                    problems.add(pointer, message);
                    value.clone()
                }
            },
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.apply(item, &format!("{pointer}/{index}"), problems))
                .collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| {
                    let segment = name.replace('~', "~0").replace('/', "~1");
                    (name.clone(), self.apply(field, &format!("{pointer}/{segment}"), problems))
                })
                .collect::<Map<_, _>>()
                .into(),
            scalar => scalar.clone(),
        }
    }

    fn apply_text(&self, text: &str) -> Result<Value, String> {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                replaced.push_str(before);
                replaced.push_str("${");
                rest = &from[2..];
                continue;
            }
            let Some(end) = from.find('}') else { break };
            let name = &from[2..end];
            let value = self.0.get(name).ok_or_else(|| self.unknown(name))?;
            if before.is_empty() && replaced.is_empty() && end + 1 == from.len() {
                return Ok(value.clone());
            }
            replaced.push_str(before);
            match value {
                Value::String(value) => replaced.push_str(value),
                other => replaced.push_str(&other.to_string()),
            }
            rest = &from[end + 1..];
        }
        replaced.push_str(rest);
        Ok(replaced.into())
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.0.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
        format!(
            "no configuration or secret is called {name:?} ({known}); write $${{ for a plain ${{"
        )
    }
}

fn collect(group: &Node<'_>, environment: &Environment<'_>, into: &mut BTreeMap<String, Value>) {
    let Some(fields) = group.object() else { return };
    for (name, node) in fields.iter() {
        if let Some(value) = resolve(&node, environment) {
            into.insert(name.to_owned(), value);
        }
    }
}

/// The value of one entry: a literal, or `{"type": "env", "key", "default", "env_var_type"}`.
fn resolve(node: &Node<'_>, environment: &Environment<'_>) -> Option<Value> {
    let kind = node.value.get("type").and_then(Value::as_str);
    match kind {
        Some("env") => {}
        Some("probe" | "vault") => {
            return node.problem(format!(
                "values of type {:?} are not supported; expected a literal or {{\"type\": \"env\", \"key\": …}}",
                kind.unwrap_or_default()
            ));
        }
        _ => return Some(node.value.clone()),
    }
    let fields = node.object()?;
    fields.only(&["type", "key", "default", "env_var_type"]);
    let key = fields.required("key", "the name of an environment variable")?;
    let name = key.string()?;
    match environment(name) {
        Some(text) => typed(&text, &fields),
        None => fields.optional("default").map(|node| node.value.clone()).or_else(|| {
            key.problem(format!(
                "the environment variable {name:?} is not set and has no `default`"
            ))
        }),
    }
}

fn typed(text: &str, fields: &Fields<'_>) -> Option<Value> {
    let Some(kind) = fields.optional("env_var_type") else { return Some(text.into()) };
    let value = match kind.choice(&[
        ("str", 's'),
        ("int", 'i'),
        ("float", 'f'),
        ("bool", 'b'),
        ("json", 'j'),
    ])? {
        'i' => text.parse::<i64>().ok().map(Value::from),
        'f' => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        'b' => text.to_ascii_lowercase().parse::<bool>().ok().map(Value::from),
        'j' => serde_json::from_str(text).ok(),
        _ => Some(json!(text)),
    };
    value.or_else(|| {
        fields.node().problem(format!(
            "the environment variable's value is not of the type {}",
            shown(kind.value)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let values = [("port", json!(8080)), ("host", json!("localhost"))];
        Variables(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    #[test]
    fn a_lone_variable_keeps_its_type_and_one_inside_a_text_is_written_out() {
        let problems = Problems::default();
        let given = json!({"port": "${port}", "url": ["http://${host}:${port}/"], "n": 1});
        let applied = variables().apply(&given, "", &problems);
        assert_eq!(applied, json!({"port": 8080, "url": ["http://localhost:8080/"], "n": 1}));
        assert!(problems.conclude(Some(())).is_ok());
    }

    #[test]
    fn a_doubled_dollar_is_no_variable_and_an_open_brace_is_plain_text() {
        assert_eq!(
            variables().apply_text("$${port} ${host} ${"),
            Ok(json!("${port} localhost ${"))
        );
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_place() {
        let problems = Problems::default();
        variables().apply(&json!({"a/b": ["${prot}"]}), "/method", &problems);
        let error = problems.conclude(Some(())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/method/a~1b/0: no configuration or secret is called \"prot\" (host, port); \
             write $${ for a plain ${"
        );
    }
}
