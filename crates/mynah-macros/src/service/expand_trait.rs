//! The trait as implementors see it.

use super::model::{Answer, Method, Run, Service, Stream};
use crate::errors::at;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;

pub(super) fn expand(service: &Service) -> TokenStream {
    let Service {
        attrs,
        vis,
        trait_token,
        ident,
        methods,
        ..
    } = service;
    let methods = methods.iter().map(method);
    quote! {
        #(#attrs)*
        #vis #trait_token #ident: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
    }
}

/// The bound that a stream must have, where it was not written.
pub(super) fn at_send(stream: &Stream) -> Option<TokenStream> {
    let span = at(stream.ty.span());
    (!stream.send).then(|| quote_spanned!(span=> + ::core::marker::Send))
}

fn method(method: &Method) -> TokenStream {
    let Method {
        attrs, signature, ..
    } = method;
    if method.run == Run::Blocking {
        return quote!(#(#attrs)* #signature;);
    }
    if let Answer::Stream(stream) = &method.answer {
        let (fn_token, ident, inputs) = (&signature.fn_token, &signature.ident, &signature.inputs);
        let ty = &stream.ty;
        let send = at_send(stream);
        return quote!(#(#attrs)* #fn_token #ident(#inputs) -> #ty #send;);
    }
    let output = match &method.answer {
        Answer::None | Answer::Stream(_) => quote!(()),
        Answer::Value(value) => value.to_token_stream(),
        Answer::Result { .. } => match &signature.output {
            syn::ReturnType::Type(_, ty) => ty.to_token_stream(),
            syn::ReturnType::Default => quote!(()),
        },
    };
    // At `async`, where the compiler then says that a handler's future must be `Send`.
    let span = signature
        .asyncness
        .map_or(signature.fn_token.span, |asyncness| asyncness.span);
    let future = quote_spanned! {at(span)=>
        impl ::core::future::Future<Output = #output> + ::core::marker::Send
    };
    let (fn_token, ident, inputs) = (&signature.fn_token, &signature.ident, &signature.inputs);
    quote!(#(#attrs)* #fn_token #ident(#inputs) -> #future;)
}
