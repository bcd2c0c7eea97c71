//! What alarmed, and the truth where it is told.

use events::{ComponentName, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Truth;

/// `target.json`, without what was injected.
#[derive(Debug)]
pub struct Target {
    pub component: ComponentName,
    pub metric: String,
    pub statistic: String,
    pub at: Timestamp,
    pub truth: Option<Truth>,
}

#[derive(Deserialize)]
struct Document {
    target: Alarm,
    #[serde(default)]
    root_cause: Value,
}

#[derive(Deserialize)]
struct Alarm {
    node: ComponentName,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    agg: Option<String>,
    timestamp: f64,
}

impl Target {
    /// Reads the document; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Document { target, root_cause } = document;
        let at = Timestamp::from_second(target.timestamp as i64)
            .map_err(|error| format!("target.timestamp: {error}"))?;
        let mut root_causes = Vec::new();
        nodes(&root_cause, &mut root_causes);
        let truth = (!root_causes.is_empty()).then_some(Truth { root_causes, fault_kind: None });
        Ok(Self {
            component: target.node,
            metric: target.metric.unwrap_or_default(),
            statistic: target.agg.unwrap_or_default(),
            at,
            truth,
        })
    }
}

// A name, an object with a `node`, or several of them; blank ones are none.
fn nodes(value: &Value, found: &mut Vec<ComponentName>) {
    match value {
        Value::String(name) => {
            let name = ComponentName::new(name.trim()).ok();
            found.extend(name.filter(|name| !found.contains(name)));
        }
        Value::Array(several) => several.iter().for_each(|value| nodes(value, found)),
        Value::Object(object) => nodes(object.get("node").unwrap_or(&Value::Null), found),
        _ => {}
    }
}
