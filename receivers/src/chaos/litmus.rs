//! Results of Litmus (`litmuschaos.io/v1alpha1`), with the engines that asked for them.

use std::collections::BTreeMap;

use events::catalogue::experiment::{
    ClearedBy, ExperimentFinished, ExperimentOutcome, FaultCleared, FaultInjected, ProbeResult,
    SteadyStateMeasured, SteadyStatePhase,
};
use events::catalogue::fault_kind as known;
use events::value::{Line, NonNegative};
use events::{ComponentName, Timestamp};
use serde_json::{Value, json};

use super::{Story, Told, kind, workload_of};
use crate::alerts::LabelRules;
use crate::document::{InvalidDocument, field, list, required, text, time};

/// Who sends such results.
const SOURCE: &str = "litmus";
/// Most objects of a list.
const MOST_OBJECTS: usize = 1_000;

/// Kinds of faults by the experiments of the hub.
const KINDS: &[(&str, &str)] = &[
    ("pod-delete", known::PROCESS_KILL),
    ("container-kill", known::PROCESS_KILL),
    ("pod-network-latency", known::LATENCY),
    ("pod-network-loss", "packet_loss"),
    ("pod-network-corruption", "packet_corruption"),
    ("pod-network-duplication", "packet_duplication"),
    ("pod-network-partition", known::PARTITION),
    ("pod-network-rate-limit", known::BANDWIDTH),
    ("pod-cpu-hog", known::CPU_STARVATION),
    ("node-cpu-hog", known::CPU_STARVATION),
    ("pod-memory-hog", "memory_stress"),
    ("node-memory-hog", "memory_stress"),
    ("pod-io-stress", "io_stress"),
    ("disk-fill", "disk_full"),
    ("node-drain", "node_drained"),
    ("pod-dns-error", "dns_error"),
    ("pod-http-latency", known::SLOW_RESPONSE),
    ("pod-http-status-code", known::HTTP_ERROR),
    ("pod-http-reset-peer", known::CONNECTION_RESET),
    ("pod-autoscaler", "scaled_up"),
];

/// Reads a `ChaosResult`, or a list of results and engines. A result tells no times; they are
/// those of its engine, or `received_at`.
pub fn results(
    document: &Value,
    rules: &LabelRules,
    received_at: Timestamp,
) -> Result<Vec<Told>, InvalidDocument> {
    let expected = "ChaosResult, or a List of ChaosResult and ChaosEngine";
    let objects = match required(document, "/kind", expected)? {
        "ChaosResult" => std::slice::from_ref(document),
        "List" | "ChaosResultList" => list(document, "/items"),
        other => return Err(field("/kind", format!("{expected}, got {other:?}"))),
    };
    if objects.len() > MOST_OBJECTS {
        return Err(field("/items", format!("at most {MOST_OBJECTS} objects")));
    }
    let engines = objects.iter().filter(|it| text(it, "/kind") == Some("ChaosEngine"));
    let engines: BTreeMap<(&str, &str), &Value> = engines
        .filter_map(|engine| Some(((namespace(engine), text(engine, "/metadata/name")?), engine)))
        .collect();
    let results = objects.iter().enumerate();
    let results = results.filter(|(_, it)| text(it, "/kind") != Some("ChaosEngine"));
    let told = results.map(|(index, result)| {
        let engine =
            text(result, "/spec/engine").and_then(|name| engines.get(&(namespace(result), name)));
        told(result, engine.copied(), rules, received_at).map_err(|error| {
            if objects.len() > 1 { error.within(&format!("/items/{index}")) } else { error }
        })
    });
    told.collect()
}

fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace").unwrap_or("default")
}

fn told(
    result: &Value,
    engine: Option<&Value>,
    rules: &LabelRules,
    received_at: Timestamp,
) -> Result<Told, InvalidDocument> {
    let name = required(result, "/metadata/name", "the result's name")?;
    let experiment = required(result, "/spec/experiment", "the experiment's name")?;
    let engine_name = text(result, "/spec/engine").unwrap_or(name);
    let verdict = text(result, "/status/experimentStatus/verdict").unwrap_or("Awaited");
    // The same result counts every run of its experiment.
    let history = |of: &str| result.pointer(&format!("/status/history/{of}Runs"));
    let runs = ["passed", "failed", "stopped"].iter().filter_map(|of| history(of)?.as_u64());
    let over = verdict != "Awaited";
    let run = runs.fold(0_u64, u64::saturating_add).saturating_add(u64::from(!over));
    let uid = text(result, "/metadata/uid").unwrap_or_default();
    let by = text(result, "/metadata/labels/chaosUID").unwrap_or_default();
    let run = run.to_string();
    let identity = [namespace(result), name, uid, by, &run];
    let mut story = Story::new(SOURCE, engine_name, &identity);
    let times = Times::read(engine, experiment, received_at);
    let description = format!("{experiment} of Litmus, engine {engine_name}, run {run}");
    story.begin(engine_name, &description, &["litmus", experiment], times.began);
    let components = targets(result, engine, rules, &mut story);
    for (number, (component, reverted)) in components.iter().enumerate() {
        fault(&mut story, engine, (component, number + 1), experiment, *reverted, &times);
    }
    probes(&mut story, result, &times);
    if over {
        finish(&mut story, result, verdict, times.ended);
    }
    Ok(story.told())
}

/// When a run was.
struct Times {
    began: Timestamp,
    ended: Timestamp,
}

