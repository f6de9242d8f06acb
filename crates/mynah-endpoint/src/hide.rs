//! URLs as they may stand in a log.

use std::borrow::Cow;

/// In place of what is not shown.
const HIDDEN: &str = "\u{2026}";

/// Options of a program, whose values may be anything.
const PRIVATE: [&str; 2] = ["arg", "env"];

/// What the name of a secret has in it, in lower case.
const SECRET: [&str; 8] = [
    "pass", "pwd", "secret", "token", "key", "cred", "auth", "sign",
];

/// A URL without what may be secret in it.
pub(crate) fn url(url: &str) -> String {
    let (place, query) = match url.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (url, None),
    };
    let mut shown = user(place).into_owned();
    let Some(query) = query else { return shown };
    let mut separator = '?';
    for pair in query.split('&') {
        shown.push(separator);
        separator = '&';
        match pair.split_once('=') {
            Some((name, text)) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(&value(name, text));
            }
            None => shown.push_str(pair),
        }
    }
    shown
}

/// The value of an option, as it may be shown: of `NAME=VALUE` the name.
pub(crate) fn value<'v>(option: &str, value: &'v str) -> Cow<'v, str> {
    if value.is_empty() || !is_private(option) {
        return Cow::Borrowed(value);
    }
    match value.split_once('=') {
        Some((name, _)) if option == "env" => Cow::Owned(format!("{name}={HIDDEN}")),
        _ => Cow::Borrowed(HIDDEN),
    }
}

fn is_private(option: &str) -> bool {
    let option = option.to_lowercase();
    PRIVATE.contains(&option.as_str()) || SECRET.iter().any(|part| option.contains(part))
}

/// `scheme://user:password@host`: no scheme here has a user, but people write it.
fn user(place: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = place.split_once("://") else {
        return Cow::Borrowed(place);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) if at > 0 => {
            let host = rest.get(at..).unwrap_or_default();
            Cow::Owned(format!("{scheme}://{HIDDEN}{host}"))
        }
        _ => Cow::Borrowed(place),
    }
}
