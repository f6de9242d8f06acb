//! `ssh://user@host:port`.

mod dial;
mod listen;

use super::authority::Authority;

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::place::{Dialing, Listening, Place};
use listen::Listen;
use mynah_protocol::{TransportError, TransportErrorKind};
use mynah_transport_ssh::{SshDialer, SshListener};
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let (authority, path) = Authority::read(url)?;
    if !path.is_empty() {
        return Err(
            url.wrong("ssh has no path; what is used there is an option, such as command=PROGRAM")
        );
    }
    let listen = listen::take(url, &authority)?;
    let dialer = match listen {
        Some(_) => None,
        None => dial::take(url, &authority)?,
    };
    Ok(Box::new(Ssh {
        authority,
        dialer,
        listen,
    }))
}

/// A use of a host, or a service at an address.
#[derive(Debug)]
struct Ssh {
    authority: Authority,
    /// `None`: it does not say what is used there.
    dialer: Option<SshDialer>,
    /// `None`: it does not say whom to let in.
    listen: Option<Listen>,
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh://{}", self.authority)
    }
}

impl Place for Ssh {
    fn dial(&self) -> Result<Dialing, TransportError> {
        if self.listen.is_some() {
            let what = format!("{self} with authorized_keys can only be listened on");
            return Err(TransportError::new(TransportErrorKind::Address, what));
        }
        let Some(dialer) = &self.dialer else {
            let what = format!("{self} does not say what is used there: {}", dial::USES);
            return Err(TransportError::new(TransportErrorKind::Address, what));
        };
        Ok(Dialing::Bytes(erase::dialer(dialer.clone())))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let Some(Listen { address, options }) = self.listen.clone() else {
            let what = format!("{self} cannot be listened on: {}", listen::NEEDS);
            return Err(TransportError::new(TransportErrorKind::Address, what));
        };
        Ok(Listening::Bytes(Box::pin(async move {
            let listener = SshListener::bind(&address, options).await?;
            Ok(erase::listener(listener))
        })))
    }
}
