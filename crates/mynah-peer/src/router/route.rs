//! One method of a router.

use crate::encoded::EncodedBuffer;
use crate::handler::{Called, HeldToContract, Invocation, Method, Mounted};
use crate::method::{MethodInfo, MethodKind};
use mynah_contract::Validator;
use mynah_protocol::MethodName;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

/// A handler under its name.
pub(crate) struct Route {
    pub(crate) service: Box<str>,
    pub(crate) method: Box<str>,
    pub(crate) handler: Box<dyn Method>,
    /// An `Arc<dyn TypedMethod<P, T, E>>` or `Arc<dyn TypedStreamMethod<P, T, E>>`, for calls in the same process.
    pub(crate) typed: Box<dyn Any + Send + Sync>,
    kind: MethodKind,
    params: &'static [&'static str],
    /// What the macro knows of it; `None`: it was made by hand.
    info: Option<&'static MethodInfo>,
    /// It belongs to no service.
    removable: bool,
    /// It is gone. Its place stays, because calls find it by its number.
    removed: AtomicBool,
}

/// What a router tells of one of its methods.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodEntry {
    /// Its service and its name.
    pub name: MethodName<'static>,
    /// What it gives.
    pub kind: MethodKind,
    /// The names of its params, in order; empty where nobody has named them.
    pub params: &'static [&'static str],
    /// Whether it belongs to no service, and so can be removed while the router serves.
    pub removable: bool,
}

impl Route {
    /// One of a contract.
    pub(crate) fn of(
        info: &'static MethodInfo,
        kind: MethodKind,
        handler: Box<dyn Method>,
        typed: Box<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            service: info.service().into(),
            method: info.name().into(),
            handler,
            typed,
            kind,
            params: info.params(),
            info: Some(info),
            removable: false,
            removed: AtomicBool::new(false),
        }
    }

    /// One made by hand.
    pub(crate) fn by_hand(
        service: &str,
        method: &str,
        kind: Option<MethodKind>,
        mounted: Mounted,
    ) -> Self {
        Self {
            service: service.into(),
            method: method.into(),
            handler: mounted.handler,
            typed: mounted.typed,
            kind: kind.unwrap_or(mounted.kind),
            params: mounted.names,
            info: None,
            removable: true,
            removed: AtomicBool::new(false),
        }
    }

    /// The same, of a function that belongs to no service.
    pub(super) const fn removable(mut self) -> Self {
        self.removable = true;
        self
    }

    /// The same, held against what a contract says of it. In process its values are encoded, for they are looked at.
    pub(super) fn held_to(mut self, validator: Arc<Validator>) -> Self {
        self.handler = Box::new(HeldToContract::new(self.handler, validator));
        self.typed = Box::new(());
        self
    }

    pub(super) const fn kind(&self) -> MethodKind {
        self.kind
    }

    /// Whether it was made by hand: nobody but a contract that was given knows anything of it.
    pub(crate) const fn is_by_hand(&self) -> bool {
        self.info.is_none()
    }

    /// Whether streams and callbacks are told of their call where they are decoded.
    pub(crate) const fn binds_late(&self) -> bool {
        self.is_by_hand()
    }

    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        !self.removed.load(Ordering::Relaxed)
    }

    /// Takes it out, once.
    pub(super) fn remove(&self) -> bool {
        self.removable && !self.removed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn name(&self) -> MethodName<'_> {
        MethodName::new(&self.service, &self.method)
    }

    pub(super) fn entry(&self) -> MethodEntry {
        MethodEntry {
            name: self.name().into_owned(),
            kind: self.kind,
            params: self.params,
            removable: self.removable,
        }
    }
}

/// For methods that are found by name and not by number.
impl Method for Route {
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        self.handler.call(invocation, task, reply)
    }

    fn recycle(&self, cell: Box<dyn Any>) {
        self.handler.recycle(cell);
    }
}
