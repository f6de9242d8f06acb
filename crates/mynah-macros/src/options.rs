//! Options of attributes: `name = value`, with a comma between them.

use proc_macro2::{TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser as _;
use syn::{Lit, LitStr};

/// Hands each option to `option`. `example` shows a user how they are written.
///
/// # Errors
/// Those of `option`, and when the tokens are no options.
pub(crate) fn read(
    tokens: TokenStream,
    example: &str,
    mut option: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    if let Some(first @ TokenTree::Literal(_)) = tokens.clone().into_iter().next() {
        let message = format!("options have names here: write `{example}`");
        return Err(syn::Error::new(first.span(), message));
    }
    syn::meta::parser(|meta| option(&meta)).parse2(tokens)
}

/// The text of an option.
///
/// # Errors
/// When it is something else.
pub(crate) fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let value = meta.value()?;
    let literal: Lit = value.parse()?;
    match literal {
        Lit::Str(text) => Ok(text),
        other => Err(syn::Error::new(
            other.span(),
            "write a text here, in double quotes",
        )),
    }
}
