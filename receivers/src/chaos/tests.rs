use events::catalogue::experiment::{ClearedBy, ExperimentOutcome};
use events::value::NonNegative;
use serde_json::json;

use super::*;
use crate::alerts::{LabelRule, LabelRules};

fn now() -> Timestamp {
    "2026-03-01T12:30:00Z".parse().unwrap()
}

fn network(uid: &str) -> Value {
    let record = |pod: &str, applied: &str, recovered: &str| {
        json!({
            "id": format!("shop/{pod}/app"), "selectorKey": ".", "phase": "Not Injected",
            "injectedCount": 1, "recoveredCount": 1,
            "events": [
                {"type": "Failed", "operation": "Apply", "message": "retry",
                 "timestamp": "2026-03-01T12:00:00Z"},
                {"type": "Succeeded", "operation": "Apply", "timestamp": applied},
                {"type": "Succeeded", "operation": "Recover", "timestamp": recovered},
            ],
        })
    };
    json!({
        "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
        "metadata": {"name": "slow-cart", "namespace": "shop", "uid": uid,
                     "creationTimestamp": "2026-03-01T12:00:00Z"},
        "spec": {"action": "netem", "mode": "all", "duration": "60s",
                 "selector": {"namespaces": ["shop"], "labelSelectors": {"tier": "backend"}},
                 "delay": {"latency": "200ms", "jitter": "10ms"}, "direction": "to",
                 "target": {"mode": "all", "selector": {"labelSelectors": {"app": "stock"}}}},
        "status": {
            "conditions": [{"type": "AllInjected", "status": "False"},
                           {"type": "AllRecovered", "status": "True"}],
            "experiment": {"desiredPhase": "Stop", "containerRecords": [
                record("cart-7d9f8b6c5-x2x1z", "2026-03-01T12:00:02Z", "2026-03-01T12:01:02Z"),
                record("cart-7d9f8b6c5-b4b5c", "2026-03-01T12:00:01Z", "2026-03-01T12:01:05Z"),
            ]},
        },
    })
}

fn check(told: &Told) {
    for event in &told.events {
        assert_eq!(&Event::from_cloud_event(event.to_cloud_event(), now()).unwrap(), event);
    }
}

fn types(told: &Told) -> Vec<&'static str> {
    let of = told.events.iter().map(|event| event.data.event_type());
    of.map(|name| name.trim_start_matches("io.faultline.").trim_end_matches(".v1")).collect()
}

#[test]
fn an_object_of_chaos_mesh_is_a_run_with_a_fault_of_each_component() {
    let told = object(&network("u-1"), &LabelRules::default()).unwrap();
    check(&told);
    let expected = [
        "experiment.planned",
        "experiment.started",
        "fault.injected",
        "fault.cleared",
        "experiment.finished",
    ];
    assert_eq!(types(&told), expected);
    let EventData::FaultInjected(injected) = &told.events[2].data else { panic!("injected") };
    assert_eq!((injected.kind.as_str(), injected.component.as_str()), ("latency", "cart"));
    assert_eq!(injected.peer.as_ref().unwrap().as_str(), "stock");
    assert_eq!(injected.parameters["delay.latency"], "200ms");
    assert_eq!(told.events[2].time.to_string(), "2026-03-01T12:00:01Z", "the first pod");
    assert_eq!(told.events[3].time.to_string(), "2026-03-01T12:01:05Z", "the last pod");
    let EventData::FaultCleared(cleared) = &told.events[3].data else { panic!("cleared") };
    assert_eq!((cleared.cleared_by, cleared.verified), (ClearedBy::Deadline, true));
}

/// Who has a fault, with whom, for how many milliseconds at most.
fn faults(told: &Told) -> Vec<(&str, Option<&str>, Option<f64>)> {
    let injected = told.events.iter().filter_map(|event| match &event.data {
        EventData::FaultInjected(it) => Some(it),
        _ => None,
    });
    injected
        .map(|it| {
            (
                it.component.as_str(),
                it.peer.as_ref().map(|it| it.as_str()),
                it.deadline_ms.map(|it| it.get()),
            )
        })
        .collect()
}

