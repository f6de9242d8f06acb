//! Parameters and results that are more than a value: streams and callbacks.

use super::model::{Kind, Stream};
use crate::errors::Errors;
use crate::owned::{is_path_to, readable, ungrouped};
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{
    AssocType, GenericArgument, PathArguments, PathSegment, Type, TypeImplTrait, TypeParamBound,
    TypePath,
};

/// The names of the types that are a parameter of their own.
const SPECIAL: [&str; 2] = ["Incoming", "Callback"];

/// What a parameter of this type is.
pub(super) fn kind(ty: &Type, errors: &mut Errors) -> Kind {
    let Some((name, arguments)) = special(ty) else {
        nested(ty, "parameter", errors);
        return Kind::Value;
    };
    for argument in &arguments {
        nested(argument, "parameter", errors);
    }
    match (name, arguments.as_slice()) {
        ("Incoming", [item]) => Kind::Incoming(Box::new(item.clone())),
        ("Callback", [value]) => Kind::Telling(Box::new(value.clone())),
        ("Callback", [value, reply]) if is_path_to(reply, "NoReply") => {
            Kind::Telling(Box::new(value.clone()))
        }
        ("Callback", [value, reply]) => Kind::Asking {
            value: Box::new(value.clone()),
            reply: Box::new(reply.clone()),
        },
        ("Incoming", _) => {
            errors.at(
                ty,
                "a stream has one type of item: write `Incoming<T>`, with an enum or a tuple for several",
            );
            Kind::Value
        }
        _ => {
            errors.at(
                ty,
                "a callback takes one value and may give one back: write `Callback<A>` or \
                 `Callback<A, R>`, with a tuple or a struct for several values",
            );
            Kind::Value
        }
    }
}

/// The name and the types of a special parameter. One by another path is a type of the user's own, and so is one
/// without types.
fn special(ty: &Type) -> Option<(&'static str, Vec<Type>)> {
    let Type::Path(TypePath {
        qself: None, path, ..
    }) = ungrouped(ty)
    else {
        return None;
    };
    let ours = match path.segments.len() {
        1 => true,
        2 => path
            .segments
            .first()
            .is_some_and(|first| first.ident == "mynah"),
        _ => false,
    };
    let last = path.segments.last().filter(|_| ours)?;
    let name = SPECIAL.iter().find(|name| last.ident == **name)?;
    let types = types(last)?;
    Some((name, types))
}

fn types(segment: &PathSegment) -> Option<Vec<Type>> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    Some(types.collect())
}

/// Refuses streams and callbacks inside other types. `what` is `parameter`, `result` or `message`.
pub(super) fn nested(ty: &Type, what: &str, errors: &mut Errors) {
    Nested { what, errors }.visit_type(ty);
}

struct Nested<'a> {
    what: &'a str,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Nested<'_> {
    fn visit_type(&mut self, ty: &'ast Type) {
        let Some((name, _)) = special(ty) else {
            return syn::visit::visit_type(self, ty);
        };
        let article = if name == "Incoming" { "an" } else { "a" };
        let written = readable(ty);
        let message = match (self.what, name) {
            ("result", "Incoming") => {
                "`Incoming` comes with a call; a stream of results is written \
                 `fn name(&self, ...) -> impl Stream<Item = T> + Send`"
                    .to_owned()
            }
            ("message", _) => {
                let what = if name == "Incoming" {
                    "a stream"
                } else {
                    "a callback"
                };
                format!(
                    "{what} comes with a call, and an event has none: name a type that is sent whole"
                )
            }
            ("result", _) => {
                "a callback comes with a call and ends with it: take it as a parameter, \
                              or give back a value that names what to call"
                    .to_owned()
            }
            _ => format!(
                "{article} `{name}` is a parameter of its own, for it is bound to its call: write \
                 `name: {written}`"
            ),
        };
        self.errors.at(ty, message);
    }
}

/// The return type when it is a stream.
pub(super) fn stream_type(ty: &Type) -> Option<&TypeImplTrait> {
    let Type::ImplTrait(ty) = ungrouped(ty) else {
        return None;
    };
    stream_bound(ty).map(|_| ty)
}

fn stream_bound(ty: &TypeImplTrait) -> Option<&PathSegment> {
    ty.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last()?;
            (last.ident == "Stream").then_some(last)
        }
        _ => None,
    })
}

/// What a stream of results yields; the errors of its types are told by the caller.
pub(super) fn stream(ty: &TypeImplTrait, errors: &mut Errors) -> Option<(Stream, Type)> {
    let item = stream_bound(ty).and_then(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => {
                    Some(ty.clone())
                }
                _ => None,
            })
        }
        PathArguments::None | PathArguments::Parenthesized(_) => None,
    });
    let Some(item) = item else {
        errors.at(
            ty,
            "both sides must know the items: write `impl Stream<Item = T> + Send`, or \
             `impl Stream<Item = Result<T, E>> + Send`",
        );
        return None;
    };
    let send = ty.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Send"),
        _ => false,
    });
    let stream = Stream {
        ty: ty.clone(),
        send,
        item: item.clone(),
        error: None,
    };
    Some((stream, item))
}

/// Whether a type that is no `impl Stream` is a stream all the same.
pub(super) fn is_boxed_stream(ty: &Type) -> bool {
    struct Named(bool);
    impl<'ast> Visit<'ast> for Named {
        fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
            self.0 |= segment.ident == "Stream" || segment.ident == "BoxStream";
            syn::visit::visit_path_segment(self, segment);
        }
    }
    let mut named = Named(false);
    named.visit_type(ty);
    named.0
}

/// Says it when a stream is a part of a result.
pub(super) fn hidden_stream(ty: &Type, errors: &mut Errors) -> bool {
    struct Hidden<'a>(&'a mut Errors, bool);
    impl<'ast> Visit<'ast> for Hidden<'_> {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            if stream_bound(ty).is_none() {
                return;
            }
            self.1 = true;
            self.0.at(
                ty.to_token_stream(),
                "a stream is the whole result of a method: write \
                 `fn name(&self, ...) -> impl Stream<Item = Result<T, E>> + Send`, and let an error be its \
                 first item",
            );
        }
    }
    let mut hidden = Hidden(errors, false);
    hidden.visit_type(ty);
    hidden.1
}
