//! Integration tests of the facade: one binary.

mod cancel;
mod deadlines;
mod deadlock;
mod errors;
mod floods;
mod handlers;
mod limits;
mod memory;
mod panics;
mod probe;
mod serving;
mod sides;
mod support;
mod ui;
