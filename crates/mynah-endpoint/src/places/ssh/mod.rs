//! `ssh://user@host:port`.

mod dial;

use super::authority::Authority;

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::{TransportError, TransportErrorKind};
use mynah_transport_ssh::SshDialer;
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let (authority, path) = Authority::read(url)?;
    if !path.is_empty() {
        return Err(
            url.wrong("ssh has no path; what is used there is an option, such as command=PROGRAM")
        );
    }
    let dialer = dial::take(url, &authority)?;
    Ok(Box::new(Ssh { authority, dialer }))
}

/// A use of a host.
#[derive(Debug)]
struct Ssh {
    authority: Authority,
    /// `None`: it does not say what is used there.
    dialer: Option<SshDialer>,
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh://{}", self.authority)
    }
}

impl Place for Ssh {
    fn dial(&self) -> Result<Dialing, TransportError> {
        let Some(dialer) = &self.dialer else {
            let what = format!("{self} does not say what is used there: {}", dial::USES);
            return Err(TransportError::new(TransportErrorKind::Address, what));
        };
        Ok(Dialing::Bytes(erase::dialer(dialer.clone())))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let what = format!("{self} can only be dialled");
        Err(TransportError::new(TransportErrorKind::Address, what))
    }
}
