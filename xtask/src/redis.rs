//! The redis-server that tests start.

use crate::{Outcome, process};

const PROGRAM: &str = "redis-server";

/// Sees that `redis-server` is there, and installs it where that may be done.
///
/// # Errors
/// It is missing and cannot be installed.
pub(crate) fn require() -> Outcome {
    require_quietly()?;
    println!("    {PROGRAM} is there");
    Ok(())
}

/// The same without a word where it is there.
///
/// # Errors
/// As [`require`].
pub(crate) fn require_quietly() -> Outcome {
    if process::on_path(PROGRAM) {
        return Ok(());
    }
    if process::can_apt_install() {
        return process::apt_install(&[PROGRAM]);
    }
    let hint = "`sudo apt-get update && sudo apt-get install -y redis-server` or what your system has for it";
    Err(format!("the tests of Redis need {PROGRAM} 6.2 or newer; run {hint}").into())
}
