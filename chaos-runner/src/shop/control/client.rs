//! The client of the control API.

use std::time::Duration;

use events::FaultId;
use events::catalogue::experiment::ClearedBy;
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use super::{
    ClearedFault, FaultSpec, FaultState, InjectedFault, LoadShape, Refusal, ShopStatus, Topology,
    WindowSignals,
};

/// Longest wait for an answer: undoing a fault restarts a process and waits until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the shop did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The shop did not answer, or not in its own form.
    #[error("no answer from the shop at {url}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The shop refused.
    #[error("the shop refused ({}): {}", refusal.code, refusal.message)]
    Refused {
        /// HTTP status.
        status: u16,
        /// Why.
        refusal: Refusal,
    },
}

impl ControlError {
    /// Whether nobody listens there.
    pub(crate) fn is_refused_connection(&self) -> bool {
        let Self::Unreachable { source, .. } = self else { return false };
        let mut cause: Option<&dyn std::error::Error> = Some(source);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return io.kind() == std::io::ErrorKind::ConnectionRefused;
            }
            cause = error.source();
        }
        false
    }
}

/// A client of one shop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlClient {
    base: String,
    http: reqwest::Client,
}

impl ControlClient {
    /// A client of the shop at `base`, such as `http://127.0.0.1:9000`.
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            // The shop is on loopback and speaks no TLS: there is nobody to trust.
            .tls_certs_only([])
            .timeout(PATIENCE)
            .build()
            .expect("a client without TLS has nothing to load that could fail");
        Self { base: base.into().trim_end_matches('/').to_owned(), http }
    }

    /// Where the shop is.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// How the shop is.
    pub async fn status(&self) -> Result<ShopStatus, ControlError> {
        self.ask(Method::GET, "/status", |request| request).await
    }

    /// What the shop is made of.
    pub async fn topology(&self) -> Result<Topology, ControlError> {
        self.ask(Method::GET, "/topology", |request| request).await
    }

    /// The newest `windows` closed windows, oldest first; fewer when the shop is younger.
    pub async fn signals(&self, windows: usize) -> Result<Vec<WindowSignals>, ControlError> {
        self.ask(Method::GET, "/signals", |request| request.query(&[("windows", windows)])).await
    }

    /// The load of the users.
    pub async fn load(&self) -> Result<LoadShape, ControlError> {
        self.ask(Method::GET, "/load", |request| request).await
    }

    /// Changes the load of the users, from now on.
    pub async fn set_load(&self, shape: &LoadShape) -> Result<LoadShape, ControlError> {
        self.ask(Method::PUT, "/load", |request| request.json(shape)).await
    }

    /// The faults that act.
    pub async fn faults(&self) -> Result<Vec<InjectedFault>, ControlError> {
        self.ask(Method::GET, "/faults", |request| request).await
    }

    /// Whether a fault acts, and who undid it.
    pub async fn fault(&self, fault: &FaultId) -> Result<FaultState, ControlError> {
        self.ask(Method::GET, &format!("/faults/{fault}"), |request| request).await
    }

    /// Injects a fault. It acts when the answer comes.
    pub async fn inject(&self, spec: &FaultSpec) -> Result<InjectedFault, ControlError> {
        self.ask(Method::POST, "/faults", |request| request.json(spec)).await
    }

    /// Undoes a fault. A fault that is gone already, by its deadline for example, gives the
    /// answer of what undid it.
    pub async fn clear(
        &self,
        fault: &FaultId,
        by: ClearedBy,
    ) -> Result<ClearedFault, ControlError> {
        self.ask(Method::DELETE, &format!("/faults/{fault}"), |request| {
            request.query(&[("by", by)])
        })
        .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<T, ControlError> {
        let url = format!("{}{path}", self.base);
        let unreachable = |source| ControlError::Unreachable { url: url.clone(), source };
        let answer = with(self.http.request(method, &url)).send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unreachable);
        }
        let refusal = answer.json().await.map_err(unreachable)?;
        Err(ControlError::Refused { status: status.as_u16(), refusal })
    }
}
