//! Streams and callbacks in the params of handlers made by hand.
//!
//! The macro sees which params are streams or callbacks and binds each to its call. A handler made by hand has params of
//! a type that is known only as a whole: what was decoded in it says so itself, and is bound when the whole is there.

use crate::context::Context;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

/// The call that a stream or callback came with, once it is known.
pub(crate) type Bound = Arc<OnceLock<Context>>;

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
    static FOUND: RefCell<Vec<Bound>> = const { RefCell::new(Vec::new()) };
}

/// Lets what is decoded say that it is to be bound, until it is dropped.
struct Wanted;

impl Wanted {
    #[inline]
    fn start() -> Self {
        WANTED.set(true);
        Self
    }
}

impl Drop for Wanted {
    #[inline]
    fn drop(&mut self) {
        WANTED.set(false);
    }
}

/// Decodes params, and binds what is in them to their call.
#[inline]
pub(crate) fn params<P, E>(
    context: &Context,
    decode: impl FnOnce() -> Result<P, E>,
) -> Result<P, E> {
    let wanted = Wanted::start();
    let params = decode();
    drop(wanted);
    FOUND.with_borrow_mut(|found| {
        if !found.is_empty() {
            bind_all(found, params.is_ok().then_some(context));
        }
    });
    params
}

#[cold]
fn bind_all(found: &mut Vec<Bound>, context: Option<&Context>) {
    for bound in found.drain(..) {
        if let Some(context) = context {
            // Only this sets it.
            let _first = bound.set(context.clone());
        }
    }
}

/// Said by a stream or callback that is decoded: where it will find its call, if somebody binds it so.
pub(crate) fn wanted() -> Option<Bound> {
    if !WANTED.get() {
        return None;
    }
    let bound = Bound::default();
    FOUND.with_borrow_mut(|found| found.push(Arc::clone(&bound)));
    Some(bound)
}
