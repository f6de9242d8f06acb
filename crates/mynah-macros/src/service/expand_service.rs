//! The server side: a type that hands the methods of an implementor to a router.

use super::model::{Answer, Kind, Method, Param, Run, Service};
use super::{contract, events, param_marks};
use crate::errors::at;
use crate::owned::is_path_to;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

/// The struct.
pub(super) fn definition(service: &Service) -> TokenStream {
    let Service {
        vis,
        cfgs,
        ident,
        name,
        ..
    } = service;
    let service_ident = service.service_ident();
    let doc = format!(
        "Serves an [`{ident}`] under the name `{name}`: register it with a server or a router."
    );
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        #vis struct #service_ident<T> {
            inner: ::mynah::__private::Arc<T>,
        }
    }
}

/// What is known of each method: a static of the hidden block, and a type for its params.
pub(super) fn infos(service: &Service) -> TokenStream {
    let name = &service.name;
    service
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| {
            let (info, signature) = (info_ident(index), signature_ident(index));
            let method_name = &method.name;
            let idempotent = method.idempotent.then(|| quote!(.idempotent()));
            let object = method.object.then(|| quote!(.object()));
            let optional = optional(&method.params);
            let lacking = (optional != 0 && !method.object).then(|| quote!(.lacking(#optional)));
            let names: Vec<_> = method.params.iter().map(|param| &param.name).collect();
            let params = params_type(&method.params);
            let defaults = method.params.iter().map(default);
            let whole = method.object.then(|| {
                quote!(
                    const OBJECT: bool = true;
                )
            });
            quote! {
                #[derive(::core::fmt::Debug)]
                struct #signature;

                impl __p::Signature for #signature {
                    type Params = #params;
                    const NAMES: &'static [&'static str] = &[#(#names),*];
                    const DEFAULTS: <Self::Params as __p::ReadList>::Defaults = (#(#defaults,)*);
                    #whole
                }

                static #info: __p::MethodInfo =
                    __p::MethodInfo::new(#name, #method_name, &[#(#names),*])
                        #idempotent #object #lacking;
            }
        })
        .collect()
}

/// The static of a method.
pub(super) fn info_ident(index: usize) -> Ident {
    format_ident!("__METHOD_{index}")
}

/// The type that says how the params of a method are read.
fn signature_ident(index: usize) -> Ident {
    format_ident!("__Method{index}")
}

/// What stands in the place of a param that does not come.
fn default(param: &Param) -> TokenStream {
    let Some(attr) = &param.default else {
        return quote!(::core::option::Option::None);
    };
    let (ty, value) = (&param.ty, param_marks::value(attr));
    quote_spanned! {at(attr.span())=>
        ::core::option::Option::Some({
            fn __default() -> #ty {
                #value
            }
            __default as fn() -> #ty
        })
    }
}

/// A bit for each param that is an `Option`.
fn optional(params: &[Param]) -> u16 {
    let options = params.iter().enumerate();
    let options = options.filter(|(_, param)| is_path_to(&param.ty, "Option"));
    options.fold(0, |bits, (index, _)| bits | 1 << index)
}

/// The params as one type: the tuple that travels.
pub(super) fn params_type(params: &[Param]) -> TokenStream {
    let types = params.iter().map(|param| &param.ty);
    quote!((#(#types,)*))
}

/// The params of these names: the value of that type, or the pattern that takes it apart.
pub(super) fn params_value(names: &[impl ToTokens]) -> TokenStream {
    quote!((#(#names,)*))
}

/// Everything that is implemented for the struct.
pub(super) fn impls(service: &Service) -> TokenStream {
    let Service {
        vis,
        ident,
        name,
        methods,
        ..
    } = service;
    let service_ident = service.service_ident();
    let text = service_ident.to_string();
    let checks = methods.iter().map(checks).chain(events::asked(service));
    let declarations = events::routes(service);
    let routes = methods.iter().enumerate().map(|(index, method)| {
        let name = method.ident();
        let callee = quote_spanned!(Span::mixed_site()=> <T as #ident>::#name);
        let receiver = quote_spanned!(Span::mixed_site()=> &*inner,);
        route(service, index, method, (&callee, &receiver))
    });
    let shared = shared(ident);
    // Hygienic: nothing that the user calls `inner` or `routes` is meant in here.
    let contract = contract::route();
    quote_spanned! {Span::mixed_site()=>
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        impl<T: #ident> #service_ident<T> {
            /// The name of the service on the wire.
            #vis const NAME: &'static str = #name;

            /// The service that runs the methods of a value, or of an `Arc` of one that others hold too.
            #[must_use]
            #vis fn new<__Kind>(inner: impl __Shared<T, __Kind>) -> Self {
                Self { inner: inner.__shared() }
            }
        }

        #shared

        #[automatically_derived]
        impl<T> ::core::clone::Clone for #service_ident<T> {
            fn clone(&self) -> Self {
                Self { inner: __p::Arc::clone(&self.inner) }
            }
        }

        #[automatically_derived]
        impl<T> ::core::fmt::Debug for #service_ident<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }

        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated method is served as well")]
        impl<T: #ident> __p::Service for #service_ident<T> {
            fn name(&self) -> &'static str {
                #name
            }

            fn register(self, routes: &mut __p::Routes) {
                let inner = self.inner;
                #(#routes)*
                #declarations
                #contract
                let _ = (inner, routes);
            }
        }

        const fn __encoded<P: __p::Serialize>() {}
        const fn __decoded<T: __p::DeserializeOwned>() {}
        const _: () = {
            #(#checks)*
        };
    }
}

/// Asks for what a client needs of each type where it is written, so that the compiler says there
/// what is missing; the registration asks for the rest.
fn checks(method: &Method) -> TokenStream {
    let params = method.params.iter().map(|param| match &param.kind {
        Kind::Value => both(&param.ty),
        // The client sends what goes one way and reads what comes the other; both are asked of all, for a
        // callback in the same process is another's stream.
        Kind::Incoming(ty) | Kind::Telling(ty) => both(ty),
        Kind::Asking { value, reply } => {
            let (value, reply) = (both(value), both(reply));
            quote!(#value #reply)
        }
    });
    let value = match &method.answer {
        Answer::None => None,
        Answer::Value(value) | Answer::Result { value, .. } => Some(decoded(value)),
        Answer::Stream(stream) => Some(decoded(&stream.item)),
    };
    quote!(#(#params)* #value)
}

fn encoded(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty.span())=> __encoded::<#ty>();)
}

fn decoded(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty.span())=> __decoded::<#ty>();)
}

fn both(ty: &Type) -> TokenStream {
    let (encoded, decoded) = (encoded(ty), decoded(ty));
    quote!(#encoded #decoded)
}

/// Binds streams and callbacks to their call.
fn bindings(method: &Method, names: &[Ident], cx: &TokenStream) -> TokenStream {
    let bound = method.params.iter().zip(names);
    bound
        .filter(|(param, _)| !matches!(param.kind, Kind::Value))
        .map(|(param, name)| {
            let ty = &param.ty;
            quote_spanned!(Span::mixed_site()=> let #name = <#ty>::bind(#name, &#cx);)
        })
        .collect()
}

/// What `new` takes. The bound on the trait of the service is what tells a value from an `Arc` of one.
fn shared(service: &Ident) -> TokenStream {
    let message = format!("`{{Self}}` does not implement `{service}`");
    let note =
        format!("a service is made of a value that implements `{service}`, or of an `Arc` of one");
    quote_spanned! {Span::mixed_site()=>
        /// What has the methods of a service.
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        pub trait __Shared<T, Kind> {
            fn __shared(self) -> __p::Arc<T>;
        }

        #[derive(Debug)]
        pub enum __Value {}
        #[derive(Debug)]
        pub enum __Arc {}

        impl<T: #service> __Shared<T, __Value> for T {
            fn __shared(self) -> __p::Arc<T> {
                __p::Arc::new(self)
            }
        }

        impl<T: #service> __Shared<T, __Arc> for __p::Arc<T> {
            fn __shared(self) -> __p::Arc<T> {
                self
            }
        }
    }
}

/// The registration of one method: what is called, and what it is called on.
pub(super) fn route(
    service: &Service,
    index: usize,
    method: &Method,
    (callee, receiver): (&TokenStream, &TokenStream),
) -> TokenStream {
    let site = Span::mixed_site();
    let routes = if service.validate {
        quote_spanned!(site=> routes.validated())
    } else {
        quote_spanned!(site=> routes)
    };
    let (info, signature) = (info_ident(index), signature_ident(index));
    let reads = quote_spanned!(site=> __p::Spelled::<#signature>::new());
    let ident = method.ident();
    let params = params_type(&method.params);
    let names: Vec<_> = (0..method.params.len())
        .map(|index| format_ident!("p{index}", span = site))
        .collect();
    let taken = params_value(&names);
    let (cx, lent) = match &method.context {
        Some(context) => {
            // Where it is declared, should it be another type that is called `Context` too.
            let cx = Ident::new("cx", at(context.ty.span()));
            (quote!(#cx), quote_spanned!(cx.span()=> &#cx,))
        }
        None if method.binds() => (quote_spanned!(site=> cx), TokenStream::new()),
        None => (quote_spanned!(site=> _), TokenStream::new()),
    };
    let bindings = bindings(method, &names, &cx);
    let call = quote_spanned!(site=> #callee(#receiver #lent #(#names),*));
    if let Answer::Stream(stream) = &method.answer {
        let (item, take) = (
            &stream.item,
            if stream.error.is_some() {
                "results"
            } else {
                "items"
            },
        );
        let error = match &stream.error {
            Some(error) => quote!(#error),
            None => quote_spanned!(site=> ::core::convert::Infallible),
        };
        let take = Ident::new(take, ident.span());
        return quote_spanned! {site=>
            #routes.stream(&#info, #reads, {
                let inner = __p::Arc::clone(&inner);
                move |#cx: __p::Context, #taken: #params, sink: __p::StreamSink<#item, #error>| {
                    let inner = __p::Arc::clone(&inner);
                    async move {
                        #bindings
                        sink.#take(#call).await
                    }
                }
            });
        };
    }
    let call = match method.run {
        Run::Blocking => call,
        Run::Inline | Run::Spawned => quote_spanned!(site=> #call.await),
    };
    let answer = match &method.answer {
        Answer::Value(_) => {
            quote_spanned!(site=> ::core::result::Result::Ok::<_, ::core::convert::Infallible>(#call))
        }
        Answer::None | Answer::Result { .. } | Answer::Stream(_) => call,
    };
    let body = match method.run {
        Run::Blocking => quote!({ #bindings #answer }),
        Run::Inline | Run::Spawned => quote_spanned! {site=> {
            let inner = __p::Arc::clone(&inner);
            async move { #bindings #answer }
        }},
    };
    let register = Ident::new(register(method), ident.span());
    quote_spanned! {site=>
        #routes.#register(&#info, #reads, {
            let inner = __p::Arc::clone(&inner);
            move |#cx: __p::Context, #taken: #params| #body
        });
    }
}

/// The method of `Routes` for this kind of method.
const fn register(method: &Method) -> &'static str {
    match (&method.answer, method.run) {
        (Answer::None, Run::Inline) => "notification",
        (Answer::None, Run::Spawned) => "spawned_notification",
        (Answer::None, Run::Blocking) => "blocking_notification",
        (_, Run::Inline) => "unary",
        (_, Run::Spawned) => "spawned",
        (_, Run::Blocking) => "blocking",
    }
}
