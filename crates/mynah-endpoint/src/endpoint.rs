//! URLs that name an endpoint.

use crate::dialects;
use crate::error::EndpointError;
use crate::hide;
use crate::limits::LimitChanges;
use crate::place::Place;
use crate::places::{SCHEMES, Scheme};
use crate::query::Query;
use mynah_codec::Dialect;
use std::str::FromStr;

/// Where, what is spoken there, and within which limits.
///
/// | URL | where |
/// |---|---|
/// | `tcp://host:port` | TCP; a listener takes a free port for port 0 |
/// | `unix:/path`, `unix:@name` | a Unix socket: a file, or an abstract name of Linux. A `%` is written `%25`, a `?` `%3F` |
/// | `systemd:`, `systemd:NAME` | a TCP or Unix socket that was passed to this process, the next one or the next of that name; to listen on only |
/// | `stdio:` | stdin and stdout of this process, once; what it prints goes to stderr from then on |
/// | `stdio:PROGRAM` | a child process that each connection starts, to be dialled only; a name without a slash is looked for in `PATH`. No shell reads it |
/// | `ssh://user@host:port` | what an SSH server gives: a command, a subsystem, a socket; to listen on, with `authorized_keys`, a service over SSH |
/// | `ssh+exec://user@host:port/PROGRAM` | the same by the system's `ssh`, a child process that each connection starts |
/// | `redis://user:password@host:port/db` | a fleet on Redis Streams: everybody who serves there, or a place among them. `rediss://` with TLS, `redis+unix:///path` for a Unix socket |
/// | `memory:NAME` | a server of this process; there is no wire, so there are no options |
///
/// | option | values | what it chooses |
/// |---|---|---|
/// | `dialect` | `native`, `cbor-rpc`, `jsonrpc`, `kollabor` | the wire; native unless it is given |
/// | `format` | `cbor`, `json`, `messagepack` | how it is spelled; CBOR unless it is given. cbor-rpc has no MessagePack, jsonrpc and kollabor are JSON |
/// | `padding` | `newline`, `python` | cbor-rpc in JSON: what stands behind a message; a newline unless it is given |
/// | `names` | `method`, `qualified` | cbor-rpc: whether calls name their service too, `service.method`; the method alone unless it is given |
/// | `errors` | `text`, `rich` | cbor-rpc: whether errors go out as maps of code, message and data; texts unless it is given |
/// | `profile` | `standard`, `clamator` | jsonrpc: the specification, or the rules of clamator; standard unless it is given |
/// | `params` | `positional`, `named` | jsonrpc: how calls give their params; by position unless it is given. clamator knows names only |
/// | `max_sent_bytes` | bytes, such as `64KiB` | kollabor: the longest line that is sent; what the limits let a message have unless it is given |
/// | `mode` | octal, such as `0660` | unix, listening on a path: who may connect; 0600, the owner alone, unless it is given |
/// | `peers` | `any`, `same-user`, numbers of users | unix, systemd: who may be on the other side; anybody who can open the file, or for an abstract name this user and root, unless it is given |
/// | `command`, `shell`, `subsystem`, `socket` | text | ssh: the program, the line for a shell, the subsystem or the path of a socket there; exactly one. ssh+exec: `shell` and `subsystem`, in place of a program |
/// | `known_hosts`, `host_keys`, `host_key` | paths; `known`, `accept-new`; fingerprints | ssh: which host keys are accepted; those of the user's and the system's known hosts unless it is given |
/// | `strict_kex` | `required`, `optional` | ssh: whether the key exchange has to be strict; it has unless it is given |
/// | `identity`, `agent`, `password_file` | paths of private keys; `yes` or the path of a socket; a path | ssh: what proves the user; the agent and the usual files unless it is given |
/// | `authorized_keys`, `host_key` | paths | ssh, listening: whom to let in, and the private keys of the server, which are made unless they exist; both are needed |
/// | `user` | names, any number of times | ssh, listening: the users that keys are for which name none themselves; `mynah` unless it is given |
/// | `max_unauthenticated` | a number | ssh, listening: how many connections may be open before they are let in; 64 unless it is given |
/// | `banner` | bytes | ssh: how many bytes are skipped before the command begins; none unless it is given |
/// | `option`, `prompts`, `program` | `NAME=VALUE`, any number of times; `yes`, `no`; a path | ssh+exec: options of `ssh`, whether it may ask for passwords in the terminal, and what is run in its place |
/// | `arg` | text, any number of times | `stdio:PROGRAM`, ssh with `command`, `ssh+exec`: its arguments, in order |
/// | `env` | `NAME=VALUE`, any number of times | `stdio:PROGRAM`: variables added to its environment |
/// | `cwd` | a path | `stdio:PROGRAM`: its working directory; that of this process unless it is given |
/// | `stderr` | `lines`, `inherit`, `null` | `stdio:PROGRAM`: whether what it writes to stderr is heard as its log, goes to the stderr of this process, or nowhere; it is heard unless it is given |
/// | `prefix` | text | redis: what the names of all keys begin with; `mynah` unless it is given |
/// | `instance` | text | redis: the name of this client or server among the others; a new one unless it is given |
/// | `format` | `json`, `cbor`, `messagepack` | redis: the format of a client's calls, and of the messages that a server publishes; JSON unless it is given. Servers answer in that of the call |
/// | `calls` | `group`, `sessions` | redis, dialling: whether calls without streams and callbacks are for whoever takes them, or each is with one server that may call back; for the group unless it is given |
/// | `concurrency` | a number | redis, listening: how many calls of one service run at once; 64 unless it is given |
/// | `serial` | a service, any number of times | redis, listening: its calls run one after the other |
/// | `claim_idle` | a time, such as `60s` | redis, listening: how long an entry may lie untouched before another server takes it over |
/// | `max_deliveries` | a number | redis, listening: how often an entry is delivered before it is a dead letter; 8 unless it is given |
/// | `reply_ttl`, `block`, `early_calls`, `response_timeout`, `connect_timeout` | times | redis: the fields of `RedisOptions` |
/// | `db` | a number | redis: the database, for `redis+unix:` |
/// | `topology` | `single`, `cluster`, `sentinel` | redis: what the URL leads to: a server, a node of a cluster, or a sentinel |
/// | `node` | `host:port`, any number of times | redis: further nodes or sentinels |
/// | `primary` | text | redis: the name under which sentinels know the primary; `mymaster` unless it is given |
/// | `ca` | a path | rediss: a file with the certificates to trust, as PEM; those of the system unless it is given |
/// | a field of [`Limits`](mynah_protocol::Limits), such as `max_message_bytes` | [`LimitChanges`] | that limit, whatever the program or the dialect says |
///
/// An option that is unknown, is given twice, or is of a dialect that was not chosen is an error. In a `PROGRAM`, `arg`, `env`
/// and `cwd`, `%26` is `&`, `%3F` is `?`, `%25` is `%`, and so on for any byte; a `+` is a plus.
#[derive(Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// Where.
    pub place: Box<dyn Place>,
    /// What is spoken: the native dialect in CBOR unless the URL says otherwise. Of no account in process.
    pub dialect: Box<dyn Dialect>,
    /// What the URL says about limits.
    pub limits: LimitChanges,
}

