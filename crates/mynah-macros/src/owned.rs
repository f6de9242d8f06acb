//! Types that can be sent: nothing in them is borrowed, generic or relative.

use crate::errors::Errors;
use syn::visit::Visit;
use syn::{Lifetime, Path, Type, TypeFnPtr, TypeImplTrait, TypeReference, TypeTraitObject};

/// Whether the type is a path whose last segment has this name and no qualified self.
pub(crate) fn is_path_to(ty: &Type, name: &str) -> bool {
    let Type::Path(path) = ungrouped(ty) else {
        return false;
    };
    path.qself.is_none()
        && path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == name)
}

/// The type without the invisible or visible parentheses around it.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

/// Adds an error for each part of the type that cannot be sent. `what` is `parameter`, or the like.
pub(crate) fn check(ty: &Type, what: &str, errors: &mut Errors) {
    Owned { what, errors }.visit_type(ty);
}

struct Owned<'a> {
    what: &'a str,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        let owned = match ungrouped(&ty.elem) {
            inner if is_path_to(inner, "str") => "`String`".to_owned(),
            Type::Slice(slice) => format!("`Vec<{}>`", readable(&slice.elem)),
            inner => format!("`{}`", readable(inner)),
        };
        let message = format!(
            "a {} is decoded on the other side, so it cannot borrow: write {owned}",
            self.what
        );
        self.errors.at(ty, message);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            let message = format!(
                "a {} is decoded on the other side, so it cannot borrow: write `'static` or an owned type",
                self.what
            );
            self.errors.at(lifetime, message);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        let message = format!(
            "a {} has one type that both sides know: name it instead of `impl Trait`",
            self.what
        );
        self.errors.at(ty, message);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let Some(first) = path.segments.first().filter(|first| first.ident == "Self") {
            let message = format!(
                "`Self` is another type on each side: name the type of the {} instead",
                self.what
            );
            self.errors.at(&first.ident, message);
        }
        syn::visit::visit_path(self, path);
    }

    // What these borrow is not in the value; the compiler says that they cannot be sent.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_type_trait_object(&mut self, _: &'ast TypeTraitObject) {}
}

/// A type as text, without the blanks that tokens have between them.
pub(crate) fn readable(ty: &Type) -> String {
    let tokens = quote::ToTokens::to_token_stream(ty).to_string();
    tokens
        .replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
}
