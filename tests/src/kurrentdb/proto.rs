//! The messages and service traits of the wire protocol.
//!
//! Generated once, by `tonic-build` 0.13 over `protox`, from `streams.proto`, `shared.proto`,
//! `serverfeatures.proto` and `gossip.proto` as they ship with the crate `kurrentdb` 1.2.0
//! (<https://github.com/kurrent-io/KurrentDB-Client-Rust>, MIT licence), servers only, with
//! `.event_store.client.Empty` as `()` and byte fields as `Bytes`. The crate itself has clients
//! only, and generating at every build would cost more than these files do.
#![allow(missing_docs, clippy::all, rustdoc::broken_intra_doc_links, reason = "generated")]

#[rustfmt::skip]
pub mod event_store {
    pub mod client {
        include!("proto/event_store.client.rs");
        pub mod gossip {
            include!("proto/event_store.client.gossip.rs");
        }
        pub mod server_features {
            include!("proto/event_store.client.server_features.rs");
        }
        pub mod streams {
            include!("proto/event_store.client.streams.rs");
        }
    }
}
#[rustfmt::skip]
pub mod google {
    pub mod rpc {
        include!("proto/google.rpc.rs");
    }
}

pub use event_store::client as common;
pub use event_store::client::{gossip, server_features, streams};
