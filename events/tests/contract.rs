//! What other programs rely on: the wire form of events, their schemas, and the stored formats.

#[path = "contract/fixtures.rs"]
mod fixtures;
#[path = "contract/mutations.rs"]
mod mutations;
#[path = "contract/refusals.rs"]
mod refusals;
#[path = "contract/schemas.rs"]
mod schemas;
#[path = "contract/stored_log.rs"]
mod stored_log;
