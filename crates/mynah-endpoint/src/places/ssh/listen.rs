//! The options of the side that is connected to.

use super::dial::path;
use crate::endpoint::Url;
use crate::error::EndpointError;
use crate::places::authority::Authority;
use mynah_transport_ssh::SshServerOptions;

/// What a listener cannot do without.
pub(super) const NEEDS: &str =
    "authorized_keys=/path says whom to let in, and host_key=/path who it is";

/// Where to listen, and how.
#[derive(Clone, Debug)]
pub(super) struct Listen {
    pub(super) address: String,
    pub(super) options: SshServerOptions,
}

/// Takes the options of the side that is connected to; `None` when it is not said whom to let in.
pub(super) fn take(
    url: &mut Url<'_>,
    authority: &Authority,
) -> Result<Option<Listen>, EndpointError> {
    let known = "authorized_keys is a path, where % and two hexadecimal digits are any byte";
    let Some(authorized) = url.query.take("authorized_keys", known, path)? else {
        let why = "it is for listening, which needs authorized_keys";
        let options = ["user", "max_unauthenticated", "connections_per_minute"];
        url.query.refuse(&options, why)?;
        return Ok(None);
    };
    if authority.user.is_some() {
        let what = "a listener has no user in its address; user=NAME says for whom keys are";
        return Err(url.wrong(what));
    }
    let Some(port) = authority.port else {
        return Err(url.wrong("a listener needs a port, ssh://host:port; 0 takes a free one"));
    };
    let known = "host_key is the path of a private key, which is made unless it exists";
    let mut keys = url.query.take_all("host_key", known, path)?.into_iter();
    let Some(key) = keys.next() else {
        return Err(url.wrong(NEEDS));
    };
    let mut options = SshServerOptions::new(authorized, key);
    for key in keys {
        options = options.with_host_key(key);
    }
    let known = "user is a name: letters, digits and any of ._-@+";
    let users = url.query.take_all("user", known, |name| {
        SshServerOptions::is_user(name).then(|| name.to_owned())
    })?;
    if !users.is_empty() {
        options = options.with_users(users);
    }
    let known = "max_unauthenticated is how many connections may be open before they are let in";
    let waiting = url.query.take("max_unauthenticated", known, |value| {
        value.parse().ok().filter(|most| *most > 0)
    })?;
    let most = options.max_authenticated;
    if let Some(waiting) = waiting {
        options = options.with_max_connections(waiting, most);
    }
    let known = "connections_per_minute is how many one address may open in a minute";
    let rate = url.query.take("connections_per_minute", known, |value| {
        value.parse().ok().filter(|most| *most > 0)
    })?;
    if let Some(rate) = rate {
        options = options.with_connections_per_minute(rate);
    }
    let host = &authority.host;
    let address = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    Ok(Some(Listen { address, options }))
}
