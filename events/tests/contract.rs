//! What other programs rely on: the wire form of events, their schemas, and the stored formats.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "contract/fixtures.rs"]
mod fixtures;
#[path = "contract/killed.rs"]
mod killed;
#[path = "contract/mutations.rs"]
mod mutations;
#[path = "contract/refusals.rs"]
mod refusals;
#[path = "contract/schemas.rs"]
mod schemas;
#[path = "contract/stored_log.rs"]
mod stored_log;
