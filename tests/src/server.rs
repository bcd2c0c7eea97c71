//! A `faultline serve` of a test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::process::binary;

/// How long a server may take to be ready on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running server; dropping it kills it.
pub struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server on `data` and waits until it is ready.
    pub async fn start(data: &Path) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port on loopback");
        let child = Command::new(binary("faultline"))
            .arg("serve")
            .args(["--listen", &listen.to_string()])
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server's binary can be started");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without TLS needs nothing");
        let mut server = Self { child, url: format!("http://{listen}"), http };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let started = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().expect("the server is this process's child");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(started.elapsed() < READY_LIMIT, "the server was not ready in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SIGKILL, as a crash would end it, while others may be asking.
    pub fn sigkill(&self) {
        let id = i32::try_from(self.child.id()).expect("process ids fit into 32 bits");
        kill(Pid::from_raw(id), Signal::SIGKILL).expect("the server is this process's child");
    }

    /// Posts a batch of CloudEvents; the status and the answer.
    pub async fn post(&self, events: &[Value]) -> reqwest::Result<(u16, Value)> {
        let answer = self
            .http
            .post(format!("{}/v1/events", self.url))
            .header("content-type", "application/cloudevents-batch+json")
            .body(json!(events).to_string())
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// GETs a path that answers JSON.
    pub async fn get(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// Asks in GraphQL and answers `data`.
    ///
    /// # Panics
    /// When the answer has errors.
    pub async fn graphql(&self, query: &str) -> Value {
        let answer: Value = self
            .http
            .post(format!("{}/graphql", self.url))
            .json(&json!({ "query": query }))
            .send()
            .await
            .expect("the server answers")
            .json()
            .await
            .expect("GraphQL answers are JSON");
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
