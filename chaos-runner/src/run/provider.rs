//! Chaos Toolkit's own providers: programs and requests.

use std::path::PathBuf;
use std::process::Stdio;

use events::ComponentName;
use serde_json::{Value, json};
use tokio::process::Command;

use super::book::BookError;
use crate::experiment::{HttpCall, ProcessCall, Provider, Signal};
use crate::shop::control::ControlError;

/// Longest output of a program or answer that is kept, in bytes of each stream.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// Why an activity did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivityError {
    /// The program could not be started.
    #[error("could not run {}", path.display())]
    Spawn {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// The program or address.
        what: String,
        /// Its timeout.
        limit: std::time::Duration,
    },
    /// The request could not be made, or was not answered.
    #[error("no answer from {url}")]
    Request {
        /// Where to.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The shop did not do what was asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The fault could not be written down.
    #[error(transparent)]
    Book(#[from] BookError),
    /// A signal could not be read from the telemetry.
    #[error("{} of {component} was not measured: {why}", signal.name())]
    NotMeasured {
        /// Which.
        signal: Signal,
        /// Of which component.
        component: ComponentName,
        /// Why not.
        why: String,
    },
    /// A fault may still act.
    #[error("could not see that the fault is gone: {0}")]
    NotVerified(String),
    /// The run ended before the activity began.
    #[error("not carried out: the run ended before it began")]
    Skipped,
}

/// Calls a provider that has nothing to do with the shop.
pub(crate) async fn call_outside(provider: &Provider) -> Option<Result<Value, ActivityError>> {
    match provider {
        Provider::Process(call) => Some(run_process(call).await),
        Provider::Http(call) => Some(send_request(call).await),
        Provider::Fault(_) | Provider::ClearFault { .. } | Provider::Signal(_) => None,
    }
}

async fn run_process(call: &ProcessCall) -> Result<Value, ActivityError> {
    let mut command = Command::new(&call.path);
    command
        .args(&call.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its own group: Ctrl-C in a terminal is for the run, which then ends the program.
        .process_group(0)
        .kill_on_drop(true);
    let spawn_error = |source| ActivityError::Spawn { path: PathBuf::from(&call.path), source };
    let child = command.spawn().map_err(spawn_error)?;
    let output = tokio::time::timeout(call.timeout, child.wait_with_output())
        .await
        .map_err(|_| ActivityError::Timeout { what: call.path.clone(), limit: call.timeout })?
        .map_err(spawn_error)?;
    // A program ended by a signal has no code; minus the signal is what Python reports.
    let status = output.status.code().or_else(|| {
        use std::os::unix::process::ExitStatusExt;
        output.status.signal().map(|signal| -signal)
    });
    Ok(json!({
        "status": status,
        "stdout": clipped(&output.stdout),
        "stderr": clipped(&output.stderr),
    }))
}

async fn send_request(call: &HttpCall) -> Result<Value, ActivityError> {
    let request_error = |source| ActivityError::Request { url: call.url.clone(), source };
    let mut client = reqwest::Client::builder().no_proxy().timeout(call.timeout);
    if call.url.starts_with("http://") {
        // Nothing to trust: a machine without certificates must do for plain HTTP.
        client = client.tls_certs_only([]);
    } else if !call.verify_tls {
        client = client.tls_certs_only([]).tls_danger_accept_invalid_certs(true);
    }
    let client = client.build().map_err(request_error)?;
    let method =
        reqwest::Method::from_bytes(call.method.as_bytes()).unwrap_or(reqwest::Method::GET);
    let mut request = client.request(method.clone(), &call.url);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if let Some(arguments) = &call.arguments {
        request = if method == reqwest::Method::GET {
            request.query(arguments)
        } else {
            request.json(arguments)
        };
    }
    let answer = request.send().await.map_err(|source| {
        if source.is_timeout() {
            ActivityError::Timeout { what: call.url.clone(), limit: call.timeout }
        } else {
            request_error(source)
        }
    })?;
    let status = answer.status().as_u16();
    let headers: serde_json::Map<_, _> = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = answer.bytes().await.map_err(request_error)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|_| clipped(&body).into());
    Ok(json!({ "status": status, "headers": headers, "body": body }))
}

fn clipped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_OUTPUT_BYTES)]);
    if bytes.len() > MAX_OUTPUT_BYTES {
        format!("{text}… ({} bytes in all)", bytes.len())
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn process(path: &str, arguments: &[&str], timeout: Duration) -> Provider {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Provider::Process(ProcessCall { path: path.to_owned(), arguments, timeout })
    }

    async fn call(provider: Provider) -> Result<Value, ActivityError> {
        call_outside(&provider).await.unwrap()
    }

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_program_gives_its_code_and_what_it_wrote() {
        let output = call(process("sh", &["-c", "echo out; echo err >&2; exit 3"], SOON)).await;
        assert_eq!(output.unwrap(), json!({"status": 3, "stdout": "out\n", "stderr": "err\n"}));
        let killed = call(process("sh", &["-c", "kill -9 $$"], SOON)).await.unwrap();
        assert_eq!(killed["status"], -9);
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let error = call(process("sleep", &["600"], Duration::from_millis(50))).await.unwrap_err();
        assert_eq!(error.to_string(), "sleep took longer than 50ms");
        let error = call(process("/no/such/program", &[], SOON)).await.unwrap_err();
        assert_eq!(error.to_string(), "could not run /no/such/program");
    }

    #[tokio::test]
    async fn a_request_gives_status_headers_and_body() {
        let echo = |method: axum::http::Method, uri: axum::http::Uri, body: String| async move {
            let headers = [("x-test", "1")];
            let answer = json!({"method": method.as_str(), "uri": uri.to_string(), "body": body});
            (axum::http::StatusCode::IM_A_TEAPOT, headers, axum::Json(answer))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pot", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(echo);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let request = |method: &str| {
            let method = method.to_owned();
            let arguments = Some(json!({"a": 1}));
            let headers = BTreeMap::new();
            Provider::Http(HttpCall {
                url: url.clone(),
                method,
                headers,
                arguments,
                timeout: SOON,
                verify_tls: true,
            })
        };
        let get = call(request("GET")).await.unwrap();
        assert_eq!((&get["status"], &get["headers"]["x-test"]), (&json!(418), &json!("1")));
        assert_eq!(get["body"]["uri"], "/pot?a=1");
        let post = call(request("POST")).await.unwrap();
        assert_eq!(post["body"]["body"], r#"{"a":1}"#);
    }
}
