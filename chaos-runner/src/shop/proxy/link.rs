//! Bytes between a caller and a callee, carried at the pace that the edge's faults allow.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Shared;

/// Bytes carried at once.
const CHUNK: usize = 16 * 1024;
/// Most bytes of a caller that are held while nothing may pass.
const MAX_HELD: usize = 1 << 20;
/// A throttled answer moves in steps of this length.
const THROTTLE_STEP: Duration = Duration::from_millis(50);

/// Watches what passes and says what to do with an answer before the caller has it.
pub(super) trait Tap {
    /// Bytes of the caller are about to pass to the callee.
    fn asked(&mut self, bytes: &[u8]);
    /// Bytes of the callee arrived; they pass after `Pass`'s delay.
    fn answering(&mut self, bytes: &[u8]) -> Pass;
    /// The bytes reached the caller.
    fn answered(&mut self, bytes: &[u8]);
}

/// What becomes of an answer.
pub(super) enum Pass {
    /// It passes after this time.
    After(Duration),
    /// The connection breaks.
    Never,
}

/// Watches nothing.
pub(super) struct Untapped;

impl Tap for Untapped {
    fn asked(&mut self, _: &[u8]) {}

    fn answering(&mut self, _: &[u8]) -> Pass {
        Pass::After(Duration::ZERO)
    }

    fn answered(&mut self, _: &[u8]) {}
}

/// Carries bytes until one side closes, the connection breaks or the edge is cut.
pub(super) async fn carry<T: Tap + Send>(
    caller: impl AsyncRead + AsyncWrite,
    callee: impl AsyncRead + AsyncWrite,
    shared: &Shared,
    tap: &mut T,
) -> io::Result<()> {
    let (from_caller, to_caller) = tokio::io::split(caller);
    let (from_callee, to_callee) = tokio::io::split(callee);
    let tap = Mutex::new(tap);
    tokio::select! {
        ended = carry_up(from_caller, to_callee, shared, &tap) => ended,
        ended = carry_down(from_callee, to_caller, shared, &tap) => ended,
        () = shared.disturbances.until_cut() => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// Carries what the caller asks. While nothing may pass it goes on reading, because the caller
/// may give up meanwhile.
async fn carry_up<T: Tap>(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    tap: &Mutex<&mut T>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut held = Vec::new();
    loop {
        let length = tokio::select! {
            biased;
            () = shared.disturbances.until_open(), if !held.is_empty() => {
                to.write_all(&held).await?;
                held.clear();
                continue;
            }
            read = from.read(&mut chunk), if held.len() < MAX_HELD => read?,
        };
        if length == 0 {
            return Ok(());
        }
        locked(tap).asked(&chunk[..length]);
        held.extend_from_slice(&chunk[..length]);
    }
}

async fn carry_down<T: Tap>(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    tap: &Mutex<&mut T>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let bytes = &chunk[..length];
        let pass = locked(tap).answering(bytes);
        match pass {
            Pass::After(hold) => pause(hold).await,
            Pass::Never => return Err(io::ErrorKind::ConnectionReset.into()),
        }
        deliver(bytes, &mut to, shared).await?;
        locked(tap).answered(bytes);
    }
}

fn locked<'a, 'b, T>(tap: &'a Mutex<&'b mut T>) -> MutexGuard<'a, &'b mut T> {
    tap.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn deliver(
    bytes: &[u8],
    to_caller: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
) -> io::Result<()> {
    let disturbance = shared.disturbances.now();
    pause(disturbance.delay + shared.random_up_to(disturbance.max_jitter)).await;
    let step = match disturbance.bytes_per_second {
        Some(rate) => (rate as usize * THROTTLE_STEP.as_millis() as usize / 1_000).max(1),
        None => bytes.len(),
    };
    for part in bytes.chunks(step) {
        if disturbance.bytes_per_second.is_some() {
            pause(THROTTLE_STEP).await;
        }
        shared.disturbances.until_open().await;
        to_caller.write_all(part).await?;
    }
    Ok(())
}

pub(super) async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}
