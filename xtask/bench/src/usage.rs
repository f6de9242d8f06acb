//! What a process has used, and may use.

use crate::{Failure, allocations};
use serde::Serialize;

/// Since the process began, or between two looks.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// User and system time of all threads, in nanoseconds.
    cpu_ns: u64,
    /// Counted only where `--count-allocations` is given, as the next two are.
    allocations: u64,
    allocated_bytes: u64,
    /// Allocated and not freed.
    live_bytes: i64,
    /// Resident memory; 0 where the system does not say it.
    rss_bytes: i64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
        let (allocations, allocated_bytes) = allocations::counted();
        let live_bytes = allocations::live();
        Self {
            cpu_ns: seconds * 1_000_000_000 + u64::try_from(cpu.tv_nsec).unwrap_or(0),
            allocations,
            allocated_bytes,
            live_bytes,
            rss_bytes: resident().unwrap_or(0),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns - before.cpu_ns,
            allocations: self.allocations - before.allocations,
            allocated_bytes: self.allocated_bytes - before.allocated_bytes,
            live_bytes: self.live_bytes - before.live_bytes,
            rss_bytes: self.rss_bytes - before.rss_bytes,
        }
    }
}

fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Raises the number of files that this process may have open.
///
/// # Errors
/// The system allows fewer.
pub(crate) fn allow_files(wanted: u64) -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= wanted) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < wanted) {
        return Err(format!(
            "idle connections need {wanted} open files, and this system allows {most}: raise the hard limit \
             (`ulimit -Hn {wanted}` as root, or LimitNOFILE=)"
        )
        .into());
    }
    limit.current = Some(wanted);
    Ok(setrlimit(Resource::Nofile, limit)?)
}
