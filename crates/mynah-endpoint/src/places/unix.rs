//! `unix:/path` and `unix:@name`.

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::TransportError;
use mynah_transport_unix::{AllowedPeers, UnixAddress, UnixDialer, UnixListener, UnixOptions};
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let address = format!("unix:{}", url.address).parse::<UnixAddress>();
    let address = address.map_err(|error| url.wrong(error.to_string()))?;
    let mut options = UnixOptions::default();
    if matches!(address, UnixAddress::Abstract(_)) {
        let why = "an abstract name has no file, and so no mode; choose peers instead";
        url.query.refuse(&["mode"], why)?;
    } else {
        let known = "mode is the permission bits of the socket file in octal, such as 0660";
        let mode = url.query.take("mode", known, read_mode)?;
        options.mode = mode.unwrap_or(options.mode);
    }
    options.peers = take_peers(url)?;
    Ok(Box::new(Unix { address, options }))
}

/// Whose connections are taken.
pub(super) fn take_peers(url: &mut Url<'_>) -> Result<Option<AllowedPeers>, EndpointError> {
    let known = "peers are any, same-user, or the numbers of users, such as 0,1000";
    url.query.take("peers", known, |value| match value {
        "any" => Some(AllowedPeers::Any),
        "same-user" => Some(AllowedPeers::SameUser),
        users => {
            let users: Result<_, _> = users.split(',').map(str::parse).collect();
            users.ok().map(AllowedPeers::Users)
        }
    })
}

fn read_mode(text: &str) -> Option<u32> {
    let octal = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok()?;
    (octal && mode <= 0o777).then_some(mode)
}

#[derive(Debug)]
struct Unix {
    address: UnixAddress,
    options: UnixOptions,
}

impl fmt::Display for Unix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Place for Unix {
    fn dial(&self) -> Result<Dialing, TransportError> {
        let dialer = UnixDialer::new(self.address.clone()).options(self.options.clone());
        Ok(Dialing::Bytes(erase::dialer(dialer)))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let Self { address, options } = self;
        let (address, options) = (address.clone(), options.clone());
        Ok(Listening::Bytes(Box::pin(async move {
            let listener = UnixListener::bind_with(address, &options)?;
            Ok(erase::listener(listener))
        })))
    }
}
