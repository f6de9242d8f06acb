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

/// How the words of a name are written, as serde spells it in `rename_all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const CASES: [(&str, Case); 8] = [
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("PascalCase", Case::Pascal),
    ("camelCase", Case::Camel),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
];

impl Case {
    /// # Errors
    /// When it is none of them.
    pub(crate) fn read(text: &LitStr) -> syn::Result<Self> {
        let value = text.value();
        let found = CASES.iter().find(|(name, _)| *name == value);
        found.map(|(_, case)| *case).ok_or_else(|| {
            let names = CASES.map(|(name, _)| format!("\"{name}\"")).join(", ");
            syn::Error::new(
                text.span(),
                format!("say how names are written: one of {names}"),
            )
        })
    }

    /// A name in snake case, written so.
    pub(crate) fn of(self, name: &str) -> String {
        let pascal = || name.split('_').map(capitalized).collect::<String>();
        match self {
            // As serde does with fields: words are not told apart.
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_uppercase(),
            Self::Pascal => pascal(),
            Self::Camel => {
                let pascal = pascal();
                let mut chars = pascal.chars();
                let first = chars.next().into_iter().flat_map(char::to_lowercase);
                first.chain(chars).collect()
            }
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_uppercase().replace('_', "-"),
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
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
