//! Whole calls between two peers, over whatever is between them.

mod bytes;
mod ends;
mod floods;
mod kinds;
mod raw;
mod service;
mod streams;

use crate::failure::{Because as _, Failure, Verdict, ensure};
use crate::transport::{AnyGroup, ByteEnd, EnvelopeEnd, LocalFuture};
use mynah_codec::{Dialect, Side};
use mynah_peer::{Peer, PeerBuilder, PeerStats, Router, Server, ServerHandle};
use mynah_protocol::{Evidence, Limits, Profile, Transport as _};
use raw::Raw;
use service::{Probe, Seen};
use std::sync::Arc;
use std::time::Duration;

/// The names of all cases, those over bytes alone aside.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let cases = kinds::CASES.iter().chain(streams::CASES);
    let cases = cases.chain(ends::CASES).chain(floods::CASES);
    cases.map(|case| case.name)
}

/// The names of the cases that cut bytes.
pub(crate) fn names_over_bytes() -> impl Iterator<Item = &'static str> {
    bytes::CASES.iter().map(|case| case.name)
}

/// Runs a case by its name.
pub(crate) async fn check(case: &str, joint: &Joint<'_>) -> Verdict {
    let cases = kinds::CASES.iter().chain(streams::CASES);
    let mut cases = cases
        .chain(ends::CASES)
        .chain(floods::CASES)
        .chain(bytes::CASES);
    let case = cases.find(|known| known.name == case);
    (case.because("there is no case of this name")?.run)(joint).await
}

/// A case and its name.
struct CallCase {
    name: &'static str,
    run: for<'a, 'b> fn(&'a Joint<'b>) -> LocalFuture<'a, Verdict>,
}

/// Makes a table of cases from async functions of the same module.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$($crate::calls::CallCase {
            name: stringify!($name),
            run: |joint| Box::pin($name(joint)),
        }),*]
    };
}
use cases;

type Open<'a> = Box<dyn Fn() -> LocalFuture<'a, Result<(Line, Line), Failure>> + 'a>;

/// What is between two peers: opens as many connections as a case needs.
pub(crate) struct Joint<'a> {
    open: Open<'a>,
    dialect: Option<&'a dyn Dialect>,
    group: Option<Arc<dyn AnyGroup>>,
}

/// One end of a connection, and what is spoken on it.
pub(crate) enum Line {
    Bytes(ByteEnd, Box<dyn Dialect>),
    Envelopes(EnvelopeEnd),
}

impl Line {
    fn profile(&self) -> Profile {
        match self {
            Self::Bytes(_, dialect) => {
                let wire = dialect.wire(Side::Dial, &Limits::DEFAULT);
                wire.profile().clone()
            }
            Self::Envelopes(end) => end.profile().clone(),
        }
    }

    fn peer(self, side: Side) -> PeerBuilder {
        let builder = match self {
            Self::Bytes(end, dialect) => {
                let evidence = end.evidence.clone();
                Peer::over(end, &dialect).evidence(evidence)
            }
            Self::Envelopes(end) => Peer::over_transport(end),
        };
        builder.side(side).default_deadline(None)
    }

    fn serve(self, server: Server) -> Server {
        match self {
            Self::Bytes(end, dialect) => {
                let evidence = end.evidence.clone();
                server.attach(end, dialect, evidence)
            }
            Self::Envelopes(end) => server.attach_transport(end),
        }
    }
}

/// Two peers, each with the probe's service.
struct Joined {
    near: Peer,
    far: Far,
    near_seen: Arc<Seen>,
    far_seen: Arc<Seen>,
    profile: Profile,
}

/// Who is called.
enum Far {
    /// A peer, which may call as well.
    One(Peer),
    /// Servers, of which any may be called.
    Group(Vec<ServerHandle>),
}

impl Far {
    fn is_idle(&self) -> bool {
        let idle = PeerStats::default();
        match self {
            Self::One(peer) => peer.stats() == idle,
            Self::Group(servers) => {
                let peers = servers.iter().flat_map(ServerHandle::peers);
                peers.into_iter().all(|peer| peer.stats() == idle)
            }
        }
    }
}

async fn join_group(
    group: &Arc<dyn AnyGroup>,
    near: &Limits,
    far: &Limits,
) -> Result<Joined, Failure> {
    let (near_seen, far_seen) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    let mut servers = Vec::new();
    for _ in 0..2 {
        let server = Server::new().router(router(&far_seen)).limits(far.clone());
        let server = group.serve(server).start().await;
        servers.push(server.because("start a server")?);
    }
    let line = Line::Envelopes(group.dial().await?);
    let profile = line.profile();
    let builder = line.peer(Side::Dial).router(router(&near_seen));
    let near = builder.limits(near.clone()).start();
    Ok(Joined {
        near: near.because("start a peer")?,
        far: Far::Group(servers),
        near_seen,
        far_seen,
        profile,
    })
}

