//! The command line from outside: what it answers without running anything.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos-runner")).args(arguments).output().unwrap()
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_file_that_is_not_there_or_not_right_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.json");
    std::fs::write(&file, r#"{"title": "T", "description": "D"}"#).unwrap();
    let file = file.to_str().unwrap();
    let (code, out, error) = texts(&run(&["run", file]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        error,
        format!(
            "error: {file} is not an experiment that can be run\n  \
             (the document): `method` is missing: expected a list of activities, which may be empty\n"
        )
    );
    let (code, _, error) = texts(&run(&["run", "/no/such/file.yaml"]));
    assert_eq!(code, 2);
    assert_eq!(
        error,
        "error: could not read /no/such/file.yaml: No such file or directory (os error 2)\n"
    );
    assert_eq!(run(&["run"]).status.code(), Some(2));
    assert_eq!(run(&["shop", "--control", "0.0.0.0:1"]).status.code(), Some(2));
}

#[test]
fn validate_checks_every_file_before_it_answers() {
    let (code, out, _) = texts(&run(&["validate", "latency-payments", "nope", "--json"]));
    assert_eq!(code, 2);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["valid"], true);
    assert_eq!(lines[1]["valid"], false);
    let message = lines[1]["problems"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("there is no file \"nope\" and no shipped experiment"),
        "{message}"
    );
}

#[test]
fn an_unknown_server_address_is_refused_before_anything_starts() {
    let (code, _, error) = texts(&run(&["run", "latency-payments", "--server", "localhost:1"]));
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("http://127.0.0.1:7700"), "{error}");
}

#[test]
fn everything_shipped_is_listed() {
    let (code, out, _) = texts(&run(&["list", "--json"]));
    assert_eq!(code, 0);
    let list: Value = serde_json::from_str(&out).unwrap();
    let names = list["experiments"].as_array().unwrap().iter().map(|it| it["name"].as_str());
    assert!(names.flatten().any(|name| name == "overload-catalog"));
    assert_eq!(list["fault_kinds"].as_array().unwrap().len(), 17);
}

#[test]
fn a_name_that_names_nothing_is_a_usage_error_that_helps() {
    let (code, out, error) = texts(&run(&["run", "latency-payment"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("did you mean \"latency-payments\"?"), "{error}");
    let (code, _, error) = texts(&run(&["suite", "--only", "zzzz"]));
    assert_eq!(code, 2);
    assert!(error.starts_with("error: no shipped experiment has \"zzzz\" in its name"), "{error}");
}
