//! The configuration as people read it: TOML, with the names of what is not set.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Config;

/// The configuration as TOML. A setting without a value stands in a comment below its table.
pub(super) fn printed(config: &Config) -> Result<String, toml::ser::Error> {
    let text = toml::to_string(config)?;
    let document = serde_json::to_value(config).expect("what TOML can say, JSON can");
    let mut unset = BTreeMap::new();
    find_unset("", &document, &mut unset);
    let (mut printed, mut due) = (String::new(), Vec::new());
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            due.drain(..).for_each(|name| printed.push_str(&format!("# {name} is not set\n")));
        }
        if let Some(table) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            due = unset.remove(table).unwrap_or_default();
        }
        printed.push_str(line);
        printed.push('\n');
    }
    printed.truncate(printed.trim_end().len() + 1);
    Ok(printed)
}

/// The names without a value by their table.
fn find_unset(table: &str, value: &Value, unset: &mut BTreeMap<String, Vec<String>>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        if value.is_null() {
            unset.entry(table.to_owned()).or_default().push(name.clone());
        }
        let inner = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
        find_unset(&inner, value, unset);
    }
}
