//! The server's long-running parts.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The parts, each a task. Dropping them ends them at once.
pub(super) struct Tasks {
    /// Cancelled when no new work may begin.
    pub(super) draining: CancellationToken,
    /// The runtime of those that follow the log.
    pub(super) behind: Handle,
    list: Vec<(&'static str, JoinHandle<()>)>,
    ended: tokio::sync::watch::Sender<Option<&'static str>>,
}

impl Tasks {
    pub(super) fn new(behind: &Handle) -> Self {
        Self {
            draining: CancellationToken::new(),
            behind: behind.clone(),
            list: Vec::new(),
            ended: tokio::sync::watch::Sender::new(None),
        }
    }

    /// Starts a part. The first part that ends, or panics, is what [`Self::ended`] answers.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        let ended = Ended { name, sender: self.ended.clone() };
        let handle = tokio::spawn(async move {
            let _ended = ended;
            part.await;
        });
        self.list.push((name, handle));
    }

    /// The name of the first part that ended.
    pub(super) async fn ended(&self) -> &'static str {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or("a part of the server"),
            Err(_) => "the server",
        }
    }

    /// Lets the last part, which takes requests, finish what it has; then ends the others.
    /// Answers the name of the part that did not finish in time.
    pub(super) async fn drain(mut self, patience: Duration) -> Option<&'static str> {
        self.draining.cancel();
        let (name, mut requests) = self.list.pop()?;
        let late = tokio::time::timeout(patience, &mut requests).await.is_err();
        requests.abort();
        // Awaited, so that whoever stopped the server may open its folder again.
        for (_, task) in &mut self.list {
            task.abort();
            // Cancelled, or it had ended: both are the end of it.
            let _ = task.await;
        }
        late.then_some(name)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for (_, task) in &self.list {
            task.abort();
        }
    }
}

/// Tells that a part ended, whichever way it did.
struct Ended {
    name: &'static str,
    sender: tokio::sync::watch::Sender<Option<&'static str>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.sender.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(self.name);
            }
            first
        });
    }
}
