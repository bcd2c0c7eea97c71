//! The configuration as people read it: TOML, with the names of what is not set.

use serde_json::Value;

use super::Config;

/// The configuration as TOML. The settings without a value stand in a comment below it.
pub(super) fn printed(config: &Config) -> Result<String, toml::ser::Error> {
    let mut printed = toml::to_string(config)?;
    let document = serde_json::to_value(config).expect("what TOML can say, JSON can");
    let mut names = Vec::new();
    find_unset("", &document, &mut names);
    if !names.is_empty() {
        printed.push_str("\n# Not set:\n");
    }
    names.iter().for_each(|name| printed.push_str(&format!("# {name}\n")));
    Ok(printed)
}

/// The names without a value.
fn find_unset(table: &str, value: &Value, names: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let name = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
        match value {
            Value::Null => names.push(name),
            _ => find_unset(&name, value, names),
        }
    }
}
