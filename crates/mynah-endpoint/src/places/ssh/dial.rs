//! The options of the side that dials.

use crate::endpoint::Url;
use crate::error::EndpointError;
use crate::percent;
use crate::places::authority::Authority;
use mynah_transport_ssh::{
    HostKeys, Identity, KeyExchange, Remote, RemoteCommand, SshAddress, SshDialer, SshOptions,
};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// What may be used on the other side.
pub(super) const USES: &str =
    "one of command=PROGRAM, shell=TEXT, subsystem=NAME and socket=/path is needed";

/// The options of the side that dials, without the use.
const OPTIONS: [&str; 9] = [
    "arg",
    "host_keys",
    "known_hosts",
    "host_key",
    "identity",
    "agent",
    "password_file",
    "banner",
    "strict_kex",
];

/// Takes the options of the side that dials; `None` when it does not say what is used there.
pub(super) fn take(
    url: &mut Url<'_>,
    authority: &Authority,
) -> Result<Option<SshDialer>, EndpointError> {
    let Some(remote) = take_use(url)? else {
        url.query.refuse(&OPTIONS, USES)?;
        return Ok(None);
    };
    let Some(user) = &authority.user else {
        return Err(url.wrong("ssh needs a user, ssh://user@host"));
    };
    let address =
        SshAddress::new(user, &authority.host).map_err(|error| url.wrong(error.to_string()))?;
    let address = match authority.port {
        Some(port) => address.port(port),
        None => address,
    };
    let mut dialer = SshDialer::new(address, remote).host_keys(take_host_keys(url)?);
    for identity in take_identities(url)? {
        dialer = dialer.identity(identity);
    }
    let mut options = SshOptions::default();
    let known = "banner is how many bytes are skipped before the command begins";
    if let Some(bytes) = url
        .query
        .take("banner", known, |value| value.parse().ok())?
    {
        options = options.with_skip_banner_bytes(bytes);
    }
    let words = [
        ("required", KeyExchange::Strict),
        ("optional", KeyExchange::Any),
    ];
    if let Some(exchange) = url.query.choose("strict_kex", &words)? {
        options = options.with_key_exchange(exchange);
    }
    Ok(Some(dialer.options(options)))
}

fn take_use(url: &mut Url<'_>) -> Result<Option<Remote>, EndpointError> {
    let known = "it is a text, where % and two hexadecimal digits are any byte";
    let mut uses = Vec::new();
    if let Some(program) = url.query.take("command", known, text)? {
        let arguments = url.query.take_all("arg", known, text)?;
        let command = RemoteCommand::new(program).args(arguments);
        uses.push(Remote::Command(command));
    }
    if let Some(line) = url.query.take("shell", known, text)? {
        uses.push(Remote::Command(RemoteCommand::shell(line)));
    }
    if let Some(name) = url.query.take("subsystem", known, text)? {
        uses.push(Remote::Subsystem(name));
    }
    if let Some(path) = url.query.take("socket", known, text)? {
        uses.push(Remote::Socket(path));
    }
    if uses.len() > 1 {
        return Err(url.wrong(USES));
    }
    Ok(uses.pop())
}

fn take_host_keys(url: &mut Url<'_>) -> Result<HostKeys, EndpointError> {
    let known = "host_key is a fingerprint, SHA256: and 43 characters";
    let pinned = url.query.take_all("host_key", known, text)?;
    if !pinned.is_empty() {
        let why = "with a host_key no other key is accepted";
        url.query.refuse(&["known_hosts", "host_keys"], why)?;
        return Ok(HostKeys::fingerprints(pinned));
    }
    let known = "known_hosts is a path, where % and two hexadecimal digits are any byte";
    let files = url.query.take_all("known_hosts", known, path)?;
    let keys = if files.is_empty() {
        HostKeys::known_hosts()
    } else {
        HostKeys::known_hosts_in(files)
    };
    let words = [("known", false), ("accept-new", true)];
    let new = url.query.choose("host_keys", &words)?;
    Ok(if new == Some(true) {
        keys.accept_new()
    } else {
        keys
    })
}

fn take_identities(url: &mut Url<'_>) -> Result<Vec<Identity>, EndpointError> {
    let known =
        "identity is the path of a private key, where % and two hexadecimal digits are any byte";
    let files = url.query.take_all("identity", known, path)?;
    let mut identities: Vec<_> = files.into_iter().map(Identity::file).collect();
    let known = "agent is yes, or the path of its socket";
    let agent = url.query.take("agent", known, |value| match value {
        "yes" => Some(Identity::agent()),
        value if value.starts_with('/') => path(value).map(Identity::agent_at),
        _ => None,
    })?;
    identities.extend(agent);
    let known = "password_file is a path, where % and two hexadecimal digits are any byte";
    let password = url.query.take("password_file", known, path)?;
    identities.extend(password.map(Identity::password_file));
    Ok(identities)
}

fn text(value: &str) -> Option<String> {
    let bytes = percent::decode(value)?;
    String::from_utf8(bytes).ok()
}

pub(super) fn path(value: &str) -> Option<PathBuf> {
    let bytes = percent::decode(value).filter(|bytes| !bytes.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}
