//! Runs chaos experiments and a demo shop to break.
