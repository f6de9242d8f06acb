//! `#[export]`: from a free function to a value that a router takes.

use crate::errors::Errors;
use crate::service::{self, FreeFunction};
use crate::{names, options};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{
    FnArg, ItemFn, Pat, PatType, ReturnType, Signature, TraitItemFn, Type, Visibility, parse_quote,
};

/// What the options say, as far as they are good ones.
#[derive(Default)]
struct ExportOptions {
    namespace: String,
    name: Option<String>,
}

const EXAMPLE: &str = "namespace = \"...\"";

/// The value, or what is wrong, together with the function as it was.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = read(options, &mut errors);
    let code = match syn::parse2::<ItemFn>(item) {
        Ok(function) => value(&function, options, &mut errors),
        Err(_other) => {
            let message = "`#[export]` belongs on a function; a trait is a `#[service]`";
            errors.push(syn::Error::new(Span::call_site(), message));
            None
        }
    };
    let errors = errors.into_tokens();
    quote!(#errors #code)
}

fn read(tokens: TokenStream, errors: &mut Errors) -> ExportOptions {
    let mut read = ExportOptions::default();
    errors.take(options::read(tokens, EXAMPLE, |meta| {
        if meta.path.is_ident("namespace") {
            read.namespace = names::checked(&options::text(meta)?, "service")?;
        } else if meta.path.is_ident("name") {
            read.name = Some(names::checked(&options::text(meta)?, "method")?);
        } else {
            let message =
                "unknown option; an export has `namespace = \"...\"` and `name = \"...\"`";
            return Err(meta.error(message));
        }
        Ok(())
    }));
    read
}

fn value(function: &ItemFn, options: ExportOptions, errors: &mut Errors) -> Option<TokenStream> {
    let site = Span::mixed_site();
    let called = function.sig.asyncness.is_none() && !is_stream(function) && !is_blocking(function);
    let callee = if called {
        quote_spanned!(site=> __called)
    } else {
        let ident = &function.sig.ident;
        quote!(#ident)
    };
    let method = as_method(function);
    let free = service::free_function(method, options.namespace, options.name, &callee, errors)?;
    let FreeFunction {
        items,
        route,
        docs,
        signature,
        ..
    } = &free;
    let (vis, ident) = (&function.vis, &function.sig.ident);
    let text = ident.unraw().to_string();
    let (own, called) = functions(function, signature, called);
    let call = pointer(function, signature, &free);
    Some(quote_spanned! {site=>
        #(#docs)*
        #[allow(non_camel_case_types, reason = "it has the name of its function")]
        #[derive(Clone, Copy)]
        #vis struct #ident;

        #[allow(clippy::all, clippy::unused_async, unused_variables, reason = "the function is linted as it stands in its body")]
        const _: () = {
            use ::mynah::__private as __p;

            #own
            #called
            #items

            impl ::core::fmt::Debug for #ident {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(#text)
                }
            }

            impl __p::Export for #ident {
                fn export(self, routes: &mut __p::Routes) {
                    let inner = __p::Arc::new(());
                    #route
                }
            }

            #call
        };
    })
}

/// The function as a method: with a receiver, without its body. A plain function is async to whoever calls it.
fn as_method(function: &ItemFn) -> TraitItemFn {
    let mut signature = function.sig.clone();
    signature.inputs.insert(0, parse_quote!(&self));
    let blocking = |attr: &syn::Attribute| attr.path().is_ident("blocking");
    let stream =
        matches!(&signature.output, ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)));
    if !stream && !function.attrs.iter().any(blocking) && signature.asyncness.is_none() {
        signature.asyncness = Some(syn::token::Async::default());
    }
    TraitItemFn {
        attrs: function.attrs.clone(),
        modifiers: syn::FnModifiers::default(),
        sig: signature,
        default: None,
        semi_token: Some(syn::token::Semi::default()),
    }
}

fn is_stream(function: &ItemFn) -> bool {
    matches!(&function.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)))
}

fn is_blocking(function: &ItemFn) -> bool {
    let blocking = |attr: &syn::Attribute| attr.path().is_ident("blocking");
    function.attrs.iter().any(blocking)
}

/// The function as it was written, and an async function around it where one is `called`.
///
/// It keeps its name, within the block: there it is a function, to itself too, whatever stands outside.
fn functions(function: &ItemFn, signature: &Signature, called: bool) -> (TokenStream, TokenStream) {
    const MARKS: [&str; 6] = [
        "notification",
        "spawn",
        "blocking",
        "idempotent",
        "method",
        "doc",
    ];
    let mut own = function.clone();
    own.attrs
        .retain(|attr| !MARKS.iter().any(|mark| attr.path().is_ident(mark)));
    own.vis = Visibility::Inherited;
    own.sig = without_receiver(signature);
    own.sig.asyncness = function.sig.asyncness;
    let ident = &own.sig.ident;
    let called = called.then(|| {
        let mut around = without_receiver(signature);
        let names = arguments(&mut around);
        around.ident = format_ident!("__called", span = Span::mixed_site());
        quote!(#around { #ident(#(#names),*) })
    });
    (quote!(#own), quote!(#called))
}

fn without_receiver(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    signature.inputs = signature
        .inputs
        .into_iter()
        .filter(|input| matches!(input, FnArg::Typed(_)))
        .collect();
    signature
}

/// Names for the arguments, whatever the function calls them.
fn arguments(signature: &mut Signature) -> Vec<proc_macro2::Ident> {
    let mut names = Vec::new();
    for input in &mut signature.inputs {
        if let FnArg::Typed(PatType { pat, .. }) = input {
            let name = format_ident!("__a{}", names.len(), span = Span::mixed_site());
            **pat = Pat::Ident(syn::PatIdent {
                attrs: Vec::new(),
                by_ref: None,
                mutability: None,
                ident: name.clone(),
                subpat: None,
            });
            names.push(name);
        }
    }
    names
}

/// What lets the value be called as the function that it was. A stream has no type that can be written, and is left out.
fn pointer(function: &ItemFn, signature: &Signature, free: &FreeFunction) -> Option<TokenStream> {
    if free.is_stream {
        return None;
    }
    let site = Span::mixed_site();
    let ident = &function.sig.ident;
    let mut around = without_receiver(signature);
    let names = arguments(&mut around);
    let types: Vec<_> = around
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(input) => Some(&input.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let given = match &around.output {
        ReturnType::Type(_, ty) => quote!(#ty),
        ReturnType::Default => quote!(()),
    };
    let (given, call) = if function.sig.asyncness.is_some() {
        let lifetime = free.context.then(|| quote!(+ '_));
        (
            quote_spanned!(site=> ::core::pin::Pin<::std::boxed::Box<
                dyn ::core::future::Future<Output = #given> + ::core::marker::Send #lifetime>>),
            quote_spanned!(site=> ::std::boxed::Box::pin(#ident(#(#names),*))),
        )
    } else {
        (given, quote_spanned!(site=> #ident(#(#names),*)))
    };
    Some(quote_spanned! {site=>
        impl ::core::ops::Deref for #ident {
            type Target = fn(#(#types),*) -> #given;

            fn deref(&self) -> &Self::Target {
                fn __pointer(#(#names: #types),*) -> #given {
                    #call
                }
                const __POINTER: fn(#(#types),*) -> #given = __pointer;
                &__POINTER
            }
        }
    })
}
