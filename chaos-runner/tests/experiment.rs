//! Reading experiment files: what is accepted, and exactly what is said of the rest.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use chaos_runner::experiment::shipped;
use chaos_runner::experiment::{
    self, Experiment, HypothesisStrategy, LoadError, Provider, RollbackStrategy, Signal, Tolerance,
};
use events::catalogue::fault_kind;

fn parse(name: &str, text: &str) -> Result<Experiment, String> {
    let environment = |name: &str| (name == "DELAY").then(|| "250".to_owned());
    experiment::parse(name, text, &environment).map_err(|error| match error {
        LoadError::Invalid { name, source } => format!("{name}:\n{source}"),
        other => other.to_string(),
    })
}

const WHOLE: &str = r#"
title: Slow payments
description: What it is for.
tags: [a, b]
contributions: {reliability: high}
configuration:
  component: payments
  delay: {type: env, key: DELAY, env_var_type: int}
secrets:
  shop: {token: {type: env, key: NOT_SET, default: s3cret}}
runtime:
  rollbacks: {strategy: always}
  hypothesis: {strategy: continuously}
extensions:
  - {name: somebody else's, anything: goes}
  - {name: faultline, deadline_ms: 60000, span_ms: 4000}
steady-state-hypothesis:
  title: All is well
  probes:
    - name: p95
      type: probe
      tolerance: {type: range, range: [0, 200]}
      provider: {type: faultline, signal: p95_ms, component: "${component}"}
method:
  - name: slow
    type: action
    background: true
    pauses: {before: 0.5, after: 1}
    provider:
      type: faultline
      fault: latency
      component: "${component}"
      peer: checkout
      arguments: {delay_ms: "${delay}"}
      duration_ms: 20000
  - ref: p95
  - name: ask
    type: probe
    provider: {type: http, url: "http://localhost/?token=${token}", timeout: [1, 2]}
rollbacks:
  - name: undo
    type: action
    provider: {type: faultline, clear: slow}
"#;

#[test]
fn the_whole_format_is_read() {
    let experiment = parse("x.yaml", WHOLE).unwrap();
    assert_eq!(experiment.runtime.rollbacks, RollbackStrategy::Always);
    assert_eq!(experiment.runtime.hypothesis, HypothesisStrategy::Continuously);
    assert_eq!(experiment.runtime.deadline, Duration::from_secs(60));
    assert_eq!(experiment.runtime.span, Duration::from_secs(4));
    let probe = &experiment.hypothesis.as_ref().unwrap().probes[0];
    assert_eq!(probe.tolerance, Tolerance::Between(0.0, 200.0));
    let [slow, again, ask] = experiment.method.as_slice() else { panic!("three activities") };
    let Provider::Fault(fault) = &slow.provider else { panic!("a fault") };
    assert_eq!(fault.kind, fault_kind::named(fault_kind::LATENCY));
    assert_eq!(fault.arguments["delay_ms"], 250, "an environment variable keeps its type");
    assert_eq!(fault.peer.as_ref().unwrap().as_str(), "checkout");
    assert_eq!(fault.duration, Some(Duration::from_secs(20)));
    assert!(slow.background);
    assert_eq!(slow.pauses.before, Duration::from_millis(500));
    let Provider::Signal(signal) = &again.provider else { panic!("what the reference names") };
    assert_eq!((signal.signal, signal.component.as_str()), (Signal::P95Ms, "payments"));
    let Provider::Http(call) = &ask.provider else { panic!("a request") };
    assert_eq!(call.url, "http://localhost/?token=s3cret");
    assert_eq!(call.timeout, Duration::from_secs(2));
}

#[test]
fn the_journal_gets_the_file_as_it_was_given() {
    let experiment = parse("x.yaml", WHOLE).unwrap();
    assert_eq!(
        experiment.method[2].document["provider"]["url"],
        "http://localhost/?token=${token}"
    );
    assert!(!experiment.method[2].document.to_string().contains("s3cret"));
}

#[test]
fn json_and_yaml_read_the_same() {
    let from_yaml = parse("x.yaml", WHOLE).unwrap();
    let json = serde_json::to_string(&from_yaml.document).unwrap();
    assert_eq!(parse("x.json", &json).unwrap(), from_yaml);
}

#[test]
fn every_problem_is_said_with_its_place() {
    let wrong = r#"
title: ""
tags: [1]
contributions: {reliability: very}
controls: [{name: c}]
configuration: {a: {type: vault, key: b}, c: {type: env, key: NOT_SET}}
runtime: {rollbacks: {strategy: sometimes}}
steady-state-hypothesis:
  title: T
  probes:
    - name: no tolerance
      type: probe
      provider: {type: faultline, signal: p94_ms, component: gateway}
    - name: not a probe
      type: action
      tolerance: 1
      provider: {type: faultline, fault: latency, component: payments}
method:
  - name: python
    type: action
    provider: {type: python, module: m, func: f}
  - name: unknown kind
    type: action
    provider: {type: faultline, fault: gremlins, component: payments}
  - name: unknown component
    type: action
    provider: {type: faultline, fault: latency, component: paymnets}
  - name: not a caller
    type: action
    provider: {type: faultline, fault: latency, component: payments, peer: cart}
  - name: no such argument
    type: action
    provider: {type: faultline, fault: latency, component: payments, arguments: {delay: 5}}
  - name: argument out of range
    type: action
    provider: {type: faultline, fault: http_error, component: cart, arguments: {probability: 2}}
  - name: cannot act there
    type: action
    provider: {type: faultline, fault: pool_exhaustion, component: cart}
  - name: misspelt field
    type: action
    provider: {type: faultline, fault: latency, component: payments, duration: 5}
  - name: wrong unit
    type: action
    pauses: {after: -1}
    provider: {type: faultline, fault: latency, component: payments, duration_ms: 5}
  - name: a fault is no probe
    type: probe
    provider: {type: faultline, fault: latency, component: payments}
  - name: too much
    type: action
    provider: {type: faultline, fault: latency, clear: x}
  - name: shell
    type: action
    provider: {type: process, path: echo, arguments: "a | b"}
  - name: no http
    type: probe
    provider: {type: http, url: "ftp://example.org"}
  - name: variable
    type: probe
    provider: {type: http, url: "http://${hots}/"}
  - ref: nobody
  - type: dance
rollbacks:
  - name: undo nothing
    type: action
    provider: {type: faultline, clear: nothing}
"#;
    insta::assert_snapshot!(parse("wrong.yaml", wrong).unwrap_err());
}

#[test]
fn a_rollback_clears_one_fault_and_injects_none() {
    let text = r#"
title: T
description: D
method:
  - {name: slow, type: action, provider: {type: faultline, fault: latency, component: payments}}
rollbacks:
  - {name: undo, type: action, provider: {type: faultline, clear: slwo}}
  - {name: more, type: action, provider: {type: faultline, fault: latency, component: cart}}
"#;
    insta::assert_snapshot!(parse("x.yml", text).unwrap_err());
}

#[test]
fn what_is_no_document_is_said_with_line_and_column() {
    insta::assert_snapshot!(
        [
            parse("x.json", "{\"title\": \"T\",}").unwrap_err(),
            parse("x.yaml", "title: [a\nb: c").unwrap_err(),
            parse("x.json", "[]").unwrap_err(),
            parse("x.json", "{}").unwrap_err(),
        ]
        .join("\n")
    );
}

#[test]
fn every_shipped_experiment_is_valid_and_measures() {
    for shipped in shipped::ALL {
        let experiment = shipped.read(&|_| None).unwrap_or_else(|error| panic!("{error}"));
        assert!(experiment.hypothesis.is_some_and(|it| !it.probes.is_empty()), "{}", shipped.name);
    }
}

#[test]
fn the_shipped_experiments_cover_every_fault_kind() {
    let mut missing: Vec<_> = fault_kind::LOCAL.to_vec();
    for shipped in shipped::ALL {
        for activity in shipped.read(&|_| None).unwrap().method {
            if let Provider::Fault(fault) = activity.provider {
                missing.retain(|kind| *kind != fault.kind.as_str());
            }
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
}
