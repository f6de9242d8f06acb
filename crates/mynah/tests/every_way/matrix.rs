//! Each body in each form over each link.

use super::links::{self, Link, There};
use super::said::{InOrder, Named, Typed};
use super::{bodies, expected};
use mynah::{Peer, blocking};
use tokio::runtime::{Builder, Runtime};

fn runtimes() -> (Runtime, Runtime) {
    let near = Builder::new_current_thread().enable_all().build().unwrap();
    let mut far = Builder::new_multi_thread();
    let far = far.worker_threads(1).enable_all().build().unwrap();
    (near, far)
}

/// One body in all the forms that a link has.
macro_rules! in_every_form {
    ($link:expr, $peer:expr, $there:expr, $body:ident, $kind:literal) => {{
        let (link, peer, there): (&Link, _, &There) = ($link, $peer, $there);
        let expected = expected::$body(link);
        let way = |form: &str| format!("{}, {}{form}", link.name, $kind);
        let seen = bodies::$body(&Typed(peer.clone()), there).await;
        assert_eq!(seen, expected, "{}", way("typed"));
        if link.says.in_order {
            let seen = bodies::$body(&InOrder(peer.clone()), there).await;
            assert_eq!(seen, expected, "{}", way("by name, in order"));
        }
        if link.says.by_name {
            let seen = bodies::$body(&Named(peer.clone()), there).await;
            assert_eq!(seen, expected, "{}", way("by name, each"));
        }
    }};
}

macro_rules! every_way {
    ($($body:ident)*) => {
        $(#[test]
        fn $body() {
            for link in &links::all() {
                let (near, far) = runtimes();
                near.block_on(async {
                    let (peer, there): (Peer, _) = link.open().await;
                    in_every_form!(link, peer, &there, $body, "");
                });
                let (peer, there): (blocking::Peer, _) = link.open_blocking(&far);
                // Nothing of it is pending: each call waits where it is polled.
                futures::executor::block_on(async {
                    in_every_form!(link, peer, &there, $body, "blocking, ");
                });
            }
        })*

        /// The same through clients that connect again by themselves.
        mod reconnecting {
            use super::*;

            $(#[test]
            fn $body() {
                let link = &links::reconnecting();
                let (near, far) = runtimes();
                near.block_on(async {
                    let (client, there) = links::open_reconnecting().await;
                    in_every_form!(link, client, &there, $body, "");
                });
                let (client, there) = far.block_on(links::open_reconnecting());
                let peer = blocking::Peer::open(async { Ok::<_, ()>(client) });
                let peer = peer.unwrap().unwrap();
                futures::executor::block_on(async {
                    in_every_form!(link, peer, &there, $body, "blocking, ");
                });
            })*
        }
    };
}

every_way! {
    unary
    started
    errors
    mistakes
    cancel
    deadline
    streams
    inputs
    callbacks
    events
    beside
    notes
}