#[test]
fn the_side_whose_traffic_is_disturbed_is_at_fault() {
    let stock = "stock-6c7d8f9b5-q1w2r";
    for (direction, expected) in [
        (json!("to"), vec![("cart", Some("stock"), Some(59_000.0))]),
        (Value::Null, vec![("cart", Some("stock"), Some(59_000.0))]),
        (json!("from"), vec![("stock", None, Some(58_000.0))]),
        (
            json!("both"),
            vec![("cart", Some("stock"), Some(59_000.0)), ("stock", None, Some(58_000.0))],
        ),
    ] {
        let mut document = network("u-1");
        document["spec"]["direction"] = direction.clone();
        let records = document.pointer_mut("/status/experiment/containerRecords").unwrap();
        let mut target = records[0].clone();
        target["id"] = json!(format!("shop/{stock}/app"));
        target["selectorKey"] = json!(".Target");
        records.as_array_mut().unwrap().push(target);
        let told = object(&document, &LabelRules::default()).unwrap();
        assert_eq!(faults(&told), expected, "{direction}");

        let rule = LabelRule {
            labels: [("app".to_owned(), "stock".to_owned())].into(),
            except: Vec::new(),
            component: "inventory".to_owned(),
        };
        let ruled = object(&document, &LabelRules(vec![rule])).unwrap();
        let of_target = faults(&ruled).iter().any(|(component, ..)| *component == "inventory");
        let is_told = matches!(direction.as_str(), Some("from" | "both"));
        assert_eq!(of_target, is_told, "a target is named by the labels of its own selector");
    }
}

#[test]
fn a_fault_acts_until_the_duration_since_the_creation_of_its_object() {
    for (duration, expected) in [
        (json!("60s"), Some(59_000.0)),
        (json!("1h30m"), Some(5_399_000.0)),
        (json!("1.5h"), Some(5_399_000.0)),
        (json!("1h0m0s"), Some(3_599_000.0)),
        (json!("500ms"), Some(0.0)),
        (Value::Null, None),
    ] {
        let mut document = network("u-1");
        document["spec"]["duration"] = duration.clone();
        let told = object(&document, &LabelRules::default()).unwrap();
        check(&told);
        assert_eq!(faults(&told), [("cart", Some("stock"), expected)], "{duration}");
    }
}

#[test]
fn what_is_paused_is_not_finished() {
    let mut document = network("u-1");
    let paused = json!({"type": "Paused", "status": "True"});
    document["status"]["conditions"].as_array_mut().unwrap().push(paused);
    document["spec"]["duration"] = json!("10m");
    let told = object(&document, &LabelRules::default()).unwrap();
    assert_eq!(types(&told)[2..], ["fault.injected", "fault.cleared"]);
    let EventData::FaultCleared(cleared) = &told.events[3].data else { panic!("cleared") };
    assert_eq!(cleared.cleared_by, ClearedBy::Rollback, "its ten minutes are not over");

    document["status"]["conditions"][2]["status"] = json!("False");
    for record in 0..2 {
        let events = format!("/status/experiment/containerRecords/{record}/events");
        let events = document.pointer_mut(&events).unwrap().as_array_mut().unwrap();
        let at = |operation: &str, at: &str| json!({"type": "Succeeded", "operation": operation, "timestamp": at});
        events.push(at("Apply", "2026-03-01T12:05:00Z"));
        events.push(at("Recover", "2026-03-01T12:10:00Z"));
    }
    let resumed = object(&document, &LabelRules::default()).unwrap();
    check(&resumed);
    assert_eq!(resumed.events[..4], told.events[..4], "what was told stays");
    let rest = ["fault.injected", "fault.cleared", "experiment.finished"];
    assert_eq!(types(&resumed)[4..], rest);
    assert_eq!(faults(&resumed)[1].2, Some(300_000.0), "what is left of ten minutes");
    let EventData::FaultCleared(cleared) = &resumed.events[5].data else { panic!("cleared") };
    assert_eq!(cleared.cleared_by, ClearedBy::Deadline, "its ten minutes are over");
    assert_eq!(resumed.events[6].time.to_string(), "2026-03-01T12:10:00Z");
}

