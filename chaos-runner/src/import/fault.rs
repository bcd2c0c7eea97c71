//! Faults in the actions of a journal.

use std::collections::BTreeMap;

use events::catalogue::experiment::ClearedBy;
use events::catalogue::fault_kind as kind;
use events::{ComponentName, FaultKind, Timestamp};
use serde_json::Value;

use super::NOBODY_SAID;
use super::read::{Activity, Journal};
use crate::shop::control::{ClearedFault, InjectedFault};

/// A fault that was recognised in an action.
#[derive(Clone, Debug, PartialEq)]
pub struct RecognisedFault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The component at fault.
    pub component: ComponentName,
    /// The caller, when only its connections were disturbed.
    pub peer: Option<ComponentName>,
    /// What the action was given.
    pub parameters: BTreeMap<String, Value>,
    /// When it began to act.
    pub at: Timestamp,
}

/// What functions of Chaos Toolkit's extensions do, by a part of `module.function`. The first
/// that fits counts. Kinds are open text: what has no local driver keeps its own name.
const FUNCTIONS: &[(&str, &str)] = &[
    ("terminate_pods", kind::PROCESS_KILL),
    ("delete_pods", kind::PROCESS_KILL),
    ("kill_microservice", kind::PROCESS_KILL),
    ("kill_process", kind::PROCESS_KILL),
    ("stop_instance", kind::PROCESS_KILL),
    ("terminate_instance", kind::PROCESS_KILL),
    ("stop_task", kind::PROCESS_KILL),
    ("scale_deployment", "scaled_down"),
    ("drain_nodes", "node_drained"),
    ("cordon_node", "node_cordoned"),
    ("deny_all_ingress", kind::PARTITION),
    ("deny_all_egress", kind::PARTITION),
    ("add_delay_fault", kind::LATENCY),
    ("add_abort_fault", kind::HTTP_ERROR),
    ("create_latency_toxic", kind::LATENCY),
    ("create_bandwith_degradation_toxic", kind::BANDWIDTH),
    ("create_bandwidth_degradation_toxic", kind::BANDWIDTH),
    ("create_slow_connection_close_toxic", kind::SLOW_RESPONSE),
    ("create_timeout_toxic", kind::BLACK_HOLE),
    ("disable_proxy", kind::PARTITION),
    ("network_latency", kind::LATENCY),
    ("network_loss", "packet_loss"),
    ("blackhole", kind::BLACK_HOLE),
    ("black_hole", kind::BLACK_HOLE),
    ("stress_cpu", kind::CPU_STARVATION),
    ("burn_cpu", kind::CPU_STARVATION),
    ("stress_memory", kind::MEMORY_LEAK),
    ("fill_disk", "disk_full"),
    ("burn_io", "io_stress"),
];

/// Where an action's arguments name what it acts on, the most telling first.
const NAMES: &[&str] = &[
    "component",
    "service",
    "service_name",
    "deployment",
    "deployment_name",
    "microservice",
    "ms_name",
    "proxy_name",
    "app",
    "process_name",
    "virtual_service_name",
    "name",
];

/// The fault that an action injected, if one is recognised: an action of this program, or a
/// known function whose arguments name a component.
pub(super) fn recognise(activity: &Activity) -> Option<RecognisedFault> {
    let provider = &activity.provider;
    match provider["type"].as_str()? {
        "faultline" => own(activity),
        "python" => {
            let function =
                format!("{}.{}", provider["module"].as_str()?, provider["func"].as_str()?);
            let (_, kind) = FUNCTIONS.iter().find(|(part, _)| function.contains(part))?;
            let arguments = provider["arguments"].as_object()?;
            let parameters = arguments.iter().filter(|(_, value)| !value.is_null());
            Some(RecognisedFault {
                kind: FaultKind::new(*kind).ok()?,
                component: component(arguments)?,
                peer: None,
                parameters: parameters.map(|(name, it)| (name.clone(), it.clone())).collect(),
                at: activity.start,
            })
        }
        _ => None,
    }
}

fn own(activity: &Activity) -> Option<RecognisedFault> {
    if let Ok(injected) = serde_json::from_value::<InjectedFault>(activity.output.clone()) {
        return Some(RecognisedFault {
            kind: injected.kind,
            component: injected.component,
            peer: injected.peer,
            parameters: injected.parameters,
            at: injected.injected_at,
        });
    }
    let provider = &activity.provider;
    let arguments = provider["arguments"].as_object().cloned().unwrap_or_default();
    Some(RecognisedFault {
        kind: provider["fault"].as_str()?.parse().ok()?,
        component: provider["component"].as_str()?.parse().ok()?,
        peer: provider["peer"].as_str().and_then(|peer| peer.parse().ok()),
        parameters: arguments.into_iter().collect(),
        at: activity.start,
    })
}

fn component(arguments: &serde_json::Map<String, Value>) -> Option<ComponentName> {
    let named = NAMES.iter().find_map(|name| arguments.get(*name)?.as_str());
    let selected = || {
        // `app=payments,tier=backend`: the label that names the application.
        let selector = arguments.get("label_selector")?.as_str()?;
        let labels = selector.split(',').filter_map(|label| label.split_once('='));
        let named = labels.filter(|(name, _)| {
            matches!(name.trim(), "app" | "service" | "name" | "app.kubernetes.io/name")
        });
        named.map(|(_, value)| value.trim_start_matches('=').trim()).next()
    };
    named.or_else(selected).filter(|name| !name.is_empty())?.parse().ok()
}

/// Whether an action undoes a fault of this program.
pub(super) fn clears(activity: &Activity) -> bool {
    activity.provider["type"] == "faultline" && activity.provider["clear"].is_string()
}

/// When a fault was over, who ended it, what did, and whether that was seen. Journals of Chaos
/// Toolkit do not say it: rollbacks that succeeded are taken for the end of all faults, and
/// without any, the end of the run is.
pub(super) fn clearing(
    journal: &Journal,
    activity: &Activity,
    fault: &RecognisedFault,
) -> (Timestamp, ClearedBy, String, bool) {
    let of_own = journal.run.iter().chain(&journal.rollbacks).filter(|one| clears(one));
    let cleared = of_own
        .filter(|one| one.provider["clear"].as_str() == Some(activity.name.as_str()))
        .find_map(|one| serde_json::from_value::<ClearedFault>(one.output.clone()).ok());
    if let Some(cleared) = cleared {
        return (cleared.cleared_at, cleared.cleared_by, cleared.action, cleared.verified);
    }
    if activity.provider["duration_ms"].is_number() {
        let action = "undone at the end of its time".to_owned();
        return (activity.end.max(fault.at), ClearedBy::Rollback, action, false);
    }
    let done: Vec<_> =
        journal.rollbacks.iter().filter(|one| one.is_action && one.succeeded).collect();
    if let Some(last) = done.iter().map(|one| one.end).max() {
        let names: Vec<_> = done.iter().map(|one| one.name.as_str()).collect();
        return (last.max(fault.at), ClearedBy::Rollback, names.join("; "), false);
    }
    let action = "no rollback is in the journal; taken as over with the run".to_owned();
    (journal.end.max(fault.at), NOBODY_SAID, action, false)
}
