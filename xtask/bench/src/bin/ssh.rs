//! Calls over SSH, beside the same calls over plain TCP.
//!
//! `tcp`: no SSH, the floor. `own`: Mynah's client of SSH to its server. `sshd`: its client to a real `sshd`, which runs a
//! worker on stdin and stdout. `system`: the system's `ssh` in the place of that client (`ssh+exec`), to the same `sshd` and
//! the same worker. Keys, and where `sshd` is, are in a folder that the harness makes.
//!
//! What `sshd`, `ssh` and the worker compute is in nobody's CPU time: they are no processes of the harness.

use mynah::Limits;
use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::ssh::{SshListener, SshServerOptions};
use mynah::tcp::TcpListener;
use mynah_bench::{
    Address, Bytes, Contender, Echo, Failure, Listening, Load, MAX_MESSAGE, Tally, TypedEcho,
    echo_tasks,
};
use std::path::PathBuf;
use std::process::ExitCode;

/// The folder of the harness: `host_key`, `user_key`, `authorized_keys`, `known_hosts` and `sshd`, which is `user@host:port`.
const FOLDER: &str = "MYNAH_BENCH_SSH";

#[mynah::service]
trait Echoing {
    async fn echo(&self, value: Echo) -> Echo;
    async fn blob(&self, payload: mynah::Bytes) -> mynah::Bytes;
}

struct Handler;

impl Echoing for Handler {
    async fn echo(&self, value: Echo) -> Echo {
        value
    }

    async fn blob(&self, payload: mynah::Bytes) -> mynah::Bytes {
        payload
    }
}

#[derive(Clone)]
struct Ssh {
    client: EchoingClient,
    _peer: Peer,
}

fn limits() -> Limits {
    Limits::default().with_max_message_bytes(MAX_MESSAGE)
}

fn server() -> Server {
    Server::new()
        .register(EchoingService::new(Handler))
        .limits(limits())
}

fn folder() -> Result<PathBuf, Failure> {
    let folder = std::env::var_os(FOLDER).ok_or_else(|| format!("{FOLDER} is not set"))?;
    Ok(folder.into())
}

/// Where the client of a variant connects to.
fn url(variant: &str, address: &Address) -> Result<String, Failure> {
    if variant == "tcp" {
        return Ok(address.to_string());
    }
    let folder = folder()?;
    let at = |name: &str| folder.join(name).display().to_string();
    let login = format!(
        "identity={}&known_hosts={}",
        at("user_key"),
        at("known_hosts")
    );
    let place = address.to_string();
    let place = place.strip_prefix("tcp://").unwrap_or(&place);
    if variant == "own" {
        return Ok(format!("ssh://mynah@{place}?subsystem=mynah&{login}"));
    }
    let sshd = std::fs::read_to_string(folder.join("sshd"))?;
    let program = std::env::current_exe()?.display().to_string();
    match variant {
        "sshd" => Ok(format!("ssh://{sshd}?command={program}&arg=worker&{login}")),
        "system" => Ok(format!(
            "ssh+exec://{sshd}/{program}?arg=worker&option=IdentitiesOnly=yes&option=IdentityFile={}&option=UserKnownHostsFile={}",
            at("user_key"),
            at("known_hosts"),
        )),
        other => Err(format!("there is no variant {other}").into()),
    }
}

impl Contender for Ssh {
    async fn serve(listener: Listening, variant: &str) -> Result<(), Failure> {
        let listener = listener.tcp()?;
        let _server = match variant {
            "tcp" => {
                let listener = TcpListener::from_bound(listener)?;
                server().listen_on(listener, Native::new()).start().await?
            }
            "own" => {
                let folder = folder()?;
                let options =
                    SshServerOptions::new(folder.join("authorized_keys"), folder.join("host_key"));
                let listener = SshListener::from_bound(listener, options).await?;
                server().listen_on(listener, Native::new()).start().await?
            }
            // Whoever answers is started by sshd.
            _ => return std::future::pending().await,
        };
        std::future::pending().await
    }

    async fn connect(address: Option<Address>, variant: &str) -> Result<Self, Failure> {
        let address = address.ok_or("ssh needs an address")?;
        let connector = mynah::connector(&url(variant, &address)?)?;
        let peer = connector.limits(limits()).connect().await?;
        Ok(Self {
            client: peer.client(),
            _peer: peer,
        })
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.client.blob(payload.into()).await?.into())
    }
}

impl TypedEcho for Ssh {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        Ok(self.client.echo(value).await?)
    }
}

/// Serves on stdin and stdout until they end.
fn work() -> Result<(), Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let server = server().listen("stdio:").start().await?;
        server.finished().await;
        Ok(())
    })
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("worker") {
        return mynah_bench::run::<Ssh>();
    }
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
