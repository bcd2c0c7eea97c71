//! Objects of Chaos Mesh (`chaos-mesh.org/v1alpha1`): what was asked for, and the history of
//! every container that it happened to.

use std::collections::BTreeMap;

use events::catalogue::experiment::{
    ClearedBy, ExperimentFinished, ExperimentOutcome, FaultCleared, FaultInjected,
};
use events::catalogue::fault_kind as known;
use events::value::{Line, NonNegative};
use events::{ComponentName, FaultKind, Timestamp};
use jiff::SignedDuration;
use serde_json::Value;

use super::{Story, Told, kind, parameters, workload_of};
use crate::alerts::LabelRules;
use crate::document::{InvalidDocument, field, list, required, scalar, text, time};

/// Who sends such objects.
const SOURCE: &str = "chaos-mesh";

/// Kinds of faults by kind of object and action; an empty action stands for any.
const KINDS: &[(&str, &str, &str)] = &[
    ("NetworkChaos", "delay", known::LATENCY),
    ("NetworkChaos", "loss", "packet_loss"),
    ("NetworkChaos", "duplicate", "packet_duplication"),
    ("NetworkChaos", "corrupt", "packet_corruption"),
    ("NetworkChaos", "partition", known::PARTITION),
    ("NetworkChaos", "bandwidth", known::BANDWIDTH),
    ("PodChaos", "pod-kill", known::PROCESS_KILL),
    ("PodChaos", "container-kill", known::PROCESS_KILL),
    ("PodChaos", "pod-failure", "pod_failure"),
    ("IOChaos", "latency", "io_latency"),
    ("IOChaos", "fault", "io_error"),
    ("IOChaos", "", "io_alteration"),
    ("DNSChaos", "", "dns_error"),
    ("TimeChaos", "", "clock_skew"),
    ("KernelChaos", "", "kernel_fault"),
    ("JVMChaos", "latency", known::SLOW_RESPONSE),
    ("JVMChaos", "stress", known::CPU_STARVATION),
    ("BlockChaos", "", "io_latency"),
    ("HTTPChaos", "", known::HTTP_ERROR),
    ("StressChaos", "", known::CPU_STARVATION),
    ("NetworkChaos", "", "network"),
    ("JVMChaos", "", "jvm"),
];

/// What of a specification is no parameter of the fault.
const NOT_PARAMETERS: &[&str] = &["selector", "target", "mode", "value", "containerNames"];

/// Actions that are done at once and undone by nobody: whoever watches the pods replaces them.
const ONE_SHOT: &[&str] = &["pod-kill", "container-kill"];
/// For so long what was killed counts as missing; no object tells when it was replaced.
const REPLACED_WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// The records of the other side of a disturbed network.
const TARGET: &str = ".Target";

/// Reads an object as the cluster shows it (`kubectl get networkchaos NAME -o json`).
///
/// Rules see the labels that it selects by, and `namespace`, `pod`, `workload` and
/// `container_name` of each record; without a rule a target is its workload.
pub fn object(document: &Value, rules: &LabelRules) -> Result<Told, InvalidDocument> {
    let version = required(document, "/apiVersion", "chaos-mesh.org/v1alpha1")?;
    if !version.starts_with("chaos-mesh.org/") {
        return Err(field("/apiVersion", "chaos-mesh.org/v1alpha1"));
    }
    let of = required(document, "/kind", "a kind of chaos, such as NetworkChaos")?;
    if !KINDS.iter().any(|(kind, ..)| *kind == of) {
        let expected = format!(
            "a kind of chaos, such as NetworkChaos, got {of:?}; the runs of schedules and workflows are objects of their own"
        );
        return Err(field("/kind", expected));
    }
    let name = required(document, "/metadata/name", "the object's name")?;
    let namespace = text(document, "/metadata/namespace").unwrap_or("default");
    let created = time(document, "/metadata/creationTimestamp")
        .ok_or_else(|| field("/metadata/creationTimestamp", "a time"))?;
    let uid = text(document, "/metadata/uid");
    let began = created.to_string();
    let mut story = Story::new(SOURCE, name, &[of, namespace, name, uid.unwrap_or(began.as_str())]);
    let spec = &document["spec"];
    let kind = kind_of(of, spec);
    let description = format!("{of} {namespace}/{name} of Chaos Mesh");
    story.begin(name, &description, &["chaos-mesh", kind.as_str()], created);
    let once = of == "PodChaos" && text(spec, "/action").is_some_and(|it| ONE_SHOT.contains(&it));
    let injections = injections(document, namespace, rules, &mut story);
    let fault = Fault {
        kind,
        once,
        until: text(spec, "/duration")
            .and_then(|it| it.parse::<SignedDuration>().ok())
            .and_then(|it| created.checked_add(it).ok()),
        parameters: parameters(spec, NOT_PARAMETERS),
        peers: [false, true].map(|is_target| other_side(spec, is_target, namespace, rules)),
    };
    let mut ended = created;
    for ((component, number), injection) in &injections {
        ended = ended.max(tell(&mut story, &fault, (component, *number), injection));
    }
    finish(&mut story, document, once, injections.is_empty(), ended);
    Ok(story.told())
}

