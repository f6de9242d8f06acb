//! The text of a variant: a format string that may name its fields.

use super::parse::Field;
use proc_macro2::Ident;
use quote::format_ident;
use syn::LitStr;
use syn::Variant;

/// A format string whose arguments are bindings of the fields.
pub(super) struct Message {
    pub(super) format: LitStr,
    /// The indexes of the fields that it shows, each once, in order.
    pub(super) shown: Vec<usize>,
}

impl Message {
    /// A text without arguments.
    pub(super) fn plain(text: &str, variant: &Variant) -> Self {
        let text = text.replace('{', "{{").replace('}', "}}");
        Self {
            format: LitStr::new(&text, variant.ident.span()),
            shown: Vec::new(),
        }
    }
}

/// The binding of a field that the text shows.
pub(super) fn binding(field: &Field, index: usize) -> Ident {
    field
        .ident
        .clone()
        .unwrap_or_else(|| format_ident!("{}", positional(index)))
}

/// The binding of a field without a name.
fn positional(index: usize) -> String {
    format!("field_{index}")
}

/// Reads a text. `{name}` and `{0}` name fields; a format may follow after a `:`.
pub(super) fn parse(text: &LitStr, variant: &Ident, fields: &[Field]) -> syn::Result<Message> {
    let value = text.value();
    let mut format = String::with_capacity(value.len());
    let mut shown = Vec::new();
    let mut chars = value.chars().peekable();
    while let Some(char) = chars.next() {
        format.push(char);
        if char != '{' {
            continue;
        }
        if chars.next_if_eq(&'{').is_some() {
            format.push('{');
            continue;
        }
        let mut name = String::new();
        while let Some(char) = chars.next_if(|char| !matches!(char, ':' | '}')) {
            name.push(char);
        }
        let Some(index) = fields.iter().position(|field| field.name == name) else {
            return Err(syn::Error::new(
                text.span(),
                unknown(&name, variant, fields),
            ));
        };
        match fields.get(index).and_then(|field| field.ident.as_ref()) {
            Some(_) => format.push_str(&name),
            None => format.push_str(&positional(index)),
        }
        if !shown.contains(&index) {
            shown.push(index);
        }
    }
    shown.sort_unstable();
    // The span of the text, so that its arguments are looked up where the fields were named.
    Ok(Message {
        format: LitStr::new(&format, text.span()),
        shown,
    })
}

fn unknown(name: &str, variant: &Ident, fields: &[Field]) -> String {
    let known: Vec<String> = fields
        .iter()
        .map(|field| format!("`{{{}}}`", field.name))
        .collect();
    let known = if known.is_empty() {
        "it has none, and a brace is written `{{`".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    if name.is_empty() {
        format!("name a field of `{variant}` between the braces: {known}")
    } else {
        format!("`{variant}` has no field `{name}`: {known}")
    }
}
