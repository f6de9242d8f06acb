//! Methods of a [`Caller`](super::Caller) that are those of another one within it.

/// In an `impl Caller`: `delegate_to!(caller: poll_format window)` has each of these asked of `self.caller`.
///
/// Who stands around a caller names what it leaves to it. So a method that a caller gets later is looked for here, in one
/// place, and not written again for everybody.
macro_rules! delegate_to {
    ($to:ident: $($method:ident)+) => {
        $(delegate_to!(@ $to $method);)+
    };
    (@ $to:ident poll_format) => {
        #[inline]
        fn poll_format(
            &self,
            cx: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<Result<$crate::call::WireFormat, $crate::error::CallError>> {
            self.$to.poll_format(cx)
        }
    };
    (@ $to:ident poll_begin) => {
        #[inline]
        fn poll_begin(
            &self,
            cx: &mut ::std::task::Context<'_>,
            call: &mut $crate::call::OutgoingCall<'_>,
        ) -> ::std::task::Poll<Result<$crate::call::Ticket, $crate::error::CallError>> {
            self.$to.poll_begin(cx, call)
        }
    };
    (@ $to:ident poll_notify) => {
        fn poll_notify(
            &self,
            cx: &mut ::std::task::Context<'_>,
            call: &$crate::call::OutgoingCall<'_>,
        ) -> ::std::task::Poll<Result<(), $crate::error::CallError>> {
            self.$to.poll_notify(cx, call)
        }
    };
    (@ $to:ident poll_reply) => {
        #[inline]
        fn poll_reply(
            &self,
            cx: &mut ::std::task::Context<'_>,
            ticket: $crate::call::Ticket,
            reply: &mut $crate::encoded::ReplyBuffer,
            sides: Option<&mut $crate::call::SideEffects>,
        ) -> ::std::task::Poll<Result<(), $crate::error::CallError<::mynah_protocol::RpcError>>> {
            self.$to.poll_reply(cx, ticket, reply, sides)
        }
    };
    (@ $to:ident poll_items) => {
        fn poll_items(
            &self,
            cx: &mut ::std::task::Context<'_>,
            ticket: $crate::call::Ticket,
            batch: &mut Vec<u8>,
            taken: ::mynah_protocol::Window,
            sides: Option<&mut $crate::call::SideEffects>,
        ) -> ::std::task::Poll<Result<bool, $crate::error::CallError<::mynah_protocol::RpcError>>> {
            self.$to.poll_items(cx, ticket, batch, taken, sides)
        }
    };
    (@ $to:ident taken) => {
        fn taken(&self, ticket: $crate::call::Ticket, taken: ::mynah_protocol::Window) {
            self.$to.taken(ticket, taken);
        }
    };
    (@ $to:ident window) => {
        fn window(&self) -> Option<::mynah_protocol::Window> {
            self.$to.window()
        }
    };
    (@ $to:ident poll_accepted) => {
        fn poll_accepted(
            &self,
            cx: &mut ::std::task::Context<'_>,
            ticket: $crate::call::Ticket,
        ) -> ::std::task::Poll<()> {
            self.$to.poll_accepted(cx, ticket)
        }
    };
    (@ $to:ident cancel) => {
        fn cancel(&self, ticket: $crate::call::Ticket, reason: ::mynah_protocol::CancelReason) {
            self.$to.cancel(ticket, reason);
        }
    };
    (@ $to:ident default_timeout) => {
        #[inline]
        fn default_timeout(&self) -> Option<::std::time::Duration> {
            self.$to.default_timeout()
        }
    };
    (@ $to:ident deadline) => {
        #[inline]
        fn deadline(&self) -> Option<::tokio::time::Instant> {
            self.$to.deadline()
        }
    };
    (@ $to:ident interceptors) => {
        #[inline]
        fn interceptors(&self) -> Option<&::std::sync::Arc<$crate::intercept::Interceptors>> {
            self.$to.interceptors()
        }
    };
    (@ $to:ident trace) => {
        #[inline]
        fn trace(&self) -> Option<&$crate::trace::TraceContext> {
            self.$to.trace()
        }
    };
    (@ $to:ident carries_metadata) => {
        fn carries_metadata(&self) -> bool {
            self.$to.carries_metadata()
        }
    };
    (@ $to:ident in_process) => {
        #[inline]
        fn in_process(&self) -> Option<&$crate::local::InProcess> {
            self.$to.in_process()
        }
    };
    (@ $to:ident runtime) => {
        fn runtime(&self) -> Option<&::tokio::runtime::Handle> {
            self.$to.runtime()
        }
    };
    (@ $to:ident own_runtime) => {
        fn own_runtime(&self) -> Option<&::tokio::runtime::Handle> {
            self.$to.own_runtime()
        }
    };
    (@ $to:ident peer) => {
        fn peer(&self) -> Option<$crate::peer::Peer> {
            self.$to.peer()
        }
    };
    (@ $to:ident reconnects) => {
        #[inline]
        fn reconnects(&self) -> bool {
            self.$to.reconnects()
        }
    };
    (@ $to:ident send_again) => {
        fn send_again(
            &self,
            error: &$crate::error::CallError<::mynah_protocol::RpcError>,
            attempt: $crate::call::Attempt,
        ) -> Option<::std::time::Duration> {
            self.$to.send_again(error, attempt)
        }
    };
    (@ $to:ident poll_connected) => {
        fn poll_connected(
            &self,
            cx: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<Result<(), $crate::error::CallError>> {
            self.$to.poll_connected(cx)
        }
    };
    (@ $to:ident maps_codes) => {
        fn maps_codes(&self) -> bool {
            self.$to.maps_codes()
        }
    };
}

pub(crate) use delegate_to;
