//! Carriers with a group of servers behind one address: a broker.

use super::EnvelopeEnd;
use super::ends::BoxFuture;
use crate::calls::{self, Joint};
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use mynah_peer::Server;
use mynah_protocol::{Dialer, Evidence, EvidenceKey, Listener, Transport, TransportError};
use std::fmt;
use std::sync::Arc;

/// Where servers and clients of a case meet. It stays until all of them are gone.
pub trait Group: Send + Sync + 'static {
    /// A server's side.
    type Listener: Listener<Connection: Transport>;
    /// A client's side.
    type Dialer: Dialer<Connection: Transport>;

    /// One more server. It publishes what its program broadcasts.
    fn listener(
        &self,
    ) -> impl Future<Output = Result<Self::Listener, TransportError>> + Send + 'static;

    /// One more client.
    ///
    /// # Errors
    /// [`TransportError`] when it cannot be configured.
    fn dialer(&self) -> Result<Self::Dialer, TransportError>;
}

/// The same, whatever its types.
pub(crate) trait AnyGroup: Send + Sync {
    fn serve(&self, server: Server) -> Server;
    fn dial(&self) -> BoxFuture<'static, Result<EnvelopeEnd, TransportError>>;
}

impl<G: Group> AnyGroup for G {
    fn serve(&self, server: Server) -> Server {
        server.listen_transport_within(self.listener(), std::convert::identity)
    }

    fn dial(&self) -> BoxFuture<'static, Result<EnvelopeEnd, TransportError>> {
        let dialer = self.dialer();
        Box::pin(async move { Ok(super::envelope_end(dialer?.dial().await?)) })
    }
}

type Open = dyn Fn() -> BoxFuture<'static, Result<Arc<dyn AnyGroup>, TransportError>> + Send + Sync;

/// A carrier with a group of servers behind it, and how the suite gets a place of its own for each case.
///
/// There are no two ends that are connected, so the suite tries what a client and several servers of it see: whole calls
/// above all. Cases that ask for more do not apply, and the report says why.
pub struct GroupTransport {
    name: &'static str,
    open: Box<Open>,
}

impl fmt::Debug for GroupTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupTransport").field(&self.name).finish()
    }
}

/// Cases that look at a place by itself.
const CASES: &[GroupCase] = &[
    GroupCase {
        name: "evidence",
        run: |group| Box::pin(evidence(group)),
    },
    GroupCase {
        name: "address",
        run: |group| Box::pin(address(group)),
    },
];

struct GroupCase {
    name: &'static str,
    run: for<'a> fn(&'a Arc<dyn AnyGroup>) -> super::LocalFuture<'a, Verdict>,
}

const NO_ENDS: &str = "there are no two ends: what a client says is for whoever takes it";
const NO_LINE: &str = "there is no connection to lose: who is gone is known by silence, for which the carrier has tests of its own";
const NO_FLOOD: &str = "a server fetches what it may begin, so nobody can send it more";

/// Cases of transports and of calls that do not apply, and why.
const MOOT: &[(&str, &str)] = &[
    ("order", NO_ENDS),
    ("silence", NO_ENDS),
    ("every_kind", NO_ENDS),
    ("large_messages", NO_ENDS),
    ("slow_both_write_64_mib", NO_ENDS),
    ("back_pressure", NO_ENDS),
    ("half_close", NO_ENDS),
    ("tail", NO_ENDS),
    ("vanishing_peer", NO_ENDS),
    ("dial_before_accept", NO_ENDS),
    ("accept_dropped", NO_ENDS),
    ("dial_dropped", NO_ENDS),
    ("many_dials", NO_ENDS),
    ("nobody_listens", NO_ENDS),
];
const MOOT_CALLS: &[(&str, &str)] = &[
    ("vanishing_caller", NO_LINE),
    ("vanishing_callee", NO_LINE),
    ("f1_calls_and_cancels", NO_FLOOD),
    ("f2_nonsense", NO_FLOOD),
    ("f3_burst", NO_FLOOD),
];

