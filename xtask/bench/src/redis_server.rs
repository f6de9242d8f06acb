//! A Redis that ends with the process that started it.

use crate::Failure;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// The process, once there is one: what it has used counts as the server's.
static PID: AtomicU32 = AtomicU32::new(0);

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A redis-server on a free port of the loopback interface, on the cores of this process, without persistence.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    child: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Result<Self, Failure> {
        // Free when it is asked for; whoever takes it in between makes the start fail, and the benchmark with it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // setpriv: it is killed when this process ends, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1"])
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("needs setpriv (util-linux) and redis-server: {error}"))?;
        PID.store(child.id(), Ordering::Relaxed);
        let mut server = Self { address, child };
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!(
                    "redis-server ended with {status}: `apt-get install redis-server`"
                )
                .into());
            }
            if start.elapsed() > PATIENCE {
                return Err("redis-server does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the Redis of this process has used, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    match PID.load(Ordering::Relaxed) {
        0 => 0,
        pid => tasks_ns(pid).unwrap_or(0),
    }
}

/// Of all its threads: the first number of each is the time that it ran.
fn tasks_ns(pid: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let ran = |task: std::fs::DirEntry| -> Option<u64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Some(tasks.filter_map(|task| ran(task.ok()?)).sum())
}
