//! OpenSSH, which tests start.

use crate::{Outcome, process};
use std::path::Path;

/// The server's program. It starts itself again for each connection, and wants its whole path for that.
pub(crate) fn server() -> Option<&'static Path> {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
    places.map(Path::new).into_iter().find(|path| path.exists())
}

/// Sees that OpenSSH's server and tools are there, and installs them where that may be done.
///
/// # Errors
/// They are missing, and cannot be installed.
pub(crate) fn set_up() -> Outcome {
    let tools = ["ssh", "ssh-keygen", "ssh-agent", "ssh-add"];
    if server().is_some() && tools.iter().all(|tool| process::on_path(tool)) {
        return Ok(());
    }
    if process::can_apt_install() {
        return process::apt_install(&["openssh-server", "openssh-client"]);
    }
    let hint =
        "`sudo apt-get install -y openssh-server openssh-client` or what your system has for it";
    Err(format!("the tests of SSH need OpenSSH; run {hint}").into())
}
