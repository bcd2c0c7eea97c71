//! The SurrealQL statements that an answer needs at least, in as few round trips as what one
//! tells of the next allows.

use tests::multiply::Copy;

/// Statements that are sent together.
pub type Level = String;

fn record(table: &str, key: &str) -> String {
    format!("{table}:`{key}`")
}

fn records(table: &str, keys: &[String]) -> String {
    let all: Vec<String> = keys.iter().map(|key| record(table, key)).collect();
    format!("[{}]", all.join(", "))
}

fn texts(keys: &[String]) -> String {
    serde_json::to_string(keys).unwrap()
}

fn suspects(copy: &Copy) -> String {
    format!(
        "array::flatten((SELECT VALUE ->(SELECT * FROM suspects WHERE until = NONE) FROM {}))",
        records("diagnosis", &copy.diagnoses)
    )
}

/// Diagnoses of the incident, as rows that name it.
fn diagnoses(copy: &Copy) -> String {
    format!(
        "SELECT * FROM diagnosis WHERE incident IN {} AND at != NONE",
        texts(std::slice::from_ref(&copy.incident))
    )
}

/// An incident with everything that its page shows.
pub fn incident_page(copy: &Copy) -> Vec<Level> {
    let of = texts(std::slice::from_ref(&copy.incident));
    vec![
        format!("SELECT * FROM {}", record("incident", &copy.incident)),
        [
            format!("SELECT * FROM label WHERE incident IN {of}"),
            diagnoses(copy),
            format!("SELECT * FROM mitigation WHERE incident IN {of}"),
            format!("SELECT * FROM timeline_entry WHERE incident IN {of}"),
            format!(
                "array::flatten((SELECT VALUE ->(SELECT * FROM affects WHERE until = NONE) FROM {}))",
                records("incident", std::slice::from_ref(&copy.incident))
            ),
        ]
        .join("; "),
        suspects(copy),
        format!("SELECT * FROM {}", records("component", &copy.components)),
    ]
}

/// The recorded suspects of an incident.
pub fn root_causes(copy: &Copy) -> Vec<Level> {
    vec![
        format!("SELECT * FROM {}", record("incident", &copy.incident)),
        diagnoses(copy),
        suspects(copy),
        format!("SELECT * FROM {}", records("component", &copy.components)),
    ]
}

/// What is told of the incidents that were found similar.
pub fn similar(copy: &Copy, found: &[String]) -> Vec<Level> {
    vec![
        format!("SELECT * FROM {}", record("incident", &copy.incident)),
        diagnoses(copy),
        [
            format!("SELECT * FROM {}", records("incident", found)),
            format!("SELECT * FROM label WHERE incident IN {}", texts(found)),
            format!("SELECT * FROM mitigation WHERE incident IN {}", texts(found)),
        ]
        .join("; "),
        format!("SELECT * FROM {}", records("component", &copy.components)),
    ]
}

/// What is told of the incidents that a search found.
pub fn search(found: &[String]) -> Vec<Level> {
    vec![format!("SELECT * FROM {}", records("incident", found))]
}
