//! The thread that starts all processes of the shop.
//!
//! A process that asks the kernel to be killed with its parent is killed when the *thread* that
//! started it ends (prctl(2), PR_SET_PDEATHSIG). Threads of an async runtime come and go, so one
//! thread starts all processes and lives as long as the shop.

use std::io;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes. When it is dropped its thread ends, and with it every process.
pub(crate) struct Spawner(mpsc::UnboundedSender<Order>);

impl Spawner {
    /// Starts the thread. Call it inside the runtime that is to watch the processes.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Handle::current();
        let (orders, mut incoming) = mpsc::unbounded_channel::<Order>();
        std::thread::Builder::new().name("shop-spawner".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            while let Some((mut command, answer)) = incoming.blocking_recv() {
                // Nobody waits any more: dropping the child kills it.
                let _ = answer.send(command.spawn());
            }
        })?;
        Ok(Self(orders))
    }

    /// Starts a process.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| io::Error::other("the thread that starts processes is gone");
        self.0.send((command, answer)).map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }
}
