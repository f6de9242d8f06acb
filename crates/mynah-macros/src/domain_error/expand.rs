//! The implementations.

use super::message;
use super::parse::{DomainError, ErrorVariant, Shape};
use crate::errors::at;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::Member;
use syn::spanned::Spanned as _;

/// What stands in for a type whose description is wrong, so that its uses are not wrong as well.
pub(super) fn stand_in(ident: &Ident, display: bool) -> TokenStream {
    let display = display.then(|| {
        quote! {
            impl ::core::fmt::Display for #ident {
                fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::result::Result::Err(::core::fmt::Error)
                }
            }
            impl ::core::error::Error for #ident {}
        }
    });
    quote! {
        #display
        impl ::mynah::__private::DomainError for #ident {
            fn into_rpc(self) -> ::mynah::__private::RpcError {
                ::mynah::__private::RpcError::new(::mynah::__private::ErrorCode::INTERNAL, "")
            }
            fn from_rpc(
                error: ::mynah::__private::RpcError,
            ) -> ::core::result::Result<Self, ::mynah::__private::RpcError> {
                ::core::result::Result::Err(error)
            }
        }
    }
}

pub(super) fn expand(error: &DomainError) -> TokenStream {
    let ident = &error.ident;
    let site = Span::mixed_site();
    let display = error.display.then(|| display(error));
    let to_rpc = error.variants.iter().map(into_rpc);
    let from_rpc = error.variants.iter().map(from_rpc);
    let entries = error.variants.iter().map(|variant| {
        let (code, text) = (variant.code, variant.message.format.value());
        quote!(__p::ErrorEntry::new(#code, #text))
    });
    quote_spanned! {site=>
        const _: () = {
            use ::mynah::__private as __p;

            #display

            #[automatically_derived]
            impl __p::DomainError for #ident {
                fn into_rpc(self) -> __p::RpcError {
                    let message = ::std::string::ToString::to_string(&self);
                    match self {
                        #(#to_rpc)*
                    }
                }

                fn from_rpc(
                    error: __p::RpcError,
                ) -> ::core::result::Result<Self, __p::RpcError> {
                    let read = match error.code().value() {
                        #(#from_rpc)*
                        _ => ::core::option::Option::None,
                    };
                    read.ok_or(error)
                }

                fn entries() -> ::std::vec::Vec<__p::ErrorEntry> {
                    ::std::vec![#(#entries),*]
                }
            }
        };
    }
}

fn display(error: &DomainError) -> TokenStream {
    let ident = &error.ident;
    let site = Span::mixed_site();
    let arms = error.variants.iter().map(|variant| {
        let name = &variant.ident;
        let format = &variant.message.format;
        let shown = variant.message.shown.iter().filter_map(|index| {
            let field = variant.fields.get(*index)?;
            let mut binding = message::binding(field, *index);
            // A format string finds its arguments by the place where the string itself stands.
            binding.set_span(format.span());
            Some(match &field.ident {
                Some(_) => quote!(#binding),
                None => {
                    let member = Member::from(*index);
                    quote!(#member: #binding)
                }
            })
        });
        quote_spanned!(site=> Self::#name { #(#shown,)* .. } => ::core::write!(f, #format),)
    });
    quote_spanned! {site=>
        #[automatically_derived]
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#arms)*
                }
            }
        }

        #[automatically_derived]
        impl ::core::error::Error for #ident {}
    }
}

/// The field of a variant in a pattern or an expression with braces, which tuples have too.
fn member(ident: Option<&Ident>, index: usize) -> TokenStream {
    match ident {
        Some(ident) => ident.to_token_stream(),
        None => Member::from(index).to_token_stream(),
    }
}

/// Bindings `f0`, `f1`, ... for the fields of a variant.
fn bindings(variant: &ErrorVariant) -> Vec<Ident> {
    let site = Span::mixed_site();
    (0..variant.fields.len())
        .map(|index| format_ident!("f{index}", span = site))
        .collect()
}

/// `Self::Name { 0: f0, name: f1 }`, as a pattern and as an expression.
fn whole(variant: &ErrorVariant, bindings: &[Ident]) -> TokenStream {
    let name = &variant.ident;
    let members = variant
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| member(field.ident.as_ref(), index));
    quote!(Self::#name { #(#members: #bindings),* })
}

/// The arm that turns a variant into what travels.
fn into_rpc(variant: &ErrorVariant) -> TokenStream {
    let site = Span::mixed_site();
    let bindings = bindings(variant);
    let pattern = whole(variant, &bindings);
    let code = variant.code;
    let error = quote_spanned! {site=>
        const { __p::ErrorCode::application(#code) }
    };
    // Each at the type of its field, where the compiler then says that it cannot be sent.
    let values = variant.fields.iter().zip(&bindings).map(|(field, binding)| {
        quote_spanned!(at(field.ty.span())=> __p::Value::from_serialize(&#binding).ok()?)
    });
    let data = match variant.shape {
        Shape::Tuple => quote_spanned!(site=> __p::Value::Array(::std::vec![#(#values),*])),
        Shape::Unit | Shape::Named => {
            let names = variant.fields.iter().map(|field| &field.name);
            quote_spanned! {site=>
                __p::Value::Map(::std::vec![#((__p::Value::from(#names), #values)),*])
            }
        }
    };
    let with_data = (!variant.fields.is_empty()).then(|| {
        quote_spanned! {site=>
            .with_data((|| ::core::option::Option::Some(#data))().unwrap_or_default())
        }
    });
    quote_spanned!(site=> #pattern => __p::RpcError::new(#error, message) #with_data,)
}

/// The arm that reads a variant back: `Some` when the data fits.
fn from_rpc(variant: &ErrorVariant) -> TokenStream {
    let site = Span::mixed_site();
    let bindings = bindings(variant);
    let value = whole(variant, &bindings);
    let code = variant.code;
    if variant.fields.is_empty() {
        return quote_spanned!(site=> #code => ::core::option::Option::Some(#value),);
    }
    let reads =
        variant
            .fields
            .iter()
            .enumerate()
            .zip(&bindings)
            .map(|((index, field), binding)| {
                let (ty, name) = (&field.ty, &field.name);
                let found = match variant.shape {
                    Shape::Tuple => quote_spanned!(site=> data.at(#index)),
                    // A key that is missing reads as null, so that an optional field may be added later.
                    Shape::Unit | Shape::Named => quote_spanned!(site=> data.get(#name)),
                };
                let read = quote_spanned!(at(ty.span())=> deserialize_into::<#ty>);
                quote_spanned! {site=>
                    let #binding = #found.cloned().unwrap_or_default().#read().ok()?;
                }
            });
    let count = variant.fields.len();
    let fits = match variant.shape {
        Shape::Tuple => quote_spanned!(site=> data.as_array()?.len() == #count),
        Shape::Unit | Shape::Named => quote_spanned!(site=> data.as_map().is_some()),
    };
    quote_spanned! {site=>
        #code => error.data().and_then(|data| {
            if !(#fits) {
                return ::core::option::Option::None;
            }
            #(#reads)*
            ::core::option::Option::Some(#value)
        }),
    }
}
