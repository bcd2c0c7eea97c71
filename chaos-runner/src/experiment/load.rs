//! From a file to an [`Experiment`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::activity::{Named, refuse_controls};
use super::problem::Problems;
use super::reader::{Fields, Node};
use super::substitution::{Environment, Variables};
use super::{
    Activity, Experiment, Hypothesis, HypothesisStrategy, InvalidExperiment, Provider,
    RollbackStrategy, Runtime, SteadyProbe, Tolerance,
};

/// Largest accepted file. An experiment is written by hand.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file is not an experiment.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is too large.
    #[error("{} has {bytes} bytes, expected at most {MAX_BYTES}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is neither JSON nor YAML.
    #[error("{name} is not {format}: {message}")]
    Syntax {
        /// What was read.
        name: String,
        /// `JSON` or `YAML`.
        format: &'static str,
        /// What is wrong, with line and column.
        message: String,
    },
    /// It is JSON or YAML, and not an experiment.
    #[error("{name} is not an experiment that can be run")]
    Invalid {
        /// What was read.
        name: String,
        /// What is wrong.
        source: InvalidExperiment,
    },
}

/// Reads the experiment at `path`: YAML when it ends in `.yaml` or `.yml`, else JSON.
pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Experiment, LoadError> {
    let read_error = |source| LoadError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(read_error)?.len();
    if bytes > MAX_BYTES {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes });
    }
    let text = std::fs::read_to_string(path).map_err(read_error)?;
    parse(&path.display().to_string(), &text, environment)
}

/// Reads an experiment from `text`. `name` says in errors what it is, and its ending what format
/// it has.
pub fn parse(
    name: &str,
    text: &str,
    environment: &Environment<'_>,
) -> Result<Experiment, LoadError> {
    let document = if name.ends_with(".yaml") || name.ends_with(".yml") {
        serde_yaml_ng::from_str(text).map_err(|error| syntax(name, "YAML", &error.to_string()))?
    } else {
        serde_json::from_str(text).map_err(|error| syntax(name, "JSON", &error.to_string()))?
    };
    read(document, environment)
        .map_err(|source| LoadError::Invalid { name: name.to_owned(), source })
}

fn syntax(name: &str, format: &'static str, message: &str) -> LoadError {
    LoadError::Syntax { name: name.to_owned(), format, message: message.to_owned() }
}

/// Reads an experiment from its document.
fn read(document: Value, environment: &Environment<'_>) -> Result<Experiment, InvalidExperiment> {
    let problems = Problems::default();
    let substituted = substitute(&document, environment, &problems);
    let root = Node::root(&substituted, &problems);
    let experiment = root.object().and_then(|fields| read_experiment(&fields, &document));
    problems.conclude(experiment)
}

/// The document with variables replaced wherever an experiment may use them.
fn substitute(document: &Value, environment: &Environment<'_>, problems: &Problems) -> Value {
    let Value::Object(map) = document else { return document.clone() };
    let root = Node::root(document, problems);
    let Some(fields) = root.object() else { return document.clone() };
    let variables = Variables::read(&fields, environment);
    let mut substituted = map.clone();
    for name in [
        "title",
        "description",
        "steady-state-hypothesis",
        "method",
        "rollbacks",
        "runtime",
        "extensions",
    ] {
        if let Some(value) = map.get(name) {
            substituted
                .insert(name.to_owned(), variables.apply(value, &format!("/{name}"), problems));
        }
    }
    substituted.into()
}

