//! The client, and what its errors mean for us.
//!
//! The client gives up for good when a connection attempt fails, and in a cluster it does not
//! look for the new leader when the old one is gone. So after an error that may be the
//! connection's, it is replaced.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use eventstore::{Client, ClientSettings, Credentials, Error};
use futures::FutureExt;
use tokio::time::Instant;

use super::options::{KurrentOpenError, KurrentOptions};

/// How long one call may take.
pub const CALL: Duration = Duration::from_secs(10);

/// Code numbers of gRPC after which the same call may succeed.
const PASSING: [i32; 5] = [1, 4, 8, 10, 14];
const INVALID_ARGUMENT: i32 = 3;

/// The way to the server.
pub struct Connection {
    settings: ClientSettings,
    credentials: Option<Credentials>,
    slot: Mutex<Slot>,
    patience: Duration,
}

struct Slot {
    client: Client,
    /// Which client it is, so that many failures of one replace it once.
    number: u64,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection, or the server for the moment: whether the call had an effect is unknown.
    #[error("{0}")]
    Passing(String),
    /// The stream is not at the expected revision.
    #[error("the stream moved")]
    Conflict,
    /// The stream, or the node's leader, is not known.
    #[error("not found")]
    NotFound,
    /// Somebody deleted the stream.
    #[error("the stream was deleted on the server")]
    Deleted,
    /// More than the server takes in one append.
    #[error("more than {max_bytes} bytes in one append")]
    TooLarge {
        /// The server's limit.
        max_bytes: usize,
    },
    /// The same call will fail again.
    #[error("{0}")]
    Refused(String),
}

impl Connection {
    /// Prepares the client; it connects with its first call.
    pub fn new(options: &KurrentOptions) -> Result<Self, KurrentOpenError> {
        let (settings, credentials) = options.settings()?;
        let client = connect(&settings)?;
        let slot = Mutex::new(Slot { client, number: 0 });
        Ok(Self { settings, credentials, slot, patience: options.patience })
    }

    /// Who the server is to be told we are.
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials.clone()
    }

    /// The client in use, and its number for [`Self::replace`].
    pub fn client(&self) -> (Client, u64) {
        let slot = self.slot.lock().expect("no holder panics");
        (slot.client.clone(), slot.number)
    }

    /// Puts a new client in the place of client `number`.
    pub fn replace(&self, number: u64) {
        let mut slot = self.slot.lock().expect("no holder panics");
        if slot.number != number {
            return;
        }
        match connect(&self.settings) {
            Ok(client) => *slot = Slot { client, number: number + 1 },
            Err(error) => tracing::error!(%error, "the client of the event log cannot be renewed"),
        }
    }

    /// One call.
    pub async fn call<T, F>(&self, run: impl FnOnce(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = eventstore::Result<T>> + Send,
    {
        let (client, number) = self.client();
        // The client panics when a field is missing that the server should have sent.
        let call = AssertUnwindSafe(run(client)).catch_unwind();
        let trouble = match tokio::time::timeout(CALL, call).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) => {
                // With a leader named, the client goes there by itself.
                if matches!(error, Error::NotLeaderException(_)) {
                    return Err(Trouble::Passing("the node is not the leader".to_owned()));
                }
                Trouble::of(&error)
            }
            Ok(Err(_)) => Trouble::Passing("the server's answer lacks a field".to_owned()),
            Err(_) => Trouble::Passing(format!("no answer within {} s", CALL.as_secs())),
        };
        if let Trouble::Passing(_) = trouble {
            self.replace(number);
        }
        Err(trouble)
    }

    /// A call that changes nothing, repeated for a while when the trouble may pass.
    pub async fn ask<T, F>(&self, run: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = eventstore::Result<T>> + Send,
    {
        let mut patience = Patience::new(self.patience);
        loop {
            match self.call(&run).await {
                Err(Trouble::Passing(why)) => patience.wait().await.map_err(|_| {
                    Trouble::Passing(format!("the server cannot be reached: {why}"))
                })?,
                answer => return answer,
            }
        }
    }
}

impl Trouble {
    /// What an error of the client means.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::WrongExpectedVersion { .. } => Self::Conflict,
            Error::ResourceNotFound => Self::NotFound,
            Error::ResourceDeleted => Self::Deleted,
            Error::AccessDenied | Error::UnsupportedFeature | Error::InitializationError(_) => {
                Self::Refused(error.to_string())
            }
            Error::Grpc { code, message } => {
                let code = i32::from(*code);
                match max_append(message).filter(|_| code == INVALID_ARGUMENT) {
                    Some(max_bytes) => Self::TooLarge { max_bytes },
                    None if PASSING.contains(&code) => Self::Passing(error.to_string()),
                    None => Self::Refused(error.to_string()),
                }
            }
            _ => Self::Passing(error.to_string()),
        }
    }
}

/// The limit in `Maximum Append Size of 1048576 Exceeded.`; the client drops the trailer that
/// names it.
fn max_append(message: &str) -> Option<usize> {
    let rest = message.split_once("Maximum Append")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok())
}

fn connect(settings: &ClientSettings) -> Result<Client, KurrentOpenError> {
    Client::new(settings.clone())
        .map_err(|error| KurrentOpenError::Client { why: format!("{error:#}") })
}

/// Pauses that grow, until a time is over.
pub struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(2);

    /// Patience for `time` from now.
    pub fn new(time: Duration) -> Self {
        let now = Instant::now();
        let until = now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(86_400));
        Self { until, pause: Self::FIRST }
    }

    /// When it ends.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Waits for one pause; an error when the time is over.
    pub async fn wait(&mut self) -> Result<(), ()> {
        if Instant::now() + self.pause > self.until {
            return Err(());
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Self::LONGEST);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_the_message() {
        assert_eq!(max_append("Maximum Append Size of 1048576 Exceeded."), Some(1_048_576));
        assert_eq!(max_append("Maximum Append Event Size of 12 Exceeded."), Some(12));
        assert_eq!(max_append("another 7"), None);
    }
}