/// What all injections of an object have in common.
struct Fault {
    kind: FaultKind,
    /// It is done, and nothing undoes it.
    once: bool,
    /// Chaos Mesh counts the duration from the object's creation, whether it is paused or not.
    until: Option<Timestamp>,
    parameters: BTreeMap<String, Value>,
    /// The other side of those who are selected, and of those who are their target.
    peers: [Option<ComponentName>; 2],
}

/// One time that a component was disturbed: the containers of it together.
#[derive(Default)]
struct Injection {
    applied: Vec<Timestamp>,
    recovered: Vec<Timestamp>,
    /// It is the target of those who are selected.
    is_target: bool,
}

fn injections(
    document: &Value,
    namespace: &str,
    rules: &LabelRules,
    story: &mut Story,
) -> BTreeMap<(ComponentName, usize), Injection> {
    let mut injections = BTreeMap::<(ComponentName, usize), Injection>::new();
    for record in list(document, "/status/experiment/containerRecords") {
        let id = text(record, "/id").unwrap_or_default();
        let is_target = text(record, "/selectorKey") == Some(TARGET);
        if !is_disturbed(&document["spec"], is_target) {
            continue;
        }
        let Some(component) = component(&document["spec"], is_target, id, namespace, rules) else {
            story.unmapped.push(id.to_owned());
            continue;
        };
        let (mut applied, mut recovered) = (0, 0);
        for event in list(record, "/events") {
            let succeeded = text(event, "/type").is_none_or(|it| it == "Succeeded");
            let Some(at) = time(event, "/timestamp").filter(|_| succeeded) else { continue };
            let number = match text(event, "/operation") {
                Some("Apply") => &mut applied,
                Some("Recover") => &mut recovered,
                _ => continue,
            };
            *number += 1;
            let injection = injections.entry((component.clone(), *number)).or_default();
            injection.is_target = is_target;
            match text(event, "/operation") {
                Some("Apply") => injection.applied.push(at),
                _ => injection.recovered.push(at),
            }
        }
    }
    // What was only ever recovered was not seen to begin.
    injections.retain(|_, injection| !injection.applied.is_empty());
    injections
}

/// Tells one injection and, once all containers have recovered, its end. Gives its last moment.
fn tell(
    story: &mut Story,
    of: &Fault,
    (component, number): (&ComponentName, usize),
    injection: &Injection,
) -> Timestamp {
    let fault = story.fault(component, number);
    let began = injection.applied.iter().min().copied().unwrap_or_default();
    let [of_selected, of_targets] = &of.peers;
    let peer = if injection.is_target { of_targets } else { of_selected };
    let left = of.until.map(|until| until.duration_since(began).max(SignedDuration::ZERO));
    let most = if of.once { Some(REPLACED_WITHIN) } else { left };
    let injected = FaultInjected {
        fault: fault.clone(),
        experiment: Some(story.experiment.clone()),
        kind: of.kind.clone(),
        component: component.clone(),
        peer: peer.as_ref().filter(|peer| *peer != component).cloned(),
        parameters: of.parameters.clone(),
        deadline_ms: most.and_then(|it| NonNegative::new(it.as_secs_f64() * 1e3).ok()),
    };
    story.tell(&format!("injected {fault}"), began, injected);
    if of.once {
        return injection.applied.iter().max().copied().unwrap_or(began);
    }
    if injection.recovered.len() < injection.applied.len() {
        return began;
    }
    let ended = injection.recovered.iter().max().copied().unwrap_or(began).max(began);
    // Times are told in whole seconds.
    let second = SignedDuration::from_secs(1);
    let timed = of.until.is_some_and(|until| until.duration_since(ended) < second);
    let cleared = FaultCleared {
        fault: fault.clone(),
        experiment: Some(story.experiment.clone()),
        cleared_by: if timed { ClearedBy::Deadline } else { ClearedBy::Rollback },
        action: Line::clipped("recovered by Chaos Mesh"),
        verified: true,
    };
    story.tell(&format!("cleared {fault}"), ended, cleared);
    ended
}

