//! Asking a running server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Certificate;
use serde_json::Value;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The server that a command asks instead of a data folder.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServerArgs {
    /// Ask the server at this URL instead of working on the data folder
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// Bearer token for the server
    #[arg(long, value_name = "TOKEN", env = "FAULTLINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust the server by the certificates of this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "FAULTLINE_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl ServerArgs {
    /// A client, when a server is named.
    pub(super) fn client(&self) -> anyhow::Result<Option<Client>> {
        let Some(server) = &self.server else { return Ok(None) };
        let mut http = reqwest::Client::builder().timeout(ANSWER_LIMIT);
        if let Some(path) = &self.ca_file {
            let certificates = std::fs::read(path)
                .map_err(anyhow::Error::from)
                .and_then(|pem| Ok(Certificate::from_pem_bundle(&pem)?))
                .with_context(|| format!("reading the certificates in {}", path.display()))?;
            http = http.tls_certs_only(certificates);
        }
        let http = http.build().context("building the HTTP client")?;
        let server = server.trim_end_matches('/').to_owned();
        Ok(Some(Client { http, server, token: self.token.clone() }))
    }
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    /// Where the server is.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// GETs JSON; an error says what the server said.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.http.get(self.url(path))).await
    }

    /// POSTs JSON.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.answer(self.http.post(self.url(path)).json(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer =
            request.send().await.with_context(|| format!("asking the server {}", self.server))?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("reading the answer ({status}) of {}", self.server))?;
        if !status.is_success() {
            let error = &body["error"];
            let said = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            bail!("{} answered {status} {}: {}", self.server, said("code"), said("message"));
        }
        Ok(body)
    }
}
