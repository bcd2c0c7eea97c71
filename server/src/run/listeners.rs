//! Where the server listens: for its interface, and for OpenTelemetry.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::config::Config;
use crate::http::{self, App};
use crate::serve::{self, Tls, Version};

/// The bound ports.
pub(super) struct Listeners {
    api: TcpListener,
    otlp: Option<TcpListener>,
    grpc: Option<TcpListener>,
}

/// The addresses of the ports, those that the system chose filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) api: SocketAddr,
    pub(super) otlp: Option<SocketAddr>,
    pub(super) grpc: Option<SocketAddr>,
}

impl Listeners {
    pub(super) async fn bind(config: &Config) -> Result<Self, StartError> {
        let otlp = &config.otlp;
        Ok(Self {
            api: bind("http.listen", config.http.listen).await?,
            otlp: wanted("otlp.http_listen", otlp.http_listen.address()).await?,
            grpc: wanted("otlp.grpc_listen", otlp.grpc_listen.address()).await?,
        })
    }

    pub(super) fn addresses(&self) -> Result<Addresses, StartError> {
        let of = |listener: &TcpListener| listener.local_addr().map_err(StartError::Address);
        Ok(Addresses {
            api: of(&self.api)?,
            otlp: self.otlp.as_ref().map(of).transpose()?,
            grpc: self.grpc.as_ref().map(of).transpose()?,
        })
    }

    /// Answers requests until `draining`; then finishes those that are open.
    pub(super) async fn serve(self, app: &App, tls: Option<Tls>, draining: CancellationToken) {
        let serve = async |listener: Option<TcpListener>, router: fn(App) -> Router, version| {
            let Some(listener) = listener else { return };
            let (config, draining) = (app.config.http.clone(), draining.clone());
            serve::serve(listener, router(app.clone()), tls.clone(), version, config, draining)
                .await;
        };
        tokio::join!(
            serve(Some(self.api), http::router, Version::Http1),
            serve(self.otlp, http::otlp_router, Version::Http1),
            serve(self.grpc, http::grpc_router, Version::Http2),
        );
    }
}

async fn wanted(
    setting: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, StartError> {
    match address {
        Some(address) => bind(setting, address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Bind { setting, address, source })
}