fn read_experiment(fields: &Fields<'_>, original: &Value) -> Option<Experiment> {
    let title =
        fields.required("title", "what the experiment is called").and_then(|node| node.line());
    let description =
        fields.required("description", "what the experiment is for").and_then(|node| node.text());
    let tags = match fields.optional("tags") {
        Some(node) => node.list().and_then(|tags| tags.iter().map(Node::line).collect()),
        None => Some(Vec::new()),
    };
    check_contributions(fields);
    if let Some(controls) = fields.optional("controls") {
        refuse_controls(&controls);
    }
    let named = Named { activities: names(fields), original };
    let hypothesis = match fields.optional("steady-state-hypothesis") {
        Some(node) => read_hypothesis(&node, &named).map(Some),
        None => Some(None),
    };
    let method = fields
        .required("method", "a list of activities, which may be empty")
        .and_then(|node| activities(&node, &named));
    let rollbacks = match fields.optional("rollbacks") {
        Some(node) => activities(&node, &named),
        None => Some(Vec::new()),
    };
    let mut runtime = read_runtime(fields, &named);
    if let (Some(runtime), Some(Some(hypothesis))) = (&mut runtime, &hypothesis)
        && fails_fast(fields)
    {
        runtime.abort.extend(hypothesis.probes.iter().cloned());
    }
    let experiment = Experiment {
        title: title?,
        description: description?,
        tags: tags?,
        hypothesis: hypothesis?,
        method: method?,
        rollbacks: rollbacks?,
        runtime: runtime?,
        document: original.clone(),
    };
    check_faults(fields, &experiment);
    Some(experiment)
}

/// Activities by name, for those that refer to another one.
fn names<'a>(fields: &Fields<'a>) -> BTreeMap<String, Node<'a>> {
    let probes = fields
        .optional("steady-state-hypothesis")
        .filter(|node| node.value.is_object())
        .and_then(|node| node.object())
        .and_then(|hypothesis| hypothesis.optional("probes"));
    let lists = [probes, fields.optional("method"), fields.optional("rollbacks")];
    let lists = lists.into_iter().flatten().filter(|node| node.value.is_array());
    lists
        .filter_map(|node| node.list())
        .flatten()
        .filter_map(|node| Some((node.value.get("name")?.as_str()?.to_owned(), node)))
        .collect()
}

fn activities<'a>(node: &Node<'a>, named: &Named<'a>) -> Option<Vec<Activity>> {
    // Read all before giving up, so that every problem is found.
    let read: Vec<_> = node.list()?.iter().map(|node| named.activity(node)).collect();
    read.into_iter().collect()
}

fn read_hypothesis<'a>(node: &Node<'a>, named: &Named<'a>) -> Option<Hypothesis> {
    let fields = node.object()?;
    let title = fields.required("title", "the hypothesis in words").and_then(|node| node.line());
    let probes: Vec<_> = match fields.optional("probes") {
        Some(node) => node.list()?.iter().map(|node| read_probe(node, named)).collect(),
        None => Vec::new(),
    };
    Some(Hypothesis { title: title?, probes: probes.into_iter().collect::<Option<_>>()? })
}

fn read_probe<'a>(node: &Node<'a>, named: &Named<'a>) -> Option<SteadyProbe> {
    let activity = named.activity(node);
    let tolerance = node
        .object()?
        .required("tolerance", "the accepted values")
        .and_then(|node| Tolerance::read(&node));
    let activity = activity?;
    if matches!(activity.provider, Provider::Fault(_) | Provider::ClearFault { .. }) {
        return node.problem("a hypothesis measures; expected a probe");
    }
    Some(SteadyProbe { activity, tolerance: tolerance? })
}

fn check_contributions(fields: &Fields<'_>) {
    let Some(contributions) = fields.optional("contributions").and_then(|node| node.object())
    else {
        return;
    };
    for (_, node) in contributions.iter() {
        node.choice(&[("high", ()), ("medium", ()), ("low", ()), ("none", ())]);
    }
}

/// Chaos Toolkit's `fail_fast`: the hypothesis is an abort condition as well.
fn fails_fast(fields: &Fields<'_>) -> bool {
    let runtime = fields.optional("runtime").and_then(|node| node.object());
    let hypothesis =
        runtime.and_then(|it| it.optional("hypothesis")).and_then(|node| node.object());
    let wanted = hypothesis.and_then(|it| it.optional("fail_fast"));
    wanted.and_then(|node| node.boolean()).unwrap_or(false)
}

