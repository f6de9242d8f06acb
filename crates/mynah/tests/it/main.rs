//! Integration tests of the facade: one binary.

mod cancel;
mod deadlock;
mod floods;
mod limits;
mod probe;
mod support;
mod ui;
