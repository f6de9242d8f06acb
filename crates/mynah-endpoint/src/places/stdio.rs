//! `stdio:` and `stdio:PROGRAM`.

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::percent;
use crate::place::{Dialing, Listening, Place};
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, TransportError, TransportErrorKind};
use mynah_transport_stdio::{OwnStdio, OwnStdioListener, Program, StderrMode};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

/// The options of a program.
const OPTIONS: [&str; 4] = ["arg", "env", "cwd", "stderr"];

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    if url.address.is_empty() {
        let why = "stdio: is this process's own stdin and stdout; a program is stdio:PROGRAM";
        url.query.refuse(&OPTIONS, why)?;
        return Ok(Box::new(Own));
    }
    let name = percent::decode(url.address)
        .ok_or_else(|| url.wrong("a % needs two hexadecimal digits; a % itself is %25"))?;
    let query = &mut url.query;
    let mut program = Program::new(OsString::from_vec(name.clone()));
    let known = "arg is a text, where % and two hexadecimal digits are any byte";
    program = program.args(query.take_all("arg", known, text)?);
    let known = "env is NAME=VALUE, where % and two hexadecimal digits are any byte";
    let variables = query.take_all("env", known, |value| {
        let (name, value) = value.split_once('=')?;
        let name = text(name).filter(|name| !name.is_empty())?;
        Some((name, text(value)?))
    })?;
    for (name, value) in variables {
        program = program.env(name, value);
    }
    let known = "cwd is a path, where % and two hexadecimal digits are any byte";
    let directory = query.take("cwd", known, |value| {
        text(value).filter(|path| !path.is_empty())
    })?;
    if let Some(directory) = directory {
        program = program.current_dir(directory);
    }
    let words = [
        ("lines", StderrMode::Lines),
        ("inherit", StderrMode::Inherit),
        ("null", StderrMode::Null),
    ];
    if let Some(mode) = query.choose("stderr", &words)? {
        program = program.stderr(mode);
    }
    Ok(Box::new(Child { name, program }))
}

fn text(value: &str) -> Option<OsString> {
    percent::decode(value).map(OsString::from_vec)
}

fn only(what: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Address, what)
}

/// Stdin and stdout of this process.
#[derive(Debug)]
struct Own;

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdio:")
    }
}

impl Place for Own {
    fn dial(&self) -> Result<Dialing, TransportError> {
        Ok(Dialing::Bytes(erase::dialer(OwnDialer)))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        Ok(Listening::Bytes(Box::pin(async {
            let listener = OwnStdioListener::bind()?;
            Ok(erase::listener(listener))
        })))
    }

    fn again(&self) -> Result<(), TransportError> {
        Err(only(
            "stdio: is there once in the life of a process: connect without reconnect",
        ))
    }
}

/// For a worker that takes the part of the side that dials.
struct OwnDialer;

#[async_trait]
impl Dialer for OwnDialer {
    type Connection = OwnStdio;

    async fn dial(&self) -> Result<Accepted<OwnStdio>, TransportError> {
        OwnStdio::take()
    }
}

/// A child process.
#[derive(Debug)]
struct Child {
    name: Vec<u8>,
    program: Program,
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stdio:{}", percent::encode(&self.name))
    }
}

impl Place for Child {
    fn dial(&self) -> Result<Dialing, TransportError> {
        Ok(Dialing::Bytes(erase::dialer(self.program.clone())))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        Err(only(
            "a program can only be started: connect to stdio:PROGRAM, listen on stdio:",
        ))
    }
}
