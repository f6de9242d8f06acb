//! The redis-server that contenders of the transport `redis` meet at, and what they ask of it.

use crate::Outcome;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long it may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Distinguishes the folders of one run.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A redis-server on a Unix socket, that keeps nothing; ended when this is dropped.
pub(crate) struct Redis {
    child: Child,
    folder: PathBuf,
}

/// What was asked of it until now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// Commands by name.
    pub(crate) commands: BTreeMap<String, f64>,
    /// How often it read from a connection: commands that came in one write are one.
    pub(crate) reads: f64,
    /// Nanoseconds that it ran.
    pub(crate) cpu_ns: f64,
}

impl Redis {
    /// Starts one, on this core where one is given, and waits until it answers.
    ///
    /// # Errors
    /// It is missing, or does not answer.
    pub(crate) fn start(core: Option<&str>) -> Outcome<Self> {
        crate::redis::require_quietly()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mynah-bench-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        let mut command = match core {
            None => Command::new("redis-server"),
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", core, "redis-server"]);
                command
            }
        };
        let child = command
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&folder)
            .arg("--unixsocket")
            .arg(folder.join("socket"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start redis-server: {error}"))?;
        let redis = Self { child, folder };
        let begun = Instant::now();
        while let Err(error) = redis.info("server") {
            if begun.elapsed() > PATIENCE {
                return Err(format!("redis-server does not answer: {error}").into());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(redis)
    }

    /// Where it is, as the contenders are told.
    pub(crate) fn address(&self) -> String {
        format!("redis+unix://{}", self.folder.join("socket").display())
    }

    /// What was asked of it until now.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn asked(&self) -> Outcome<Asked> {
        let mut asked = Asked::default();
        for line in self.info("commandstats")?.lines() {
            let Some((name, rest)) = line
                .strip_prefix("cmdstat_")
                .and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let calls = rest.split(',').find_map(|part| part.strip_prefix("calls="));
            if let Some(calls) = calls.and_then(|calls| calls.parse().ok()) {
                asked.commands.insert(name.to_owned(), calls);
            }
        }
        let number = |info: &str, name: &str| -> f64 {
            let mut lines = info.lines();
            let value = lines.find_map(|line| line.strip_prefix(name));
            value
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or_default()
        };
        asked.reads = number(&self.info("stats")?, "total_reads_processed:");
        let cpu = self.info("cpu")?;
        let seconds = number(&cpu, "used_cpu_sys:") + number(&cpu, "used_cpu_user:");
        asked.cpu_ns = seconds * 1e9;
        Ok(asked)
    }

    /// Connections that are open, ours left out.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn connections(&self) -> Outcome<f64> {
        let info = self.info("clients")?;
        let mut lines = info.lines();
        let count = lines.find_map(|line| line.strip_prefix("connected_clients:"));
        let count: f64 = count.ok_or("redis counts no clients")?.trim().parse()?;
        Ok(count - 1.0)
    }

    fn info(&self, section: &str) -> Outcome<String> {
        let mut stream = UnixStream::connect(self.folder.join("socket"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("INFO {section}\r\n").as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        stream.read_line(&mut head)?;
        let length = head.trim().strip_prefix('$').ok_or("no text")?;
        let mut text = String::new();
        stream.take(length.parse()?).read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Asked {
    /// What was asked since.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (name, count) in &mut self.commands {
            *count -= before.commands.get(name).copied().unwrap_or_default();
        }
        // Our own look.
        self.commands.remove("info");
        self.commands.retain(|_, count| *count > 0.0);
        self.reads -= before.reads;
        self.cpu_ns -= before.cpu_ns;
        self
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // All of them fail where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
