//! The names of clamator: `service.method`.

use mynah_protocol::MethodName;

/// `[a-z][a-z0-9-]*`.
pub(super) fn is_service(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// `[a-z][a-zA-Z0-9]*`.
pub(super) fn is_method(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Cuts a name at its first dot.
///
/// # Errors
/// What clamator says of a name that is none.
pub(super) fn split(name: &str) -> Result<MethodName<'static>, &'static str> {
    match name.split_once('.') {
        Some((service, method)) if !service.is_empty() && !method.is_empty() => {
            if !is_service(service) {
                Err("invalid service segment")
            } else if !is_method(method) {
                Err("invalid method segment")
            } else {
                Ok(MethodName::from((service, method)))
            }
        }
        _ => Err("method must be \"<service>.<method>\""),
    }
}
