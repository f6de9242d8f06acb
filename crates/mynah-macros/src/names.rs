//! Names in Rust and names on the wire.

use syn::LitStr;

/// A name in upper camel case as words in lower case, with `separator` between them.
///
/// A run of capitals is one word: `HttpServer` and `HTTPServer` are both `http server`.
pub(crate) fn words(name: &str, separator: char) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut before: Option<char> = None;
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        let starts_word = char.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || chars.peek().is_some_and(|next| next.is_lowercase())
            });
        if starts_word && !words.ends_with(separator) {
            words.push(separator);
        }
        words.extend(char.to_lowercase());
        before = Some(char);
    }
    words
}

/// A name as it is written in an attribute.
///
/// # Errors
/// When it cannot stand on a wire; `what` says whose name it is.
pub(crate) fn checked(name: &LitStr, what: &str) -> syn::Result<String> {
    let value = name.value();
    let problem = if value.is_empty() {
        "is empty"
    } else if value.contains('.') {
        "has a `.` in it, which stands between service and method on some wires"
    } else if value.chars().any(char::is_control) {
        "has a control character in it"
    } else {
        return Ok(value);
    };
    Err(syn::Error::new(
        name.span(),
        format!("this name of a {what} {problem}; choose another"),
    ))
}

#[cfg(test)]
mod tests;
