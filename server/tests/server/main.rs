//! The server over real sockets.

mod append;
mod harness;
mod labels;
mod limits;
mod pages;
mod settings;
