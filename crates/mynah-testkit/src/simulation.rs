//! Tests that follow from a seed, in virtual time.

use std::any::Any;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Runs one test for many seeds, each on a thread of its own with a stopped clock: time jumps to the next timer when
/// nobody has anything to do.
///
/// What fails is printed with its seed, and the last line says how to run it again:
/// `MYNAH_SEED=17 cargo test NAME`. The variable `MYNAH_SEED` runs that seed alone, `MYNAH_SEEDS` so many of them
/// (`500`), or those of a range (`1000..1500`).
#[derive(Clone, Debug)]
#[must_use = "nothing runs before run"]
pub struct Simulation {
    first: u64,
    count: u64,
    patience: Duration,
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// Seeds 1 to 20, or what the environment says.
    pub fn new() -> Self {
        Self {
            first: 1,
            count: 1,
            patience: Duration::from_secs(120),
        }
        .seeds(20)
    }

    /// One seed alone: a failure again.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.first = seed;
        self.count = 1;
        self
    }

    /// So many seeds from the first one, unless the environment names one.
    pub fn seeds(mut self, count: u64) -> Self {
        let named = seed_of_environment().map(|seed| (seed, 1));
        (self.first, self.count) = named.or_else(range_of_environment).unwrap_or((1, count));
        self
    }

    /// How long one seed may take by the clock of the machine before it counts as one that hangs. Default two minutes.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the test for every seed.
    ///
    /// # Panics
    /// When it panicked for some of them.
    #[allow(
        clippy::panic,
        clippy::print_stderr,
        reason = "a test fails by panicking, and says with which seed"
    )]
    pub fn run(&self, test: impl AsyncFn(u64) + Sync) {
        let mut failed = Vec::new();
        for seed in self.first..self.first.saturating_add(self.count) {
            if let Err(why) = self.once(seed, async |seed| test(seed).await) {
                eprintln!("seed {seed}: {why}");
                failed.push(seed);
            }
        }
        if let Some(first) = failed.first() {
            panic!("seeds {failed:?} failed; to run one again: MYNAH_SEED={first}");
        }
    }

    /// Runs one seed on a thread of its own with a stopped clock.
    ///
    /// # Errors
    /// The text of the panic, when it panicked or hung.
    pub fn once<T: Send>(
        &self,
        seed: u64,
        test: impl AsyncFnOnce(u64) -> T + Send,
    ) -> Result<T, String> {
        let patience = self.patience;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .start_paused(true)
                    .build()
                    .map_err(|error| format!("no runtime: {error}"))?;
                runtime
                    .block_on(within(patience, test(seed)))
                    .map_err(|hangs| hangs.to_string())
            });
            thread
                .join()
                .unwrap_or_else(|panic| Err(text_of(&*panic).to_owned()))
        })
    }
}

/// The seed that `MYNAH_SEED` names.
#[must_use]
pub fn seed_of_environment() -> Option<u64> {
    number("MYNAH_SEED")
}

/// The first seed of `MYNAH_SEEDS`, and how many.
fn range_of_environment() -> Option<(u64, u64)> {
    range(&std::env::var("MYNAH_SEEDS").ok()?)
}

fn range(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match text.split_once("..") {
        Some((first, end)) => {
            let (first, end) = (number(first)?, number(end)?);
            Some((first, end.checked_sub(first)?))
        }
        None => Some((1, number(text)?)),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What a panic said.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

/// Something did not come to its end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangs(Duration);

impl std::fmt::Display for Hangs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hangs after {:?}", self.0)
    }
}

impl std::error::Error for Hangs {}

/// Gives a future up that hangs, by the clock of the machine, stopped though tokio's may be.
///
/// # Errors
/// [`Hangs`] when it does.
pub async fn within<F: Future>(time: Duration, future: F) -> Result<F::Output, Hangs> {
    let start = Instant::now();
    let mut future = pin!(future);
    let (done, stop) = std::sync::mpsc::channel::<()>();
    let (bell, rung) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: the runtime's blocking pool would keep a stopped clock from moving on.
    std::thread::spawn(move || {
        let timeout = std::sync::mpsc::RecvTimeoutError::Timeout;
        if stop.recv_timeout(time) == Err(timeout) {
            // Nobody waits any more: fine.
            bell.send(()).unwrap_or_default();
        }
    });
    let mut rung = pin!(rung);
    let output = poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        match rung.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    })
    .await;
    drop(done);
    output.ok_or_else(|| Hangs(start.elapsed()))
}

#[cfg(test)]
mod tests;
