//! What lies between two programs.

use super::service::{Clerk, DeskEvents, DeskService};
use mynah::dialect::{CborRpc, Dialect, JsonRpc, Kollabor, Native, Side};
use mynah::prelude::*;
use mynah::{Interceptor, Reconnecting, Router, ServerHandle, blocking};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;

/// How the errors of the other side arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Errors {
    /// As they left.
    Whole,
    /// The codes of the protocol; those of a handler are texts.
    Kinds,
    /// As texts.
    Texts,
}

/// What can be said there, beyond calls and answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    pub(crate) in_order: bool,
    pub(crate) by_name: bool,
    pub(crate) streams: bool,
    pub(crate) side_messages: bool,
    /// Whether the other side hears that nobody waits any more.
    pub(crate) cancel: bool,
    pub(crate) deadline: bool,
    pub(crate) metadata: bool,
    pub(crate) notifications: bool,
    pub(crate) events: bool,
    /// Whether a numeric code means what it means here.
    pub(crate) our_codes: bool,
    pub(crate) errors: Errors,
}

const ALL: Says = Says {
    in_order: true,
    by_name: true,
    streams: true,
    side_messages: true,
    cancel: true,
    deadline: true,
    metadata: true,
    notifications: true,
    events: true,
    our_codes: true,
    errors: Errors::Whole,
};

const JSONRPC: Says = Says {
    streams: false,
    side_messages: false,
    cancel: false,
    deadline: false,
    metadata: false,
    events: false,
    our_codes: false,
    ..ALL
};

const CBOR_RPC: Says = Says {
    by_name: false,
    streams: false,
    deadline: false,
    metadata: false,
    our_codes: false,
    errors: Errors::Texts,
    ..ALL
};

const KOLLABOR: Says = Says {
    in_order: false,
    streams: false,
    side_messages: false,
    metadata: false,
    notifications: false,
    events: false,
    errors: Errors::Kinds,
    ..ALL
};

/// A way from one program to another.
pub(crate) struct Link {
    pub(crate) name: &'static str,
    pub(crate) dialect: &'static str,
    pub(crate) says: Says,
    /// Whether a handler finds a service of the caller.
    pub(crate) has_own_desk: bool,
    kind: Kind,
}

enum Kind {
    /// Both sides of a connection in memory, with what makes a peer of a side.
    Wire(Box<dyn Fn(DuplexStream, Side, Router) -> Peer + Send + Sync>),
    /// A server of the same process, by its URL.
    Server,
    /// A router of the same process.
    Router,
}

fn wire(name: &'static str, says: Says, dialect: impl Dialect + 'static) -> Link {
    Link {
        name,
        dialect: dialect.name(),
        says,
        has_own_desk: true,
        kind: Kind::Wire(Box::new(move |stream, side, router| {
            let peer = Peer::over(stream, &dialect).side(side).router(router);
            peer.start().unwrap()
        })),
    }
}

/// The same with somebody who looks at every call, which takes another way through the client then.
fn looked_at(name: &'static str, says: Says, dialect: impl Dialect + 'static) -> Link {
    let Link { kind, .. } = wire(name, says, dialect.clone_box());
    let Kind::Wire(peer) = kind else {
        unreachable!("it is a wire")
    };
    Link {
        kind: Kind::Wire(Box::new(move |stream, side, router| {
            peer(stream, side, router).with_interceptor(Looks)
        })),
        ..wire(name, says, dialect)
    }
}

#[derive(Debug)]
struct Looks;

impl Interceptor for Looks {}

pub(crate) fn all() -> Vec<Link> {
    let in_process = |name, kind| Link {
        name,
        dialect: "memory",
        says: ALL,
        has_own_desk: matches!(kind, Kind::Server),
        kind,
    };
    vec![
        in_process("a server of the process", Kind::Server),
        in_process("a router of the process", Kind::Router),
        wire("native, CBOR", ALL, Native::new()),
        looked_at("native, looked at", ALL, Native::new()),
        wire("native, JSON", ALL, Native::json()),
        wire("native, MessagePack", ALL, Native::messagepack()),
        wire("jsonrpc", JSONRPC, JsonRpc::standard()),
        wire(
            "jsonrpc, named",
            JSONRPC,
            JsonRpc::standard().with_named_params(true),
        ),
        wire(
            "jsonrpc, clamator",
            Says {
                in_order: false,
                ..JSONRPC
            },
            JsonRpc::clamator(),
        ),
        wire("cbor-rpc", CBOR_RPC, CborRpc::cbor()),
        wire(
            "cbor-rpc, rich",
            Says {
                our_codes: true,
                errors: Errors::Whole,
                ..CBOR_RPC
            },
            CborRpc::cbor().with_rich_errors(true),
        ),
        wire("kollabor", KOLLABOR, Kollabor::new()),
    ]
}