#[test]
fn a_killed_pod_is_missing_for_a_moment_and_its_experiment_is_over() {
    let mut document = network("u-1");
    document["kind"] = json!("PodChaos");
    document["spec"] = json!({"action": "pod-kill", "mode": "all",
        "selector": {"labelSelectors": {"app": "cart"}}});
    document["status"]["conditions"] = json!([{"type": "AllInjected", "status": "True"},
        {"type": "AllRecovered", "status": "False"}]);
    document["status"]["experiment"]["desiredPhase"] = json!("Run");
    let records = document.pointer_mut("/status/experiment/containerRecords").unwrap();
    for record in records.as_array_mut().unwrap() {
        record["events"].as_array_mut().unwrap().truncate(2);
    }
    let told = object(&document, &LabelRules::default()).unwrap();
    check(&told);
    assert_eq!(types(&told)[2..], ["fault.injected", "experiment.finished"]);
    assert_eq!(faults(&told), [("cart", None, Some(60_000.0))]);
    assert_eq!(told.events[3].time.to_string(), "2026-03-01T12:00:02Z");

    let mut container = document.clone();
    container["spec"]["action"] = json!("container-kill");
    let container = object(&container, &LabelRules::default()).unwrap();
    assert_eq!(types(&container), types(&told));

    let mut partly = document.clone();
    partly["status"]["conditions"][0]["status"] = json!("False");
    partly["status"]["experiment"]["containerRecords"][0]["events"].as_array_mut().unwrap().pop();
    let partly = object(&partly, &LabelRules::default()).unwrap();
    assert_eq!(partly.events, told.events[..3], "a pod is still to be killed");

    let mut deleted = network("u-1");
    deleted["kind"] = document["kind"].clone();
    deleted["spec"] = document["spec"].clone();
    let deleted = object(&deleted, &LabelRules::default()).unwrap();
    assert_eq!(deleted.events, told.events, "its deletion tells nothing new");
}

#[test]
fn what_goes_on_is_told_as_far_as_it_is_and_never_twice() {
    let whole = object(&network("u-1"), &LabelRules::default()).unwrap();
    let mut running = network("u-1");
    running["status"]["experiment"]["desiredPhase"] = json!("Run");
    running["status"]["conditions"] = json!([]);
    running["status"]["experiment"]["containerRecords"][0]["events"].as_array_mut().unwrap().pop();
    let told = object(&running, &LabelRules::default()).unwrap();
    assert_eq!(types(&told), ["experiment.planned", "experiment.started", "fault.injected"]);
    assert_eq!(told.events, whole.events[..3]);
    let again = object(&network("u-2"), &LabelRules::default()).unwrap();
    assert_ne!(again.experiment, whole.experiment, "a rerun is another run");
    assert!(again.events.iter().all(|event| whole.events.iter().all(|it| it.id != event.id)));
}

#[test]
fn rules_name_targets_and_kinds_follow_actions() {
    let rule = LabelRule {
        labels: [("tier".to_owned(), "back*".to_owned())].into(),
        except: Vec::new(),
        component: "${namespace}/${workload}".to_owned(),
    };
    let told = object(&network("u-1"), &LabelRules(vec![rule])).unwrap();
    let EventData::FaultInjected(injected) = &told.events[2].data else { panic!("injected") };
    assert_eq!(injected.component.as_str(), "shop/cart");
    for (of, spec, expected) in [
        ("PodChaos", json!({"action": "pod-kill"}), "process_kill"),
        ("StressChaos", json!({"stressors": {"memory": {"size": "1GB"}}}), "memory_stress"),
        ("HTTPChaos", json!({"delay": "1s"}), "slow_response"),
        ("JVMChaos", json!({"action": "gc"}), "jvm"),
    ] {
        let mut document = network("u-1");
        document["kind"] = json!(of);
        document["spec"] = spec;
        let told = object(&document, &LabelRules::default()).unwrap();
        let EventData::FaultInjected(injected) = &told.events[2].data else { panic!("injected") };
        assert_eq!(injected.kind.as_str(), expected);
    }
    let mut schedule = network("u-1");
    schedule["kind"] = json!("Schedule");
    assert_eq!(object(&schedule, &LabelRules::default()).unwrap_err().code(), "invalid_field");
}

#[test]
fn pods_are_of_their_workloads() {
    for (pod, workload) in [
        ("cart-7d9f8b6c5-x2x1z", "cart"),
        ("cart-0", "cart"),
        ("node-agent-x2x1z", "node-agent"),
        ("shopping-cart-7d9f8b6c5-x2x1z", "shopping-cart"),
        ("cart", "cart"),
        ("payment-gateway", "payment-gateway"),
    ] {
        assert_eq!(workload_of(pod), workload, "{pod}");
    }
}

