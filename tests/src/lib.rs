//! Integration, end-to-end and fault tests over the real binaries.
