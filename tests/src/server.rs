//! A `faultline serve` of a test's own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::process::{Bounded, binary};

/// How long a server may take to be ready on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// No test needs a server for longer.
const LIFE_LIMIT: Duration = Duration::from_secs(600);

/// A running server; dropping it kills it.
pub struct Server {
    child: Bounded,
    url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server on `data` and waits until it is ready.
    pub async fn start(data: &Path) -> Self {
        Self::start_for(data, &[], LIFE_LIMIT, |line| eprintln!("{line}")).await
    }

    /// As [`Self::start`], on the log at `url`.
    pub async fn start_on_log(data: &Path, url: &str) -> Self {
        let hear = |line| eprintln!("{line}");
        Self::start_for(data, &["--log", url], LIFE_LIMIT, hear).await
    }

    /// As [`Self::start`], with settings of one's own, which are written into `data`.
    pub async fn start_set(data: &Path, settings: &str) -> Self {
        let file = data.join("faultline.toml");
        std::fs::write(&file, settings).expect("the folder of a test can be written");
        let file = file.display().to_string();
        let hear = |line| eprintln!("{line}");
        Self::start_for(data, &["--config", &file], LIFE_LIMIT, hear).await
    }

    /// As [`Self::start`], with flags and a limit of one's own, and an ear for what the server says.
    pub async fn start_for(
        data: &Path,
        flags: &[&str],
        life_limit: Duration,
        hear: impl FnMut(String) + Send + 'static,
    ) -> Self {
        let child = Command::new(binary("faultline"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(flags)
            .env("NO_COLOR", "1")
            .env("FAULTLINE_OTLP__HTTP_LISTEN", "127.0.0.1:0")
            .env("FAULTLINE_OTLP__GRPC_LISTEN", "127.0.0.1:0")
            .env("FAULTLINE_TELEMETRY__LOG_FILTER", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's binary can be started");
        let mut child = Bounded::new(child, life_limit);
        let said = child.child().stderr.take().expect("stderr is a pipe");
        let mut said = BufReader::new(said).lines().map_while(Result::ok);
        let mut before = Vec::new();
        let url = loop {
            let Some(line) = said.next() else {
                panic!("the server ended before it listened:\n{}", before.join("\n"));
            };
            if let Some((_, url)) = line.split_once("url=") {
                break url.trim_matches('"').to_owned();
            }
            before.push(line);
        };
        // Whatever else it says must not fill the pipe.
        thread::spawn(move || said.for_each(hear));
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without TLS needs nothing");
        let mut server = Self { child, url, http };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let started = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.child().try_wait().expect("the server is this process's child");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(started.elapsed() < READY_LIMIT, "not ready in time: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and waits until everything is closed.
    pub fn stop(mut self) {
        self.child.signal(Signal::SIGTERM);
        self.child.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// SIGKILL, as a crash would end it, while others may be asking.
    pub fn sigkill(&self) {
        self.child.signal(Signal::SIGKILL);
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

    /// POSTs nothing to a path; the status and the answer.
    pub async fn post_to(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        let answer = self.http.post(format!("{}{path}", self.url)).json(&json!({})).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// Waits until everything in the log is projected and has had its consequences.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub async fn settled(&self, limit: Duration) {
        let started = Instant::now();
        loop {
            let metrics = self.text("/metrics").await.expect("the server answers");
            let value = |name: &str| {
                let line = metrics.lines().find(|line| line.starts_with(name))?;
                line.split_whitespace().last()?.parse::<f64>().ok()
            };
            let head = value("faultline_log_head_position");
            let behind = ["faultline_reactor_position", "faultline_projection_position"];
            if head.is_some() && behind.iter().all(|name| value(name) == head) {
                return;
            }
            assert!(started.elapsed() < limit, "the server has not settled: {metrics}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// GETs a path that answers text.
    pub async fn text(&self, path: &str) -> reqwest::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        answer.error_for_status()?.text().await
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
