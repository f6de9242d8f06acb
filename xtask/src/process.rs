//! Running other programs.

use crate::Outcome;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The target folder of the root workspace.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us, at the root of the workspace.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Runs a command with our own output.
///
/// # Errors
/// It cannot be started, or does not end well; the message holds the command line.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let line = line_of(command);
    println!("    $ {line}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}").into())
    }
}

/// Runs a command whose output goes to standard error, where standard output is a report.
///
/// # Errors
/// It cannot be started, or does not end well; the message holds the command line.
pub(crate) fn run_quietly(command: &mut Command) -> Outcome {
    let line = line_of(command);
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}").into())
    }
}

/// Runs a command and gives back what it prints on standard output.
///
/// # Errors
/// It cannot be started, or does not end well; the message holds what it said.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let line = line_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("`{line}` failed: {}\n{said}", output.status).into())
    }
}

/// Whether a program of this name can be found on the path.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Whether this process may install Debian packages.
pub(crate) fn can_apt_install() -> bool {
    let id = read(Command::new("id").arg("-u"));
    id.is_ok_and(|id| id.trim() == "0") && on_path("apt-get")
}

/// Installs Debian packages.
///
/// # Errors
/// `apt-get` fails.
pub(crate) fn apt_install(packages: &[&str]) -> Outcome {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().args(["update", "-q"]))?;
    run(apt()
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages))
}

/// A command as one would type it, paths under the root shortened.
fn line_of(command: &Command) -> String {
    let root = root();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| {
            let path = Path::new(part);
            if path.is_absolute() && path.file_name().is_some_and(|name| name == "cargo") {
                return "cargo".to_owned();
            }
            path.strip_prefix(&root)
                .unwrap_or(path)
                .display()
                .to_string()
        })
        .collect::<Vec<_>>()
        .join(" ")
}
