//! OpenSSH, which tests start.

use crate::{Outcome, process};
use std::path::Path;

/// Sees that OpenSSH's server and tools are there, and installs them where that may be done.
///
/// # Errors
/// They are missing, and cannot be installed.
pub(crate) fn set_up() -> Outcome {
    let server = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
    let tools = ["ssh", "ssh-keygen", "ssh-agent", "ssh-add"];
    let there = server.iter().any(|path| Path::new(path).exists());
    if there && tools.iter().all(|tool| process::on_path(tool)) {
        return Ok(());
    }
    if process::can_apt_install() {
        return process::apt_install(&["openssh-server", "openssh-client"]);
    }
    let hint =
        "`sudo apt-get install -y openssh-server openssh-client` or what your system has for it";
    Err(format!("the tests of SSH need OpenSSH; run {hint}").into())
}
