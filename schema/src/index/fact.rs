//! What a version of a row says that the index keeps.

use diagnosis::fingerprint::Fingerprint;
use diagnosis::search::{DocumentId, DocumentKind, TextIndex};
use diagnosis::similarity::Told;
use diagnosis::similarity::index::{FingerprintIndex, Labelled};
use diagnosis::verdict::Opinion;
use events::{ComponentName, FaultId, FaultKind, IncidentId, LabelId, Timestamp};
use serde::Deserialize;
use surrealdb::types::{Object, Value};

use crate::rows::ClaimKind;
use crate::table::Table;
use crate::value::read;

/// Which fact: those of a position in the order of tables and keys, whatever told them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactKey {
    /// The position that made it known.
    pub position: u64,
    what: u8,
    /// Of what.
    pub key: String,
}

/// Something that the index keeps from a position on.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A document reads like this. Without fields it is none.
    Reads(DocumentId, Vec<(&'static str, String)>),
    /// An incident looks like this, and is told so.
    Looks(IncidentId, Fingerprint, Told),
    /// A label was given.
    Labelled(Labelled),
    /// A label was taken back.
    Unlabelled(LabelId),
}

impl Fact {
    /// Puts it into the index of its kind.
    pub fn put(self, position: u64, text: &mut TextIndex, fingerprints: &mut FingerprintIndex) {
        match self {
            Self::Reads(document, fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, it)| (*name, it.as_str())).collect();
                text.put(position, &document, &fields);
            }
            Self::Looks(incident, fingerprint, told) => {
                fingerprints.put_told(position, &incident, &fingerprint, &told);
            }
            Self::Labelled(labelled) => fingerprints.label(position, labelled),
            Self::Unlabelled(label) => fingerprints.unlabel(position, &label),
        }
    }
}

/// The key of a log pattern among the documents.
pub fn log_pattern_key(component: &str, template: &str) -> String {
    serde_json::json!([component, template]).to_string()
}

/// Component and template of a log pattern's key.
pub(crate) fn log_pattern(key: &str) -> Option<(ComponentName, String)> {
    serde_json::from_str(key).ok()
}

/// Only the columns that the index needs; rows of other tables state nothing.
pub const COLUMNS: &[(Table, &str)] = &[
    (Table::Incident, "title, resolution, postmortem"),
    (Table::Runbook, "title, text"),
    (Table::LogPattern, "component, patterns"),
    (Table::Diagnosis, "incident, fingerprint, told"),
    (Table::Label, "incident, claim, component, fault_kind, fault, confidence, at"),
];

/// The facts that a version of a row states. A row that is not what projections write states
/// nothing: whoever reads it for itself says so.
pub fn facts_of(table: Table, key: &str, fields: &Object) -> Vec<(FactKey, Fact)> {
    let position = version(fields);
    let since = number(fields, "since").unwrap_or(position);
    let ended = number(fields, "until");
    let said = |what: u8, fact: Fact| (FactKey { position, what, key: key.to_owned() }, fact);
    let document = |kind, texts: Vec<(&'static str, Option<&Value>)>| {
        let texts = texts.into_iter().filter(|_| ended.is_none());
        let texts = texts.filter_map(|(name, it)| Some((name, string(it?)?.to_owned())));
        Fact::Reads(DocumentId { kind, key: key.to_owned() }, texts.collect())
    };
    match table {
        Table::Incident => {
            let own =
                vec![("title", fields.get("title")), ("resolution", fields.get("resolution"))];
            let learned = match fields.get("postmortem") {
                Some(Value::Object(it)) => {
                    vec![("title", it.get("title")), ("text", it.get("text"))]
                }
                _ => Vec::new(),
            };
            vec![
                said(0, document(DocumentKind::Incident, own)),
                said(1, document(DocumentKind::Postmortem, learned)),
            ]
        }
        Table::Runbook => {
            let texts = vec![("title", fields.get("title")), ("text", fields.get("text"))];
            vec![said(2, document(DocumentKind::Runbook, texts))]
        }
        Table::LogPattern => patterns(position, fields),
        // What a diagnosis and a label say, they say for good from the first.
        Table::Diagnosis => {
            let looked = FactKey { position: since, what: 4, key: key.to_owned() };
            looks(key, fields).map(|fact| (looked, fact)).into_iter().collect()
        }
        Table::Label => {
            let Some(labelled) = labelled(key, fields) else { return Vec::new() };
            let label = labelled.opinion.label.clone();
            let given = FactKey { position: since, what: 5, key: key.to_owned() };
            let taken = ended.map(|position| {
                (FactKey { position, what: 6, key: key.to_owned() }, Fact::Unlabelled(label))
            });
            std::iter::once((given, Fact::Labelled(labelled))).chain(taken).collect()
        }
        _ => Vec::new(),
    }
}

