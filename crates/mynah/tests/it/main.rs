//! Integration tests of the facade: one binary.

mod cancel;
mod deadlines;
mod deadlock;
mod errors;
mod floods;
mod limits;
mod memory;
mod panics;
mod probe;
mod sides;
mod support;
mod ui;