/// A URL, in parts.
pub(crate) struct Url<'u> {
    /// All of it.
    pub(crate) text: &'u str,
    /// What stands between the scheme's colon and the query.
    pub(crate) address: &'u str,
    pub(crate) query: Query<'u>,
}

impl Url<'_> {
    pub(crate) fn wrong(&self, what: impl Into<String>) -> EndpointError {
        EndpointError::Address {
            url: hide::url(self.text),
            what: what.into(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, address) = find(place).ok_or_else(|| EndpointError::Scheme {
            url: hide::url(text),
            known: known(),
        })?;
        let read = scheme.read.ok_or_else(|| EndpointError::Feature {
            url: hide::url(text),
            scheme: scheme.name,
            feature: scheme.feature,
        })?;
        let mut url = Url {
            text,
            address,
            query: Query::read(text, query),
        };
        let place = read(&mut url)?;
        let Url { mut query, .. } = url;
        if scheme.wire {
            let dialect = dialects::read(&mut query)?;
            let limits = LimitChanges::read(&mut query)?;
            query.finish()?;
            return Ok(Self {
                place,
                dialect,
                limits,
            });
        }
        query.finish()?;
        Ok(Self {
            place,
            dialect: Box::new(mynah_codec::dialect::native::Native::new()),
            limits: LimitChanges::default(),
        })
    }
}

fn find(place: &str) -> Option<(&'static Scheme, &str)> {
    let (name, address) = place.split_once(':')?;
    let scheme = SCHEMES.iter().find(|scheme| scheme.name == name)?;
    Some((scheme, address))
}

/// How the URLs of this program look.
fn known() -> String {
    let there = SCHEMES.iter().filter(|scheme| scheme.read.is_some());
    let forms: Vec<&str> = there.map(|scheme| scheme.form).collect();
    forms.join(", ")
}
