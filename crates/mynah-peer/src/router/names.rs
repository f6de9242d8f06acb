//! Names of methods, as they are registered.

use super::RegisterError;

/// Service and method of a name: `arith.add`, or `ping` for a method without a service.
pub(super) fn split(name: &str) -> Result<(&str, &str), RegisterError> {
    match name.rsplit_once('.') {
        None => Ok(("", name)),
        Some(("", _)) => wrong(name, "it begins with a dot"),
        Some(parts) => Ok(parts),
    }
}

/// Whether a method may have this name on every wire.
pub(super) fn check(service: &str, method: &str) -> Result<(), RegisterError> {
    if !service.is_empty() {
        check_one(service)?;
    }
    check_one(method)
}

fn check_one(name: &str) -> Result<(), RegisterError> {
    if name.is_empty() {
        return wrong(name, "it is empty");
    }
    if name.starts_with(['$', '#']) {
        return wrong(
            name,
            "it begins with `$` or `#`, which are for what every peer has",
        );
    }
    if name.len() > 128 {
        return wrong(name, "it is longer than 128 bytes");
    }
    if name.contains(['.', '/', '\0']) || name.chars().any(char::is_control) {
        return wrong(name, "it contains a dot, a slash or a control character");
    }
    Ok(())
}

fn wrong<T>(name: &str, why: &'static str) -> Result<T, RegisterError> {
    Err(RegisterError::Name(name.escape_debug().to_string(), why))
}