/// What is on the other side of a link, for as long as this is there.
pub(crate) struct There {
    pub(crate) clerk: Arc<Clerk>,
    pub(crate) hears_cancel: bool,
    pub(crate) hears_deadline: bool,
    _far: Option<Peer>,
    _server: Option<ServerHandle>,
}

fn serving(clerk: &Arc<Clerk>) -> Router {
    let router = Router::new().register(DeskService::new(Arc::clone(clerk)));
    // For those who cannot subscribe.
    router.events().push(DeskEvents::RANG);
    router
}

impl Link {
    /// Opens it on a runtime. The client has a desk of its own.
    pub(crate) async fn open(&self) -> (Peer, There) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let clerk = Arc::new(Clerk::default());
        let router = serving(&clerk);
        let own = Router::new().register(DeskService::new(Clerk::default()));
        let mut there = There {
            clerk,
            hears_cancel: self.says.cancel,
            hears_deadline: self.says.deadline,
            _far: None,
            _server: None,
        };
        let near = match &self.kind {
            Kind::Wire(peer) => {
                let (near, far) = tokio::io::duplex(4096);
                there._far = Some(peer(far, Side::Accept, router));
                peer(near, Side::Dial, own)
            }
            Kind::Server => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let url = format!("memory:every-way-{number}");
                let server = Server::new().router(router).listen(&url);
                there._server = Some(server.start().await.unwrap());
                let connector = mynah::connector(&url).unwrap().router(own);
                connector.connect().await.unwrap()
            }
            Kind::Router => Peer::of(router).unwrap(),
        };
        (near, there)
    }

    /// Opens it for a thread; the other side lives on a runtime of its own.
    pub(crate) fn open_blocking(&self, far: &Runtime) -> (blocking::Peer, There) {
        match &self.kind {
            Kind::Wire(peer) => {
                let clerk = Arc::new(Clerk::default());
                let router = serving(&clerk);
                let own = Router::new().register(DeskService::new(Clerk::default()));
                let (near_end, far_end) = tokio::io::duplex(4096);
                let entered = far.enter();
                let there = There {
                    clerk,
                    hears_cancel: self.says.cancel,
                    hears_deadline: self.says.deadline,
                    _far: Some(peer(far_end, Side::Accept, router)),
                    _server: None,
                };
                drop(entered);
                let opening = async { Ok::<_, ()>(peer(near_end, Side::Dial, own)) };
                let near = blocking::Peer::open(opening).unwrap().unwrap();
                (near, there)
            }
            Kind::Server | Kind::Router => {
                let (near, there) = far.block_on(self.open());
                let opened = blocking::Peer::open(async { Ok::<_, ()>(near) });
                (opened.unwrap().unwrap(), there)
            }
        }
    }
}

/// A client that connects again by itself, and where it leads.
pub(crate) fn reconnecting() -> Link {
    Link {
        has_own_desk: false,
        ..wire("reconnecting", ALL, Native::new())
    }
}

/// Opens it: to the same clerk each time.
pub(crate) async fn open_reconnecting() -> (Reconnecting, There) {
    let clerk = Arc::new(Clerk::default());
    let there = There {
        clerk: Arc::clone(&clerk),
        hears_cancel: true,
        hears_deadline: true,
        _far: None,
        _server: None,
    };
    let client = Reconnecting::open_with(move || {
        let router = serving(&clerk);
        async move {
            let (near, far) = tokio::io::duplex(4096);
            let far = Peer::over(far, &Native::new()).side(Side::Accept);
            let far = far.router(router).start().unwrap();
            tokio::spawn(async move { far.closed().await });
            Ok(Peer::over(near, &Native::new()).side(Side::Dial))
        }
    });
    (client.connect().await.unwrap(), there)
}
