//! What the macro registers with `#[service(validate)]`.

use super::inline::Direct;
use super::output::{ViaResult, ViaValue};
use super::routes::Routes;
use super::sink::StreamSink;
use crate::context::Context;
use crate::error::DomainError;
use crate::method::{MethodInfo, MethodKind};
use crate::params::Reads;
use crate::validate::{Checked, Validate};
use serde::Serialize;

/// The methods of a service whose params and results are held against [`Validate`]: made by [`Routes::validated`].
///
/// Of a stream of results, the params of its call are.
#[derive(Debug)]
pub struct ValidatedRoutes<'a> {
    pub(super) routes: &'a mut Routes,
}

impl ValidatedRoutes<'_> {
    /// As [`Routes::unary`].
    pub fn unary<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: Validate + Send + 'static,
        T: Serialize + Validate + Send + 'static,
        E: DomainError,
    {
        self.routes.inline::<_, _, _, ViaResult, Checked>(
            info,
            MethodKind::Unary,
            reads,
            Direct(handler),
        );
    }

    /// As [`Routes::notification`].
    pub fn notification<P, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Validate + Send + 'static,
    {
        let start = Direct(handler);
        self.routes.inline::<_, _, _, ViaValue, Checked>(
            info,
            MethodKind::Notification,
            reads,
            start,
        );
    }

    /// As [`Routes::spawned`].
    pub fn spawned<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: Validate + Send + 'static,
        T: Serialize + Validate + Send + 'static,
        E: DomainError,
    {
        self.routes
            .task::<_, _, _, _, ViaResult, Checked>(info, MethodKind::Unary, reads, handler);
    }

    /// As [`Routes::spawned_notification`].
    pub fn spawned_notification<P, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Validate + Send + 'static,
    {
        self.routes.task::<_, _, _, _, ViaValue, Checked>(
            info,
            MethodKind::Notification,
            reads,
            handler,
        );
    }

    /// As [`Routes::blocking`].
    pub fn blocking<P, T, E, H>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> Result<T, E> + Send + Sync + 'static,
        P: Validate + Send + 'static,
        T: Serialize + Validate + Send + 'static,
        E: DomainError,
    {
        self.routes.thread::<_, _, _, _, ViaResult, Checked>(
            info,
            MethodKind::Unary,
            reads,
            handler,
        );
    }

    /// As [`Routes::blocking_notification`].
    pub fn blocking_notification<P, H>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) + Send + Sync + 'static,
        P: Validate + Send + 'static,
    {
        self.routes.thread::<_, _, _, _, ViaValue, Checked>(
            info,
            MethodKind::Notification,
            reads,
            handler,
        );
    }

    /// As [`Routes::stream`].
    pub fn stream<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Validate + Send + 'static,
        T: Serialize + Validate + Send + 'static,
        E: DomainError,
    {
        self.routes
            .streamed::<_, _, _, _, _, _, Checked>(info, reads, handler);
    }
}