fn litmus(passed: u64, failed: u64, verdict: &str) -> Value {
    json!({"kind": "List", "items": [
        {"kind": "ChaosEngine", "metadata": {"name": "cart-chaos", "namespace": "shop",
            "creationTimestamp": "2026-03-01T12:00:00Z"},
         "spec": {"appinfo": {"appns": "shop", "applabel": "app=cart", "appkind": "deployment"},
                  "experiments": [{"name": "pod-delete", "spec": {"components": {"env": [
                      {"name": "TOTAL_CHAOS_DURATION", "value": "30"}]}}}]},
         "status": {"experiments": [{"name": "pod-delete", "status": "Completed",
                    "lastUpdateTime": "2026-03-01T12:01:00Z"}]}},
        {"kind": "ChaosResult", "metadata": {"name": "cart-chaos-pod-delete", "namespace": "shop",
            "uid": "r-1", "labels": {"chaosUID": "e-1"}},
         "spec": {"engine": "cart-chaos", "experiment": "pod-delete"},
         "status": {
            "experimentStatus": {"phase": "Completed", "verdict": verdict,
                                 "probeSuccessPercentage": "50"},
            "probeStatuses": [
                {"name": "answers", "type": "httpProbe", "mode": "Continuous",
                 "status": {"verdict": if verdict == "Fail" {"Failed"} else {"Passed"},
                            "description": "expected 200"}},
                {"name": "ready", "type": "k8sProbe", "mode": "EOT",
                 "status": {"verdict": "Passed", "description": "ready"}}],
            "history": {"passedRuns": passed, "failedRuns": failed, "stoppedRuns": 0,
                "targets": [{"name": "cart", "kind": "deployment", "chaosStatus": "reverted"}]},
         }},
    ]})
}

#[test]
fn a_result_of_litmus_is_a_run_with_its_probes_and_its_verdict() {
    let told = results(&litmus(0, 1, "Fail"), &LabelRules::default(), now()).unwrap().remove(0);
    check(&told);
    let EventData::FaultInjected(injected) = &told.events[2].data else { panic!("injected") };
    assert_eq!((injected.kind.as_str(), injected.component.as_str()), ("process_kill", "cart"));
    assert_eq!(injected.parameters["TOTAL_CHAOS_DURATION"], "30");
    assert_eq!(injected.deadline_ms, NonNegative::new(30_000.0).ok());
    assert_eq!(told.events[0].time.to_string(), "2026-03-01T12:00:00Z");
    let EventData::ExperimentFinished(finished) = &told.events.last().unwrap().data else {
        panic!("finished")
    };
    assert_eq!(finished.outcome, ExperimentOutcome::Deviated);
    let measured =
        types(&told).iter().filter(|it| **it == "experiment.steadystatemeasured").count();
    assert_eq!(measured, 2);
}

#[test]
fn a_fault_of_litmus_that_still_acts_has_its_duration_as_its_deadline() {
    let mut document = litmus(0, 0, "Awaited");
    document["items"][1]["status"]["history"]["targets"][0]["chaosStatus"] = json!("injected");
    let told = results(&document, &LabelRules::default(), now()).unwrap().remove(0);
    check(&told);
    assert_eq!(faults(&told), [("cart", None, Some(30_000.0))]);
    assert!(!types(&told).contains(&"fault.cleared"));
    assert!(!types(&told).contains(&"experiment.finished"));
}

#[test]
fn a_rerun_of_litmus_is_another_run_though_its_result_is_the_same_object() {
    let run = |passed, failed, verdict| {
        let document = litmus(passed, failed, verdict);
        results(&document, &LabelRules::default(), now()).unwrap().remove(0)
    };
    let first = run(1, 0, "Pass");
    assert_eq!(run(1, 0, "Pass"), first);
    assert_ne!(run(2, 0, "Pass").experiment, first.experiment);
    let awaited = run(1, 0, "Awaited");
    assert_eq!(awaited.experiment, run(2, 0, "Pass").experiment, "it is the run that then passed");
    assert!(!types(&awaited).contains(&"experiment.finished"));
    let mut broken = litmus(0, 1, "Fail");
    broken["items"][1]["status"]["probeStatuses"] = json!([]);
    broken["items"][1]["status"]["experimentStatus"]["errorOutput"] =
        json!({"errorCode": "CHAOS_INJECT_ERROR", "reason": "no such pod"});
    let told = results(&broken, &LabelRules::default(), now()).unwrap().remove(0);
    let EventData::ExperimentFinished(finished) = &told.events.last().unwrap().data else {
        panic!("finished")
    };
    assert_eq!(finished.outcome, ExperimentOutcome::Failed);
    assert_eq!(finished.reason.as_ref().unwrap().as_str(), "no such pod");
}