/// Chaos Mesh checks no hypothesis: a run that injected and recovered held, one that could not
/// inject failed. One that is paused recovers too, and goes on later.
fn finish(story: &mut Story, document: &Value, once: bool, nothing: bool, ended: Timestamp) {
    let stopped = text(document, "/status/experiment/desiredPhase") == Some("Stop");
    let condition = |name: &str| {
        let conditions = list(document, "/status/conditions");
        let found = conditions.iter().find(|it| text(it, "/type") == Some(name));
        found.is_some_and(|it| text(it, "/status") == Some("True"))
    };
    let recovered = stopped && condition("AllRecovered") && !condition("Paused");
    let done = once && condition("AllInjected") && !nothing;
    if !recovered && !done {
        return;
    }
    let (outcome, reason) = match (nothing, once) {
        (true, _) => (ExperimentOutcome::Failed, "nothing was injected"),
        (_, true) => (ExperimentOutcome::Held, "injected; no hypothesis was checked"),
        _ => (ExperimentOutcome::Held, "injected and recovered; no hypothesis was checked"),
    };
    let experiment = story.experiment.clone();
    let reason = Some(Line::clipped(reason));
    story.tell("finished", ended, ExperimentFinished { experiment, outcome, reason });
}

fn kind_of(of: &str, spec: &Value) -> FaultKind {
    let has = |name: &str| spec.get(name).is_some_and(|it| !it.is_null());
    let action = match (of, text(spec, "/action")) {
        // `netem` is whatever it has parameters for.
        ("NetworkChaos", Some("netem")) => {
            ["delay", "loss", "corrupt", "duplicate"].into_iter().find(|name| has(name))
        }
        (_, action) => action,
    };
    let special = match of {
        "StressChaos" if spec.pointer("/stressors/cpu").is_none() => Some("memory_stress"),
        "HTTPChaos" if has("delay") && !has("abort") => Some(known::SLOW_RESPONSE),
        "HTTPChaos" if has("abort") => Some(known::CONNECTION_RESET),
        _ => None,
    };
    let found = KINDS.iter().find(|(kind, of_action, _)| {
        *kind == of && (of_action.is_empty() || Some(*of_action) == action)
    });
    kind(special.or(found.map(|(.., kind)| *kind)).unwrap_or(of))
}

/// The component that a record speaks of, whose id is `namespace/pod` or
/// `namespace/pod/container`.
fn component(
    spec: &Value,
    is_target: bool,
    id: &str,
    namespace: &str,
    rules: &LabelRules,
) -> Option<ComponentName> {
    let mut parts = id.split('/');
    let namespace = parts.next().filter(|it| !it.is_empty()).unwrap_or(namespace);
    let pod = parts.next().filter(|it| !it.is_empty())?;
    let selector = if is_target { "/target/selector" } else { "/selector" };
    let mut labels = spec.pointer(selector).map(selected).unwrap_or_default();
    let workload = workload_of(pod);
    let own = [("namespace", namespace), ("pod", pod), ("workload", workload)];
    let own = own.into_iter().chain(parts.next().map(|name| ("container_name", name)));
    labels.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    rules.component(&labels).or_else(|| ComponentName::new(workload).ok())
}

/// Whether the traffic of a side is disturbed: of those who are selected where it goes to the target,
/// of the target where it comes from there.
fn is_disturbed(spec: &Value, is_target: bool) -> bool {
    if spec["target"].is_null() {
        return !is_target;
    }
    match text(spec, "/direction") {
        Some("both") => true,
        Some("from") => is_target,
        _ => !is_target,
    }
}

/// The other side, where only the traffic between two is disturbed.
fn other_side(
    spec: &Value,
    is_target: bool,
    namespace: &str,
    rules: &LabelRules,
) -> Option<ComponentName> {
    let target = spec.pointer("/target/selector")?;
    let mut labels = if is_target { selected(&spec["selector"]) } else { selected(target) };
    labels.insert("namespace".to_owned(), namespace.to_owned());
    rules.component(&labels)
}

fn selected(selector: &Value) -> BTreeMap<String, String> {
    let labels = selector["labelSelectors"].as_object().into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
}
