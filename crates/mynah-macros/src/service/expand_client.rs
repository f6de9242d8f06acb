//! The client: a type with a method for each method of the trait.

use super::events;
use super::expand_service::{info_ident, params_type, params_value};
use super::model::{Answer, Kind, Method, Service};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, Visibility};

/// The struct.
pub(super) fn definition(service: &Service) -> TokenStream {
    let Service {
        vis,
        cfgs,
        ident,
        name,
        ..
    } = service;
    let client = service.client_ident();
    let doc = format!(
        "Calls the methods of an [`{ident}`] that somebody serves under the name `{name}`."
    );
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        #vis struct #client<C = ::mynah::__private::Peer> {
            caller: C,
        }
    }
}

/// Everything that is implemented for the struct.
pub(super) fn impls(service: &Service) -> TokenStream {
    let Service {
        vis, name, methods, ..
    } = service;
    let client = service.client_ident();
    let text = client.to_string();
    let methods = methods
        .iter()
        .enumerate()
        .map(|(index, item)| method(vis, name, index, item));
    let events = events::client(service);
    quote_spanned! {Span::mixed_site()=>
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        impl<C: __p::Caller + ::core::clone::Clone> #client<C> {
            /// A client that calls through `caller`.
            #[must_use]
            #vis const fn new(caller: C) -> Self {
                Self { caller }
            }

            /// What it calls through.
            #[must_use]
            #vis const fn caller(&self) -> &C {
                &self.caller
            }

            #(#methods)*
            #(#events)*
        }

        #[automatically_derived]
        impl<C: ::core::clone::Clone> ::core::clone::Clone for #client<C> {
            fn clone(&self) -> Self {
                Self { caller: ::core::clone::Clone::clone(&self.caller) }
            }
        }

        #[automatically_derived]
        impl<C> ::core::fmt::Debug for #client<C> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }

        #[automatically_derived]
        impl<C: __p::Caller + ::core::clone::Clone> __p::ServiceClient<C> for #client<C> {
            fn from_caller(caller: C) -> Self {
                Self::new(caller)
            }
        }
    }
}

/// What a method of the client takes for its parameters, and makes of them.
struct Passed {
    generics: Vec<TokenStream>,
    types: Vec<TokenStream>,
    made: Vec<TokenStream>,
    attached: Vec<Ident>,
}

fn passed(method: &Method) -> Passed {
    let site = Span::mixed_site();
    let mut passed = Passed {
        generics: Vec::new(),
        types: Vec::new(),
        made: Vec::new(),
        attached: Vec::new(),
    };
    for (index, param) in method.params.iter().enumerate() {
        let ty = &param.ty;
        let (given, make) = match &param.kind {
            Kind::Value => {
                passed.types.push(quote!(#ty));
                continue;
            }
            Kind::Incoming(item) => {
                // A stream, or an iterator: the compiler finds out which.
                let via = format_ident!("V{index}", span = site);
                passed.generics.push(quote!(#via));
                (
                    quote_spanned! {site=> impl __p::IntoInput<#item, #via> },
                    "outgoing",
                )
            }
            Kind::Telling(value) => (
                quote_spanned! {site=>
                    impl ::core::ops::FnMut(#value) + ::core::marker::Send + 'static
                },
                "telling",
            ),
            Kind::Asking { value, reply } => {
                let future = format_ident!("F{index}", span = site);
                passed.generics.push(quote_spanned! {site=>
                    #future: ::core::future::Future<
                        Output = ::core::result::Result<#reply, __p::RpcError>
                    > + ::core::marker::Send + 'static
                });
                (
                    quote_spanned! {site=>
                        impl ::core::ops::Fn(#value) -> #future
                            + ::core::marker::Send + ::core::marker::Sync + 'static
                    },
                    "asking",
                )
            }
        };
        let (name, make) = (&param.ident, Ident::new(make, site));
        let attached = format_ident!("a{index}", span = site);
        passed.types.push(given);
        passed.made.push(quote_spanned! {site=>
            let (#name, #attached) = <#ty>::#make(#name);
        });
        passed.attached.push(attached);
    }
    passed
}

/// One method: it makes the call, and says nothing on the wire yet.
fn method(vis: &Visibility, service: &str, index: usize, method: &Method) -> TokenStream {
    let site = Span::mixed_site();
    let info = info_ident(index);
    let ident = method.ident();
    let params = params_type(&method.params);
    let names: Vec<&Ident> = method.params.iter().map(|param| &param.ident).collect();
    let given = params_value(&names);
    let passed = passed(method);
    let (call, types_of_call) = match &method.answer {
        Answer::None => (quote!(Notify), quote!(#params, C)),
        Answer::Value(value) => (
            quote!(Call),
            quote!(#params, #value, ::core::convert::Infallible, C),
        ),
        Answer::Result { value, error } => (quote!(Call), quote!(#params, #value, #error, C)),
        Answer::Stream(stream) => {
            let item = &stream.item;
            let error = match &stream.error {
                Some(error) => quote!(#error),
                None => quote!(::core::convert::Infallible),
            };
            (quote!(StreamCall), quote!(#params, #item, #error, C))
        }
    };
    let Passed {
        generics,
        types,
        made,
        attached,
    } = passed;
    let generics = (!generics.is_empty()).then(|| quote!(<#(#generics),*>));
    let attrs = method.docs();
    let default_doc = (!method.attrs.iter().any(|attr| attr.path().is_ident("doc"))).then(|| {
        let doc = format!("Calls `{}` of `{service}`.", method.name);
        quote!(#[doc = #doc])
    });
    quote_spanned! {site=>
        #default_doc
        #(#attrs)*
        #vis fn #ident #generics(&self, #(#names: #types),*) -> __p::#call<#types_of_call> {
            #(#made)*
            __p::#call::new(::core::clone::Clone::clone(&self.caller), &#info, #given)
                #(.attach(#attached))*
        }
    }
}