fn read_runtime<'a>(fields: &Fields<'a>, named: &Named<'a>) -> Option<Runtime> {
    let mut runtime = Runtime::default();
    let given = fields.optional("runtime").map(|node| node.object());
    if let Some(given) = given {
        let given = given?;
        let strategy = |name: &str| given.optional(name)?.object()?.optional("strategy");
        if let Some(node) = strategy("rollbacks") {
            runtime.rollbacks = node.choice(&[
                ("default", RollbackStrategy::Default),
                ("always", RollbackStrategy::Always),
                ("never", RollbackStrategy::Never),
                ("deviated", RollbackStrategy::Deviated),
            ])?;
        }
        if let Some(node) = strategy("hypothesis") {
            runtime.hypothesis = node.choice(&[
                ("default", HypothesisStrategy::Default),
                ("before-method-only", HypothesisStrategy::BeforeMethodOnly),
                ("after-method-only", HypothesisStrategy::AfterMethodOnly),
                ("during-method-only", HypothesisStrategy::DuringMethodOnly),
                ("continuously", HypothesisStrategy::Continuously),
                ("skip", HypothesisStrategy::Skip),
            ])?;
        }
    }
    if let Some(extensions) = fields.optional("extensions") {
        for extension in extensions.list()? {
            read_extension(&extension, &mut runtime, named)?;
        }
    }
    Some(runtime)
}

/// `{"name": "faultline", …}` among the `extensions`, the format's place for a vendor's own
/// settings. Extensions of others are passed over.
fn read_extension<'a>(node: &Node<'a>, runtime: &mut Runtime, named: &Named<'a>) -> Option<()> {
    let fields = node.object()?;
    if fields.required("name", "the extension's name")?.string()? != "faultline" {
        return Some(());
    }
    fields.only(&["name", "deadline_ms", "span_ms", "warm_up_ms", "recovery_ms", "abort"]);
    if let Some(node) = fields.optional("abort") {
        // Read all before giving up, so that every problem is found.
        let read: Vec<_> = node.list()?.iter().map(|node| read_probe(node, named)).collect();
        runtime.abort.extend(read.into_iter().collect::<Option<Vec<_>>>()?);
    }
    let settings = [
        ("deadline_ms", &mut runtime.deadline),
        ("span_ms", &mut runtime.span),
        ("warm_up_ms", &mut runtime.warm_up),
        ("recovery_ms", &mut runtime.recovery),
    ];
    for (name, setting) in settings {
        if let Some(node) = fields.optional(name) {
            *setting = node.milliseconds()?;
        }
    }
    Some(())
}

/// A `clear` must name one fault action; two of the same name could not be told apart.
fn check_faults(fields: &Fields<'_>, experiment: &Experiment) {
    let faults: Vec<_> = experiment
        .method
        .iter()
        .filter(|activity| matches!(activity.provider, Provider::Fault(_)))
        .map(|activity| activity.name.as_str())
        .collect();
    for (section, activities) in
        [("method", &experiment.method), ("rollbacks", &experiment.rollbacks)]
    {
        for (index, activity) in activities.iter().enumerate() {
            let place = |field: &str| {
                fields
                    .optional(section)?
                    .list()?
                    .get(index)?
                    .object()?
                    .optional("provider")?
                    .object()?
                    .optional(field)
            };
            match &activity.provider {
                Provider::ClearFault { of } => {
                    if faults.iter().filter(|name| **name == of.as_str()).count() != 1
                        && let Some(node) = place("clear")
                    {
                        node.refuse::<()>(&format!(
                            "the name of exactly one fault action of the method ({})",
                            faults.join(", ")
                        ));
                    }
                }
                Provider::Fault(_) if section == "rollbacks" => {
                    if let Some(node) = place("fault") {
                        node.problem::<()>(
                            "rollbacks put things right; a fault belongs into the method",
                        );
                    }
                }
                _ => {}
            }
        }
    }
}
