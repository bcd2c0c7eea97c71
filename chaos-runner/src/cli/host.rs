//! What experiments run on: a shop, one's own or another's, and the way to the server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;

use super::signals::Interrupts;
use super::{OwnShopArgs, TargetArgs};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::shop::control::ControlClient;
use crate::submit::{SubmitReport, Submitter};

/// How long events that wait may take at the end.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// A shop to break and, perhaps, a server to tell.
pub(super) struct Host {
    pub(super) shop: ControlClient,
    pub(super) submitter: Option<Submitter>,
    own: Option<Shop>,
}

impl Host {
    /// Connects to the given shop or starts one. `None` when a signal came before it was up.
    pub(super) async fn open(
        args: &TargetArgs,
        submitter: Option<Submitter>,
        progress: &Progress,
        interrupts: &Interrupts,
    ) -> anyhow::Result<Option<Self>> {
        if let Some(url) = &args.shop {
            let shop = ControlClient::new(url.as_str());
            shop.status().await.with_context(|| format!("no shop answers at {url}"))?;
            return Ok(Some(Self { shop, submitter, own: None }));
        }
        progress.doing("starting the shop");
        let control = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = tokio::select! {
            started = start_shop(&args.own, control, submitter.as_ref()) => started?,
            _ = interrupts.wait() => return Ok(None),
        };
        let shop = ControlClient::new(started.control_url());
        Ok(Some(Self { shop, submitter, own: Some(started) }))
    }

    /// Ends the own shop, and sends what waits. `None` without a server.
    pub(super) async fn close(self, progress: &Progress) -> Option<SubmitReport> {
        if let Some(shop) = self.own {
            progress.doing("ending the shop");
            let closing = shop.stop().await;
            if let Some(shortfall) = closing.delivery.and_then(|it| it.shortfall()) {
                tracing::warn!("telemetry: {shortfall}");
            }
        }
        let submitter = self.submitter?;
        progress.doing("sending the last events");
        Some(submitter.drain(DRAIN).await)
    }
}

/// Starts a shop whose telemetry goes to the server, if there is one.
pub(super) async fn start_shop(
    own: &OwnShopArgs,
    control: SocketAddr,
    submitter: Option<&Submitter>,
) -> anyhow::Result<Shop> {
    let events = match submitter {
        Some(submitter) => submitter.queue(),
        None => {
            let (events, mut unread) = mpsc::channel(64);
            tokio::spawn(async move { while unread.recv().await.is_some() {} });
            events
        }
    };
    let options = own.options(control)?;
    Shop::start(options, events).await.context("could not start the shop")
}
