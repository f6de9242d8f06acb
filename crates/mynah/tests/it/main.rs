//! Integration tests of the facade: one binary.

mod limits;
mod probe;
mod support;
mod ui;
