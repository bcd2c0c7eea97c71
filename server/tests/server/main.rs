//! The server over real sockets.

mod append;
mod clients;
mod dashboards;
mod harness;
mod labels;
mod learning;
mod limits;
mod meaning;
mod objectives;
mod otlp;
mod pages;
mod reactors;
mod rebuild;
mod security;
mod settings;
mod sockets;
mod tls;
mod webhooks;
