//! Everything that a handler may take and give.
#![allow(clippy::all, clippy::pedantic, reason = "odd shapes are the point")]

use futures::stream;
use mynah::prelude::*;
use mynah::{Events, Evidence, Metadata, Outcome, RawCall, Router, ServerState, State};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Ping {
    text: String,
}

#[derive(Debug, mynah::DomainError)]
enum MyError {
    #[error(code = 1)]
    No,
}

async fn borrows(_cx: &Context, ping: Ping) -> Result<String, MyError> {
    Ok(ping.text)
}

async fn borrows_alone(_cx: &Context) {}

async fn owns(_cx: Context, ping: Ping) -> Ping {
    ping
}

fn plain(ping: Ping) -> Result<Ping, RpcError> {
    Ok(ping)
}

mod private {
    pub(crate) struct Service;

    impl Service {
        pub(crate) async fn method(self: std::sync::Arc<Self>, a: i64) -> i64 {
            a
        }
    }
}

fn main() {
    let service = std::sync::Arc::new(private::Service);
    let router =
        Router::new()
            .state(5_u8)
            .method("a", borrows)
            .method("b", borrows_alone)
            .method("c", owns)
            .method("d", plain)
            .method("e", || async {})
            .method("f", |cx: Context| async move { cx.metadata().len() })
            .method("g", |ping: Ping| async move {
                Err::<Ping, _>(if ping.text.is_empty() {
                    MyError::No
                } else {
                    MyError::No
                })
            })
            .method(
                "h",
                |_: Context,
                 _: State<u64>,
                 _: ServerState<u8>,
                 _: Peer,
                 _: Evidence,
                 (_a,): (u8,)| async { 1 },
            )
            .method("i", |_: Metadata, _: Events| 1)
            .method("j", |(up_to,): (u64,)| stream::iter(0..up_to))
            .method("k", |(up_to,): (u64,)| async move {
                stream::iter((0..up_to).map(Ok::<_, MyError>))
            })
            .method("l", |(up_to,): (u64,)| async move {
                Ok::<_, MyError>(stream::iter((0..up_to).map(Ok)))
            })
            .method(
                "m",
                |_: Context, (_told, _values): (Callback<u64>, Incoming<u64>)| async {},
            )
            .method("n", move |(a,): (i64,)| {
                private::Service::method(std::sync::Arc::clone(&service), a)
            })
            .method("o", |n: u64| Outcome::<u64, String>::Ok(n))
            .method("p", |_: Context| {
                Ok::<Outcome<u64, String>, RpcError>(Outcome::Ok(1))
            })
            .notification("q", |_: Context, _ping: Ping| async {})
            .fallback(|_: Context, call: RawCall| async move { call.answer_raw(call.params()) });
    assert!(router.check().is_ok());
    assert_eq!(router.methods().len(), 17);
}
