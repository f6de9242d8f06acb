//! `#[derive(DomainError)]`: an error that keeps its type on its way.

mod expand;
mod message;
mod parse;

use crate::errors::Errors;
use proc_macro2::TokenStream;
use quote::quote;

/// The implementations, or what is wrong.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(model) = parse::domain_error(item, &mut errors) else {
        return errors.into_tokens();
    };
    if errors.is_empty() {
        return expand::expand(&model);
    }
    let stand_in = expand::stand_in(&model.ident, model.display);
    let errors = errors.into_tokens();
    quote!(#errors #stand_in)
}

#[cfg(test)]
mod tests;
