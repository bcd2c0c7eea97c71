//! The faultline server.
