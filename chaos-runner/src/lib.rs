//! Runs chaos experiments and a demo shop to break.

pub mod shop;