impl Times {
    fn read(engine: Option<&Value>, experiment: &str, received_at: Timestamp) -> Self {
        let Some(engine) = engine else { return Self { began: received_at, ended: received_at } };
        let of = list(engine, "/status/experiments").iter();
        let ended = of
            .filter(|it| text(it, "/name").is_some_and(|name| name.contains(experiment)))
            .find_map(|it| time(it, "/lastUpdateTime"))
            .unwrap_or(received_at);
        let began = time(engine, "/metadata/creationTimestamp").unwrap_or(ended);
        Self { began: began.min(ended), ended }
    }
}

/// The components that were disturbed, and whether each is seen to be undisturbed again.
fn targets(
    result: &Value,
    engine: Option<&Value>,
    rules: &LabelRules,
    story: &mut Story,
) -> BTreeMap<ComponentName, bool> {
    let mut labels = BTreeMap::new();
    labels.insert("namespace".to_owned(), namespace(result).to_owned());
    // `app=cart`, as the engine selects its application.
    let selected = engine.and_then(|engine| text(engine, "/spec/appinfo/applabel"));
    let pairs = selected.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    labels.extend(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
    let mut components = BTreeMap::new();
    for target in list(result, "/status/history/targets") {
        let Some(name) = text(target, "/name") else { continue };
        let status = text(target, "/chaosStatus").unwrap_or_default();
        if status == "targeted" {
            continue;
        }
        let pod = text(target, "/kind").is_none_or(|it| it.eq_ignore_ascii_case("pod"));
        let workload = if pod { workload_of(name) } else { name };
        labels.insert("workload".to_owned(), workload.to_owned());
        let component = rules.component(&labels).or_else(|| ComponentName::new(workload).ok());
        match component {
            Some(component) => {
                let reverted = components.entry(component).or_insert(true);
                *reverted &= status == "reverted";
            }
            None => story.unmapped.push(name.to_owned()),
        }
    }
    components
}

fn fault(
    story: &mut Story,
    engine: Option<&Value>,
    (component, number): (&ComponentName, usize),
    experiment: &str,
    reverted: bool,
    times: &Times,
) {
    let fault = story.fault(component, number);
    let named = KINDS.iter().find(|(name, _)| *name == experiment);
    let of = list(engine.unwrap_or(&Value::Null), "/spec/experiments").iter();
    let of = of.filter(|it| text(it, "/name") == Some(experiment));
    let settings = of.flat_map(|it| list(it, "/spec/components/env"));
    let settings: BTreeMap<&str, &str> =
        settings.filter_map(|it| Some((text(it, "/name")?, text(it, "/value")?))).collect();
    let seconds = settings.get("TOTAL_CHAOS_DURATION").and_then(|it| it.parse::<u32>().ok());
    let parameters = settings.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
    let injected = FaultInjected {
        fault: fault.clone(),
        experiment: Some(story.experiment.clone()),
        kind: kind(named.map_or(experiment, |(_, kind)| *kind)),
        component: component.clone(),
        peer: None,
        parameters: parameters.take(super::MOST_PARAMETERS).collect(),
        deadline_ms: seconds.and_then(|it| NonNegative::new(f64::from(it) * 1e3).ok()),
    };
    story.tell(&format!("injected {fault}"), times.began, injected);
    if reverted {
        let cleared = FaultCleared {
            fault: fault.clone(),
            experiment: Some(story.experiment.clone()),
            cleared_by: ClearedBy::Deadline,
            action: Line::clipped("reverted by Litmus"),
            verified: true,
        };
        story.tell(&format!("cleared {fault}"), times.ended, cleared);
    }
}

/// Probes by when they look: at the start, at the end, or while the fault acts.
fn probes(story: &mut Story, result: &Value, times: &Times) {
    let phases = [
        (SteadyStatePhase::Before, &["SOT"][..], times.began),
        (SteadyStatePhase::During, &["Continuous", "OnChaos"][..], times.ended),
        (SteadyStatePhase::After, &["EOT", "Edge"][..], times.ended),
    ];
    for (phase, modes, at) in phases {
        let of = list(result, "/status/probeStatuses").iter();
        let of = of.filter(|it| text(it, "/mode").is_some_and(|mode| modes.contains(&mode)));
        let judged = of.filter_map(|it| {
            let verdict = text(it, "/status/verdict")?;
            let held = match verdict {
                "Passed" => true,
                "Failed" => false,
                _ => return None,
            };
            let said = text(it, "/status/description").unwrap_or("as the probe says");
            let name = Line::clipped(text(it, "/name").unwrap_or("a probe"));
            Some(ProbeResult { name, held, value: None, tolerance: Line::clipped(said) })
        });
        let probes: Vec<ProbeResult> = judged.collect();
        if probes.is_empty() {
            continue;
        }
        let held = probes.iter().all(|probe| probe.held);
        let experiment = story.experiment.clone();
        let measured = SteadyStateMeasured { experiment, phase, held, probes };
        story.tell(&format!("steady state {phase:?}"), at, measured);
    }
}

/// A run that fails because of the tool says nothing of the system.
fn finish(story: &mut Story, result: &Value, verdict: &str, at: Timestamp) {
    let reason = text(result, "/status/experimentStatus/errorOutput/reason");
    let broke = text(result, "/status/experimentStatus/errorOutput/errorCode");
    let probes = list(result, "/status/probeStatuses").iter();
    let deviated = probes.filter_map(|it| text(it, "/status/verdict")).any(|it| it == "Failed");
    let outcome = match verdict {
        "Pass" => ExperimentOutcome::Held,
        "Stopped" => ExperimentOutcome::Aborted,
        "Fail" if deviated || broke.is_none() => ExperimentOutcome::Deviated,
        _ => ExperimentOutcome::Failed,
    };
    let experiment = story.experiment.clone();
    let reason = reason.map(Line::clipped);
    story.tell("finished", at, ExperimentFinished { experiment, outcome, reason });
}