/// The position of the event that made the row what it is.
fn version(fields: &Object) -> u64 {
    number(fields, "changed").unwrap_or(0)
}

fn number(fields: &Object, name: &str) -> Option<u64> {
    match fields.get(name) {
        Some(Value::Number(number)) => number.to_int().and_then(|it| u64::try_from(it).ok()),
        _ => None,
    }
}

fn string(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn patterns(position: u64, fields: &Object) -> Vec<(FactKey, Fact)> {
    let component = fields.get("component").and_then(string);
    let (Some(component), Some(Value::Array(patterns))) = (component, fields.get("patterns"))
    else {
        return Vec::new();
    };
    let templates = patterns.iter().filter_map(|pattern| match pattern {
        Value::Object(pattern) => pattern.get("template").and_then(string),
        _ => None,
    });
    let fact = |template: &str| {
        let key = log_pattern_key(component, template);
        let document = DocumentId { kind: DocumentKind::LogPattern, key: key.clone() };
        let fields = vec![("template", template.to_owned())];
        (FactKey { position, what: 3, key }, Fact::Reads(document, fields))
    };
    templates.map(fact).collect()
}

fn looks(diagnosis: &str, fields: &Object) -> Option<Fact> {
    let incident = IncidentId::new(fields.get("incident").and_then(string)?).ok()?;
    let stored = fields.get("fingerprint").filter(|it| !matches!(it, Value::None))?;
    let told = fields.get("told").filter(|it| !matches!(it, Value::None));
    let told = told.map_or_else(Told::default, |told| read(told.clone()).unwrap_or_default());
    match read(stored.clone()) {
        Ok(fingerprint) => Some(Fact::Looks(incident, fingerprint, told)),
        Err(error) => {
            tracing::debug!(
                incident.id = %incident,
                diagnosis.id = diagnosis,
                "fingerprint of an unknown form passed over: {error}"
            );
            None
        }
    }
}

fn labelled(label: &str, fields: &Object) -> Option<Labelled> {
    #[derive(Deserialize)]
    struct Stored {
        incident: IncidentId,
        claim: ClaimKind,
        component: Option<ComponentName>,
        fault_kind: Option<FaultKind>,
        fault: Option<FaultId>,
        confidence: f64,
        at: Timestamp,
    }
    let columns = ["incident", "claim", "component", "fault_kind", "fault", "confidence", "at"];
    let said = columns.iter().filter_map(|name| Some((*name, fields.get(*name)?.clone())));
    let said: Object = said.map(|(name, value)| (name.to_owned(), value)).collect();
    let stored: Stored = read(Value::Object(said)).ok()?;
    let claim = stored.claim.about(stored.component.as_ref(), stored.fault_kind.as_ref())?;
    let opinion = Opinion {
        label: LabelId::new(label).ok()?,
        claim,
        confidence: stored.confidence,
        at: stored.at,
        // Until when it stands is said beside it.
        retracted: false,
    };
    Some(Labelled { incident: stored.incident, opinion, fault: stored.fault })
}
