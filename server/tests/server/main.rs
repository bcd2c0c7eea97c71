//! The server over real sockets.

mod append;
mod harness;
mod labels;
mod limits;
mod pages;
mod reactors;
mod rebuild;
mod security;
mod settings;
mod sockets;
mod tls;