impl GroupTransport {
    /// A carrier of groups. Each case asks for a place where nobody else is.
    pub fn new<G, F>(name: &'static str, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        G: Group,
        F: Future<Output = Result<G, TransportError>> + Send + 'static,
    {
        let open = move || -> BoxFuture<'static, _> {
            let group = open();
            Box::pin(async move { Ok(Arc::new(group.await?) as Arc<dyn AnyGroup>) })
        };
        Self {
            name,
            open: Box::new(open),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The names of the cases that look at a place by itself.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        CASES.iter().map(|case| case.name)
    }

    /// The names of the cases that look at calls.
    pub fn cases_of_calls() -> impl Iterator<Item = &'static str> {
        calls::names().filter(|case| !MOOT_CALLS.iter().any(|(moot, _)| moot == case))
    }

    /// Cases of other carriers that do not apply here, and why.
    pub fn moot() -> impl Iterator<Item = (&'static str, &'static str)> {
        MOOT.iter().copied()
    }

    /// The same of calls.
    pub fn moot_calls() -> impl Iterator<Item = (&'static str, &'static str)> {
        MOOT_CALLS.iter().copied()
    }

    pub(crate) async fn place(&self) -> Result<Arc<dyn AnyGroup>, Failure> {
        Ok((self.open)().await?)
    }

    /// Runs a case by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check(&self, case: &str) -> Result<Shown, Failure> {
        check(&self.place().await?, case).await
    }

    /// Runs a case that looks at calls by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check_calls(&self, case: &str) -> Result<Shown, Failure> {
        check_calls(&self.place().await?, case).await
    }
}

pub(crate) async fn check(group: &Arc<dyn AnyGroup>, case: &str) -> Verdict {
    let case = CASES.iter().find(|known| known.name == case);
    (case.because("there is no case of this name")?.run)(group).await
}

pub(crate) async fn check_calls(group: &Arc<dyn AnyGroup>, case: &str) -> Verdict {
    calls::check(case, &Joint::over_group(Arc::clone(group))).await
}

/// The kind of a transport, as its evidence has it.
fn kind_of(evidence: &Evidence) -> Option<String> {
    let kind = evidence.text(EvidenceKey::TRANSPORT)?;
    (!kind.is_empty()).then(|| kind.to_owned())
}

/// Clients and servers know by what they are connected.
async fn evidence(group: &Arc<dyn AnyGroup>) -> Verdict {
    let client = group.dial().await?;
    let near = kind_of(&client.evidence);
    ensure(near.is_some(), || {
        "a client does not know by what it is connected".to_owned()
    })?;
    let joint = Joint::over_group(Arc::clone(group));
    let far = joint.kinds_of_servers().await?;
    for evidence in &far {
        let far = kind_of(evidence);
        ensure(far == near, || {
            format!("a server says that it is {far:?} by which a client is {near:?}")
        })?;
    }
    ensure(!far.is_empty(), || "no server knows its client".to_owned())?;
    Ok(Shown::Holds)
}

/// A server says where it is, in words that name its transport.
async fn address(group: &Arc<dyn AnyGroup>) -> Verdict {
    let client = group.dial().await?;
    let kind = kind_of(&client.evidence);
    let kind = kind.because("a client has no evidence of its transport")?;
    let server = group.serve(Server::new()).start().await;
    let server = server.because("start a server")?;
    let address = server.addresses().first().cloned().unwrap_or_default();
    let behind = address.strip_prefix(&*kind);
    ensure(
        behind.is_some_and(|behind| behind.len() > 1 && behind.starts_with(':')),
        || format!("\"{address}\" is no address of {kind}: it begins with {kind}: and goes on"),
    )?;
    ensure(!address.chars().any(char::is_control), || {
        format!("{address:?} has control characters")
    })?;
    Ok(Shown::Holds)
}
