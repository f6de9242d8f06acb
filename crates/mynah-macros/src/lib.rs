//! The `#[service]` attribute and the `DomainError` derive of Mynah.
//!
//! Programs use both through the facade crate `mynah`; what they expand to names items of
//! `::mynah::__private` only. Everything they do can be done by hand.
//!
//! What it is not: it knows no wire and no runtime. It reads a trait, refuses what cannot be a
//! contract between two programs, and writes the code that a person would write.

mod domain_error;
mod errors;
mod export;
mod names;
mod options;
mod owned;
mod service;

use proc_macro::TokenStream;

/// Makes a service of a trait: its server side and its typed client.
///
/// From `trait Arith` it makes `ArithService<T>`, which serves any `T: Arith`, and
/// `ArithClient<C>`, whose methods call it. The trait keeps its methods; `async fn` becomes a
/// function that returns a `Send` future, so implementors write plain `async fn`.
///
/// Options:
/// - `name = "..."` sets the name on the wire. Without it, it is the trait's name in lower snake case (`KeyStore` is
///   `key_store`). An empty one: methods are called by their own names alone.
/// - `rename_all = "camelCase"` writes the names of methods and events so, where they say nothing else, and
///   `rename_all_params = "camelCase"` those of parameters. The cases are those of serde.
/// - `mock` makes `ArithMock` as well, for tests of code that calls: `ArithMock::new().on_add(async |a, b| Ok(a + b))`
///   and `client()`.
/// - `validate` has params and results held against `mynah::Validate`, which their types implement.
///
/// # Methods
/// - The receiver is `&self`. After it may come the context, as `cx: &Context`; it is not sent.
/// - Parameters are plain names with owned types; all of them together are at most 16.
/// - A caller may give them in order, each by its name, or as one object; the names are those that are written here. One
///   that is an `Option` may be absent, and so may one with `#[default]` (the default of its type) or
///   `#[default = value]` before it. A client writes nothing for `None`.
/// - `#[params]` before the only parameter: it is all of the params, as one object.
/// - `-> Result<T, E>` has a domain error `E`, written out, no alias. Any other return type `T` has
///   none.
///
/// # Streams and callbacks
/// - A stream of results: `fn squares(&self, up_to: u64) -> impl Stream<Item = Result<T, E>> + Send;`, a plain `fn`, or
///   `Item = T` without a domain error. It may borrow from `&self` and from the context. It is polled as far as the
///   caller takes items, and dropped when the caller is gone. The client's method gives a `StreamCall`.
/// - A stream of the caller: `data: Incoming<T>`, at most one for each method. The client passes any
///   `impl Stream<Item = T>`. With a stream of results, both ways run at once.
/// - Callbacks: `told: Callback<A>`, and `asked: Callback<A, R>` for one that gives a value back. The client passes an
///   `FnMut(A)`, and an `Fn(A)` whose future gives a `Result<R, RpcError>`. They end with their call.
///
/// Streams and callbacks are parameters of their own: not a part of another type, not in notifications, and not in
/// `#[blocking]` methods.
///
/// # Events
/// `#[event] fn changed(change: Change);` declares what the service publishes under the topic `service.changed`; it is no
/// part of the trait that is implemented. The client's method subscribes. From `trait Arith` with events comes
/// `ArithEvents`, which publishes: made with `ArithEvents::new(events)` or `ArithEvents::from_context(cx)`, with an
/// `async fn changed(&self, &Change)` and the topic as `ArithEvents::CHANGED`.
///
/// `#[event(lag = "...", capacity = 64)]` says what happens to a subscriber that is too slow: `drop-oldest`,
/// `drop-newest`, `latest`, `close`, or `block`, where the publisher waits. `#[method(name = "...")]` sets the last part
/// of the topic.
///
/// # Marks
/// On a method:
/// - `#[notification]`: nothing comes back, not even that it failed.
/// - `#[spawn]`: it runs in a task of its own.
/// - `#[blocking]`: a plain `fn` that runs on the pool for blocking work.
/// - `#[idempotent]`: a second call changes nothing, so one whose fate is unknown may be made again. Not with an
///   `Incoming`, whose items are gone.
/// - `#[method(name = "...")]`: its name on the wire.
///
/// # Errors
/// A trait that cannot be a contract is refused where the mistake is: generics, supertraits, a
/// default body, `cfg` on a method or parameter, borrowed parameters, names used twice, and more.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(options.into(), item.into()).into()
}

/// Makes a free function a value that a router takes: `Router::add(hello_world)`.
///
/// It is registered under its own name, as `namespace.name` with `#[export(namespace = "math")]`; `name = "..."` sets
/// another. What it may take and give, and the marks on it, are those of a method of a `#[service]`, without `&self`:
/// `cx: &Context` first, then its parameters by name, with `#[default]` and `#[params]`. A plain `fn` will do.
///
/// The value can be called as the function that it was; an `async fn` gives a boxed future then. One with a stream of
/// results cannot. There is no registry: what is not added to a router is not served.
#[proc_macro_attribute]
pub fn export(options: TokenStream, item: TokenStream) -> TokenStream {
    export::expand(options.into(), item.into()).into()
}

/// Makes an enum a domain error: an error that keeps its type on its way to the caller.
///
/// Each variant has `#[error(code = 1)]`: its number on the wire, any `i64` outside -32768 to
/// -32000. `#[error(code = 1, message = "{value} is out of range")]` sets its text; the text may
/// name fields (`{0}` in a tuple variant). Without it, the text is the variant's name in words.
///
/// Fields travel as the data of the error: named fields as a map, the others as an array. Display
/// and `std::error::Error` are implemented too; `#[domain(no_display)]` on the enum leaves both
/// to you, and codes may then be written `#[domain(code = 1)]`, beside another derive that uses
/// `#[error(...)]`.
#[proc_macro_derive(DomainError, attributes(error, domain))]
pub fn domain_error(item: TokenStream) -> TokenStream {
    domain_error::expand(item.into()).into()
}
