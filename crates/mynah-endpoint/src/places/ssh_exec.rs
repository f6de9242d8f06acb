//! `ssh+exec://user@host/PROGRAM`: the system's `ssh` as a child process.
//!
//! It reads the user's configuration, so whatever works in a terminal works here: jump hosts, names of one's own,
//! hardware keys, control sockets. Its stderr and its exit are those of a child; `ssh` exits with the status of the
//! remote command, or with 255 when it is `ssh` that failed.

use super::authority::Authority;
use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::percent;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::{TransportError, TransportErrorKind, shell_word};
use mynah_transport_stdio::{ProcessGroup, Program, StderrMode};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

const USES: &str = "one of //host/PROGRAM, shell=TEXT and subsystem=NAME is needed";

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let (authority, path) = Authority::read(url)?;
    let known = "it is a text, where % and two hexadecimal digits are any byte";
    let mut commands = Vec::new();
    if !path.is_empty() {
        let program = text(path)
            .ok_or_else(|| url.wrong("a % needs two hexadecimal digits; a % itself is %25"))?;
        let arguments = url.query.take_all("arg", known, text)?;
        let words: Vec<_> = [program]
            .iter()
            .chain(&arguments)
            .map(|word| shell_word(word))
            .collect();
        commands.push((words.join(" "), false));
    }
    if let Some(line) = url.query.take("shell", known, text)? {
        commands.push((line, false));
    }
    if let Some(name) = url.query.take("subsystem", known, text)? {
        commands.push((name, true));
    }
    let (Some((command, subsystem)), true) = (commands.pop(), commands.is_empty()) else {
        return Err(url.wrong(USES));
    };
    if command.trim().is_empty() || command.contains('\0') {
        return Err(url.wrong(USES));
    }
    let options = take_options(url, &authority)?;
    let mut program = Program::new(take_program(url)?).args(["-T", "-x", "-e", "none"]);
    // Somebody who has the agent is that user everywhere: it is forwarded to whom a URL names, and not because some
    // configuration does so for terminals.
    if !options.iter().any(|option| is(option, "ForwardAgent")) {
        program = program.arg("-a");
    }
    program = program.args(["-o", "ClearAllForwardings=yes"]);
    let words = [("yes", true), ("no", false)];
    program = if url.query.choose("prompts", &words)? == Some(true) {
        // In the terminal's foreground, or it would be stopped where it asks.
        program.process_group(ProcessGroup::Shared)
    } else {
        program.args(["-o", "BatchMode=yes"])
    };
    if let Some(port) = authority.port {
        program = program.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &authority.user {
        program = program.arg("-l").arg(user);
    }
    if subsystem {
        program = program.arg("-s");
    }
    for option in options {
        program = program.arg("-o").arg(option);
    }
    let words = [
        ("lines", StderrMode::Lines),
        ("inherit", StderrMode::Inherit),
        ("null", StderrMode::Null),
    ];
    if let Some(mode) = url.query.choose("stderr", &words)? {
        program = program.stderr(mode);
    }
    // Behind this nothing is an option, neither the host nor the command.
    program = program.arg("--").arg(&authority.host).arg(command);
    Ok(Box::new(SshExec { authority, program }))
}

/// The options of ssh_config(5) that the URL names.
fn take_options(url: &mut Url<'_>, authority: &Authority) -> Result<Vec<String>, EndpointError> {
    let options = url.query.take_all(
        "option",
        "option is NAME=VALUE, as in ssh_config(5)",
        |value| {
            let (name, _) = value.split_once('=')?;
            let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            text(value).filter(|value| word && !value.chars().any(char::is_control))
        },
    )?;
    for option in &options {
        if let Some(why) = said_otherwise(option, authority) {
            let name = option.split('=').next().unwrap_or_default();
            return Err(url.wrong(format!("option={name} has no effect: {why}")));
        }
    }
    Ok(options)
}

/// Why an option could say nothing: `ssh` takes the first word on each, and that is said before it.
fn said_otherwise(option: &str, authority: &Authority) -> Option<&'static str> {
    const TERMINAL: &str = "there is no terminal";
    const FORWARDS: &str = "no ports, sockets or displays are forwarded";
    let words = [
        ("BatchMode", true, "prompts=yes says it"),
        ("RequestTTY", true, TERMINAL),
        ("EscapeChar", true, TERMINAL),
        ("ClearAllForwardings", true, FORWARDS),
        ("LocalForward", true, FORWARDS),
        ("RemoteForward", true, FORWARDS),
        ("DynamicForward", true, FORWARDS),
        ("ForwardX11", true, FORWARDS),
        ("ForwardX11Trusted", true, FORWARDS),
        ("ForwardX11Timeout", true, FORWARDS),
        ("Port", authority.port.is_some(), "the address has a port"),
        ("User", authority.user.is_some(), "the address has a user"),
    ];
    let said = words
        .iter()
        .find(|(name, said, _)| *said && is(option, name));
    said.map(|(_, _, why)| *why)
}

/// Whether an option has that name; `ssh` does not mind its case.
fn is(option: &str, name: &str) -> bool {
    let said = option.split('=').next().unwrap_or_default();
    said.eq_ignore_ascii_case(name)
}

/// The program to run: `ssh`, or another one that takes the same arguments.
fn take_program(url: &mut Url<'_>) -> Result<OsString, EndpointError> {
    let known = "program is a path, where % and two hexadecimal digits are any byte";
    let program = url.query.take("program", known, |value| {
        let bytes = percent::decode(value).filter(|bytes| !bytes.is_empty())?;
        Some(OsString::from_vec(bytes))
    })?;
    Ok(program.unwrap_or_else(|| OsString::from("ssh")))
}

fn text(value: &str) -> Option<String> {
    let bytes = percent::decode(value)?;
    String::from_utf8(bytes).ok()
}

/// A command on a host, by the system's `ssh`.
#[derive(Debug)]
struct SshExec {
    authority: Authority,
    program: Program,
}

impl fmt::Display for SshExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh+exec://{}", self.authority)
    }
}

impl Place for SshExec {
    fn dial(&self) -> Result<Dialing, TransportError> {
        Ok(Dialing::Bytes(erase::dialer(self.program.clone())))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let what = format!("{self} can only be dialled");
        Err(TransportError::new(TransportErrorKind::Address, what))
    }
}
