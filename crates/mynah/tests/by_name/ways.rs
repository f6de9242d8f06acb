//! Ways from a client to the desk.

use super::service::{Clerk, DeskService};
use mynah::codec::{EncodeError, Format, FrameSpan, Lane, Output, Step, Wire, WireError};
use mynah::dialect::{CborRpc, Dialect, Native, Side};
use mynah::prelude::*;
use mynah::protocol::{Envelope, Limits, ParamsShape, Profile};
use mynah::{Reconnecting, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Both sides of a connection in memory.
pub(crate) struct Joined {
    pub(crate) client: Peer,
    pub(crate) clerk: Arc<Clerk>,
    /// Of the side that serves, where there is a connection.
    pub(crate) far: Option<Peer>,
    _server: Option<mynah::ServerHandle>,
}

/// Over a wire; the client has a desk of its own.
pub(crate) fn over(dialect: &impl Dialect) -> Joined {
    let clerk = Arc::new(Clerk::default());
    let (near, far) = tokio::io::duplex(4096);
    let router = Router::new().register(DeskService::new(Arc::clone(&clerk)));
    let far = Peer::over(far, dialect).side(Side::Accept).router(router);
    let own = Router::new().register(DeskService::new(Clerk::default()));
    let client = Peer::over(near, dialect).side(Side::Dial).router(own);
    Joined {
        client: client.start().unwrap(),
        clerk,
        far: Some(far.start().unwrap()),
        _server: None,
    }
}

/// In the same process; the client has a desk of its own.
pub(crate) async fn in_process() -> Joined {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let url = format!("memory:by-name-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let clerk = Arc::new(Clerk::default());
    let server = Server::new()
        .register(DeskService::new(Arc::clone(&clerk)))
        .listen(&url)
        .start()
        .await
        .unwrap();
    Joined {
        client: mynah::connector(&url)
            .unwrap()
            .router(Router::new().register(DeskService::new(Clerk::default())))
            .connect()
            .await
            .unwrap(),
        clerk,
        far: None,
        _server: Some(server),
    }
}

/// Native in each format, in each spelling of params, and in process.
pub(crate) async fn all() -> Vec<(String, Joined)> {
    let mut ways = vec![
        ("native".to_owned(), over(&Native::new())),
        ("json".to_owned(), over(&Native::json())),
        ("messagepack".to_owned(), over(&Native::messagepack())),
        ("in process".to_owned(), in_process().await),
    ];
    for shape in [
        ParamsShape::Positional,
        ParamsShape::Named,
        ParamsShape::Object,
    ] {
        let dialect = Spells { shape, only: false };
        ways.push((format!("{shape:?}"), over(&dialect)));
    }
    ways
}

/// A client that reconnects, to a clerk.
pub(crate) async fn reconnecting(clerk: Arc<Clerk>) -> Reconnecting {
    Reconnecting::open_with(move || {
        let router = Router::new().register(DeskService::new(Arc::clone(&clerk)));
        async move {
            let (near, far) = tokio::io::duplex(4096);
            let far = Peer::over(far, &Native::new()).side(Side::Accept);
            let far = far.router(router).start().unwrap();
            tokio::spawn(async move { far.closed().await });
            Ok(Peer::over(near, &Native::new()).side(Side::Dial))
        }
    })
    .connect()
    .await
    .unwrap()
}

/// cbor-rpc, whose params are an array.
pub(crate) fn cbor_rpc() -> Joined {
    over(&CborRpc::cbor())
}

/// Waits until something holds, within a bounded number of looks.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looks = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looks)
        .await
        .unwrap_or_else(|_late| panic!("{what}"));
}

/// Native with another spelling of params.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spells {
    pub(crate) shape: ParamsShape,
    pub(crate) only: bool,
}

impl Dialect for Spells {
    fn name(&self) -> &'static str {
        "spells"
    }

    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire> {
        let inner = Native::new().wire(side, limits);
        Box::new(SpellsWire {
            profile: self.profile(inner.profile()),
            inner,
            dialect: *self,
        })
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }
}

#[derive(Debug)]
struct SpellsWire {
    inner: Box<dyn Wire>,
    profile: Profile,
    dialect: Spells,
}

impl Spells {
    fn profile(self, native: &Profile) -> Profile {
        let mut profile = native.clone().with_params(self.shape);
        profile.dialect = "spells";
        profile.only_params = self.only;
        profile
    }
}

impl Wire for SpellsWire {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn format(&self) -> Format {
        self.inner.format()
    }

    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        let step = self.inner.decode(input);
        // The handshake has changed it.
        self.profile = self.dialect.profile(self.inner.profile());
        step
    }

    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError> {
        self.inner.encode(envelope, lane, out)
    }

    fn own_output(&mut self, out: &mut Output) {
        self.inner.own_output(out);
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn awaits_hello(&self, len: usize) -> bool {
        self.inner.awaits_hello(len)
    }
}
