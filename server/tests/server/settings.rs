//! The configuration through the real binary.

use std::process::{Command, Output};

fn serve(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command.arg("serve").arg("--print-config").args(arguments);
    command.env_clear().envs(environment.iter().copied());
    command.output().expect("the binary runs")
}

#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = serve(arguments, environment);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn the_defaults_are_printed_as_documented() {
    let output = serve(&[], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("UTF-8"));
}

#[test]
fn flags_win_over_the_environment_over_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faultline.toml");
    let text = "[http]\nlisten = \"127.0.0.1:1\"\ndrain_timeout_ms = 1\n\
                request_timeout_ms = 1\n[storage]\ngraph = \"wss://root:hunter2@db/x\"\n\
                log = \"esdb://ops:hunter2@kdb\"\n";
    std::fs::write(&file, text).expect("written");
    let output = serve(
        &["--config", file.to_str().expect("UTF-8"), "--listen", "127.0.0.1:3"],
        &[
            ("FAULTLINE_HTTP__LISTEN", "127.0.0.1:2"),
            ("FAULTLINE_HTTP__DRAIN_TIMEOUT_MS", "2"),
            ("FAULTLINE_PORT", "tcp://10.0.0.1:7700"),
            ("FAULTLINE_STORAGE__LOG_PASSWORD", "hunter2"),
        ],
    );
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "listen = \"127.0.0.1:3\"",
        "drain_timeout_ms = 2",
        "request_timeout_ms = 1",
        "graph = \"wss://redacted@db/x\"",
        "log = \"esdb://redacted@kdb\"",
        "log_password = \"redacted\"",
    ] {
        assert!(printed.lines().any(|got| got == line), "no {line} in\n{printed}");
    }
    assert!(!printed.contains("hunter2"));
}

#[test]
fn a_setting_nobody_knows_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faultline.toml");
    std::fs::write(&file, "[http]\nlisten_on = \"127.0.0.1:1\"\n").expect("written");
    let message = refused(&["--config", file.to_str().expect("UTF-8")], &[]);
    assert!(message.contains("listen_on"), "{message}");
    let message = refused(&[], &[("FAULTLINE_INGEST__MAX_BODY", "1")]);
    assert!(message.contains("max_body"), "{message}");
    let message = refused(&[], &[("FAULTLINE_HTTP_LISTEN", "127.0.0.1:1")]);
    assert!(message.contains("FAULTLINE_HTTP__LISTEN"), "{message}");
    let of_others = [("FAULTLINE_SERVICE_HOST", "10.0.0.1"), ("FAULTLINE_PORT_7700_TCP", "x")];
    assert!(serve(&[], &of_others).status.success());
    let message = refused(&["--config", "/nonexistent.toml"], &[]);
    assert!(message.contains("/nonexistent.toml"), "{message}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let off = [("FAULTLINE_AUTH__REQUIRED", "false")];
    let message = refused(&["--listen", "0.0.0.0:7700"], &off);
    assert!(message.contains("auth.required") && message.contains("--allow-anon"), "{message}");
    for allowed in [vec![], vec!["--allow-anonymous"]] {
        let arguments = [vec!["--listen", "0.0.0.0:7700"], allowed].concat();
        assert!(serve(&arguments, &[]).status.success(), "{arguments:?}");
    }
    let message = refused(&[], &[("FAULTLINE_TLS__CERT", "cert.pem")]);
    assert!(message.contains("tls.key"), "{message}");
    let message = refused(&["--graph", "postgres://u:secret@db"], &[]);
    assert!(message.contains("storage.graph") && !message.contains("secret"), "{message}");
    let message = refused(&[], &[("FAULTLINE_INGEST__MAX_BATCH_EVENTS", "0")]);
    assert!(message.contains("ingest.max_batch_events"), "{message}");
    let message = refused(&[], &[("FAULTLINE_INGEST__MAX_BATCH_EVENTS", "many")]);
    assert!(message.contains("INGEST.MAX_BATCH_EVENTS"), "{message}");
    let message = refused(&["--log-filter", "=nonsense="], &[]);
    assert!(message.contains("telemetry.log_filter"), "{message}");
}