impl<'a> Joint<'a> {
    pub(crate) fn over_bytes(
        open: impl Fn() -> LocalFuture<'a, Result<(ByteEnd, ByteEnd), Failure>> + 'a,
        dialect: &'a dyn Dialect,
    ) -> Self {
        let open = move || -> LocalFuture<'a, _> {
            let ends = open();
            Box::pin(async move {
                let (near, far) = ends.await?;
                Ok((
                    Line::Bytes(near, dialect.clone_box()),
                    Line::Bytes(far, dialect.clone_box()),
                ))
            })
        };
        Self {
            open: Box::new(open),
            dialect: Some(dialect),
            group: None,
        }
    }

    pub(crate) fn over_envelopes(
        open: impl Fn() -> LocalFuture<'a, Result<(EnvelopeEnd, EnvelopeEnd), Failure>> + 'a,
    ) -> Self {
        let open = move || -> LocalFuture<'a, _> {
            let ends = open();
            Box::pin(async move {
                let (near, far) = ends.await?;
                Ok((Line::Envelopes(near), Line::Envelopes(far)))
            })
        };
        Self {
            open: Box::new(open),
            dialect: None,
            group: None,
        }
    }

    /// Servers that serve as a group, and clients of theirs.
    pub(crate) fn over_group(group: Arc<dyn AnyGroup>) -> Self {
        let open = || -> LocalFuture<'a, _> {
            Box::pin(async { Err(Failure::new("a group has no two ends that are connected")) })
        };
        Self {
            open: Box::new(open),
            dialect: None,
            group: Some(group),
        }
    }

    /// What the servers of a group know of a client that has called each.
    pub(crate) async fn kinds_of_servers(&self) -> Result<Vec<Evidence>, Failure> {
        let joined = self.join().await?;
        let Far::Group(servers) = &joined.far else {
            return Ok(Vec::new());
        };
        let known = || servers.iter().all(|server| !server.peers().is_empty());
        for _ in 0..1_000 {
            if known() {
                break;
            }
            let call = service::echo(&joined.near, "who").await;
            call.because("a call")?;
        }
        ensure(known(), || "a server of the group gets no call".to_owned())?;
        let peers = servers.iter().flat_map(ServerHandle::peers);
        Ok(peers.map(|peer| peer.evidence().clone()).collect())
    }

    async fn join(&self) -> Result<Joined, Failure> {
        self.join_within(&Limits::DEFAULT, &Limits::DEFAULT).await
    }

    async fn join_within(&self, near: &Limits, far: &Limits) -> Result<Joined, Failure> {
        if let Some(group) = &self.group {
            return join_group(group, near, far).await;
        }
        let (near_line, far_line) = (self.open)().await?;
        let profile = near_line.profile();
        let (near_seen, far_seen) = (Arc::<Seen>::default(), Arc::<Seen>::default());
        let start = |line: Line, side, seen: &Arc<Seen>, limits: &Limits| {
            let builder = line.peer(side).router(router(seen)).limits(limits.clone());
            builder.start().because("start a peer")
        };
        Ok(Joined {
            far: Far::One(start(far_line, Side::Accept, &far_seen, far)?),
            near: start(near_line, Side::Dial, &near_seen, near)?,
            near_seen,
            far_seen,
            profile,
        })
    }

    /// A peer as the far side, and a near side that says what it likes.
    async fn join_raw(&self, limits: &Limits) -> Result<(Raw, Peer, Arc<Seen>), Failure> {
        let (near, far) = (self.open)().await?;
        let seen = Arc::<Seen>::default();
        let far = far.peer(Side::Accept).router(router(&seen));
        let far = far.limits(limits.clone()).start().because("start a peer")?;
        Ok((Raw::new(near, Side::Dial), far, seen))
    }

    /// A server as the far side.
    async fn serve(&self) -> Result<(Peer, ServerHandle, Arc<Seen>), Failure> {
        if let Some(group) = &self.group {
            let seen = Arc::<Seen>::default();
            let server = group.serve(Server::new().router(router(&seen)));
            let server = server.start().await.because("start a server")?;
            let near = Line::Envelopes(group.dial().await?).peer(Side::Dial);
            return Ok((near.start().because("start a peer")?, server, seen));
        }
        let (near, far) = (self.open)().await?;
        let seen = Arc::<Seen>::default();
        let server = far.serve(Server::new().router(router(&seen)));
        let server = server.start().await.because("start a server")?;
        let near = near.peer(Side::Dial).start().because("start a peer")?;
        Ok((near, server, seen))
    }
}

fn router(seen: &Arc<Seen>) -> Router {
    Router::new().register(Probe(Arc::clone(seen)))
}

impl Joined {
    /// The sides that call.
    fn callers(&self) -> Vec<(&'static str, &Peer)> {
        let mut callers = vec![("near", &self.near)];
        if let Far::One(far) = &self.far {
            callers.push(("far", far));
        }
        callers
    }

    /// Waits until nothing is in use on either side.
    async fn idle(&self) -> Result<(), Failure> {
        let idle = PeerStats::default();
        eventually(
            || self.near.stats() == idle && self.far.is_idle(),
            || {
                let near = self.near.stats();
                let far = match &self.far {
                    Far::One(peer) => vec![peer.stats()],
                    Far::Group(servers) => {
                        let peers = servers.iter().flat_map(ServerHandle::peers);
                        peers.map(|peer| peer.stats()).collect()
                    }
                };
                format!("something is still in use: near {near:?}, far {far:?}")
            },
        )
        .await?;
        self.far_seen.all_over().await?;
        self.near_seen.all_over().await
    }
}

/// Waits until something holds that nobody tells of.
async fn eventually(
    mut done: impl FnMut() -> bool,
    otherwise: impl Fn() -> String,
) -> Result<(), Failure> {
    // Turns at first, then time, which is virtual in some tests: half a minute in all.
    for round in 0..3_000_u32 {
        if done() {
            return Ok(());
        }
        if round < 100 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Err(Failure::new(otherwise()))
}
