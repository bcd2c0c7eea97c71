//! The proxy of the database edge.
//!
//! Bytes pass unchanged; beside them the frames of the PostgreSQL protocol are followed. A call
//! is a round trip: from the first message of a caller that waits for nothing until the
//! database is ready for the next query. It failed when the database answered an error, or when
//! the connection ended within it. Setting up a connection is no call, unless it fails.
//!
//! Protocol: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tracing::debug;

use super::Shared;
use super::link::{self, Pass, Tap};

/// The request for encryption, which is no start of a session.
const SSL_REQUEST_CODE: u32 = 80_877_103;

/// Serves one connection of a caller until either side ends it.
pub(super) async fn serve(caller: TcpStream, shared: Arc<Shared>) {
    let began = Instant::now();
    let callee = match shared.connect().await {
        Ok((callee, _)) => callee,
        Err(error) => {
            debug!(%error, "no connection to the database");
            shared.tally.record(began.elapsed(), true);
            return;
        }
    };
    let mut session = Session::new(&shared, began);
    if let Err(error) = link::carry(caller, callee, &shared, &mut session).await {
        debug!(%error, "a database connection ended");
    }
    session.ended();
}

/// One connection's frames.
struct Session<'a> {
    shared: &'a Shared,
    asked: Frames,
    answered: Frames,
    starting: Option<Instant>,
    /// Begin of the messages that no Query or Sync has completed yet.
    open: Option<Instant>,
    /// Begins of the round trips that the database has not answered yet.
    waiting: VecDeque<Instant>,
    failed: bool,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, began: Instant) -> Self {
        Self {
            shared,
            asked: Frames::untyped_at_first(),
            answered: Frames::typed(),
            starting: Some(began),
            open: None,
            waiting: VecDeque::new(),
            failed: false,
        }
    }

    /// Everything that still waits for an answer will not get one.
    fn ended(self) {
        let unanswered = self.waiting.into_iter().chain(self.open);
        // A caller that connects and says nothing was no session.
        let unstarted = self.starting.filter(|_| self.asked.seen > 0);
        for began in unanswered.chain(unstarted) {
            self.shared.tally.record(began.elapsed(), true);
        }
    }
}

impl Tap for Session<'_> {
    fn asked(&mut self, bytes: &[u8]) {
        let (open, waiting) = (&mut self.open, &mut self.waiting);
        self.asked.follow(bytes, |kind| match kind {
            b'Q' | b'S' => waiting.push_back(open.take().unwrap_or_else(Instant::now)),
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => {
                open.get_or_insert_with(Instant::now);
            }
            _ => {}
        });
    }

    fn answering(&mut self, _: &[u8]) -> Pass {
        if self.waiting.is_empty() {
            return Pass::After(Duration::ZERO);
        }
        let disturbance = self.shared.disturbances.now();
        if self.shared.roll(disturbance.reset_probability) {
            return Pass::Never;
        }
        match disturbance.slow {
            Some((probability, hold)) if self.shared.roll(probability) => Pass::After(hold),
            _ => Pass::After(Duration::ZERO),
        }
    }

    fn answered(&mut self, bytes: &[u8]) {
        let Self { shared, starting, waiting, failed, answered, .. } = self;
        answered.follow(bytes, |kind| match kind {
            b'E' => *failed = true,
            b'Z' => {
                let failed = std::mem::take(failed);
                match waiting.pop_front() {
                    Some(began) => shared.tally.record(began.elapsed(), failed),
                    None => *starting = None,
                }
            }
            _ => {}
        });
    }
}

/// Follows the frames of one direction: a type byte, a length that counts itself, a payload.
struct Frames {
    untyped: bool,
    head: Vec<u8>,
    skip: usize,
    /// Frames seen, without requests for encryption.
    seen: usize,
}

impl Frames {
    fn typed() -> Self {
        Self { untyped: false, head: Vec::with_capacity(8), skip: 0, seen: 0 }
    }

    /// A caller's first frame has no type byte.
    fn untyped_at_first() -> Self {
        Self { untyped: true, ..Self::typed() }
    }

    /// Calls `frame` with the type of each frame that ends in `bytes`.
    fn follow(&mut self, mut bytes: &[u8], mut frame: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                if self.skip == 0 {
                    self.end_frame(&mut frame);
                }
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            let (kind_length, head_length) = if self.untyped { (0, 8) } else { (1, 5) };
            if self.head.len() < head_length {
                continue;
            }
            let length = u32_at(&self.head, kind_length) as usize;
            self.skip = (length + kind_length).saturating_sub(head_length);
            if self.skip == 0 {
                self.end_frame(&mut frame);
            }
        }
    }

    fn end_frame(&mut self, frame: &mut impl FnMut(u8)) {
        let head = std::mem::take(&mut self.head);
        if self.untyped {
            // After a request for encryption that was declined, the start follows.
            if u32_at(&head, 4) != SSL_REQUEST_CODE {
                self.untyped = false;
                self.seen += 1;
            }
            return;
        }
        self.seen += 1;
        frame(head[0]);
    }
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    bytes[place..place + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), payload].concat()
    }

    fn startup() -> Vec<u8> {
        [&12_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes(), b"user"].concat()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let ssl = [&8_u32.to_be_bytes()[..], &SSL_REQUEST_CODE.to_be_bytes()].concat();
        let all =
            [ssl, startup(), frame(b'P', b"select"), frame(b'S', b""), frame(b'X', b"")].concat();
        for cut in 1..all.len() {
            let mut frames = Frames::untyped_at_first();
            let mut kinds = Vec::new();
            all.chunks(cut).for_each(|part| frames.follow(part, |kind| kinds.push(kind)));
            assert_eq!(kinds, b"PSX", "in parts of {cut} bytes");
            assert_eq!(frames.seen, 4);
        }
    }
}
