//! Two peers that are connected in memory.

use crate::fault::{FrameCut, Weather, pipe};
use crate::{Dice, seed_of_environment};
use mynah_codec::dialect::native::Native;
use mynah_codec::{Dialect, Side};
use mynah_peer::{Peer, RegisterError, Router};
use mynah_protocol::{Evidence, EvidenceKey, Limits};
use std::sync::Arc;

/// Two peers that are connected in memory, over a real wire: for tests of what one's own services do.
///
/// Under a stopped clock (`#[tokio::test(start_paused = true)]`, or [`Simulation`](crate::Simulation)) nothing takes
/// time: deadlines, pauses and keep-alive pass as fast as the machine runs. The line between them is fine unless it is
/// given [`Weather`] or a [`FrameCut`].
///
/// Everything that the line does follows from the seed, which is printed when the test panics while the pair is there.
#[derive(Debug)]
pub struct Pair {
    /// The side that dialled.
    pub near: Peer,
    /// The side that accepted.
    pub far: Peer,
    seed: u64,
}

impl Pair {
    /// Two peers with what each offers to the other.
    pub fn between(near: Router, far: Router) -> PairBuilder {
        PairBuilder {
            near: End::new(near),
            far: End::new(far),
            dialect: Box::new(Native::new()),
            line: Line::Weather(Weather::FINE, Weather::FINE),
            seed: None,
        }
    }

    /// A side that offers a service, and a side that offers nothing and calls it through [`Pair::near`].
    pub fn of(far: Router) -> PairBuilder {
        Self::between(Router::new(), far)
    }

    /// The seed of the line.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Waits until nothing is in use on either side: no call waits, no handler runs, no output is left.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn idle(&self) {
        let idle = mynah_peer::PeerStats::default();
        while self.near.stats() != idle || self.far.stats() != idle {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Pair {
    #[allow(
        clippy::print_stderr,
        reason = "a test that fails says with which seed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to run this again: MYNAH_SEED={}", self.seed);
        }
    }
}

/// A pair that is about to start.
#[derive(Debug)]
#[must_use = "nothing runs before start"]
pub struct PairBuilder {
    near: End,
    far: End,
    dialect: Box<dyn Dialect>,
    line: Line,
    seed: Option<u64>,
}

/// One side.
#[derive(Debug)]
struct End {
    router: Router,
    limits: Limits,
}

impl End {
    fn new(router: Router) -> Self {
        Self {
            router,
            limits: Limits::DEFAULT,
        }
    }
}

/// What is between the two.
#[derive(Debug)]
enum Line {
    Weather(Weather, Weather),
    Cut(Arc<FrameCut>),
}

impl PairBuilder {
    /// What is spoken; the native dialect in CBOR unless it is given.
    pub fn dialect(mut self, dialect: impl Dialect) -> Self {
        self.dialect = dialect.clone_box();
        self
    }

    /// The limits of both sides.
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.near.limits = limits.clone();
        self.far.limits = limits.clone();
        self
    }

    /// The limits of the side that dials.
    pub fn near_limits(mut self, limits: Limits) -> Self {
        self.near.limits = limits;
        self
    }

    /// The limits of the side that accepts.
    pub fn far_limits(mut self, limits: Limits) -> Self {
        self.far.limits = limits;
        self
    }

    /// The weather in both directions.
    pub fn weather(self, weather: &Weather) -> Self {
        self.weathers(weather.clone(), weather.clone())
    }

    /// The weather from the near side to the far one, and back.
    pub fn weathers(mut self, there: Weather, back: Weather) -> Self {
        self.line = Line::Weather(there, back);
        self
    }

    /// A line that passes whole frames on and is cut at one of them. It has no weather.
    pub fn cut(mut self, cut: &Arc<FrameCut>) -> Self {
        self.line = Line::Cut(Arc::clone(cut));
        self
    }

    /// What the line does follows from this number. Without it, from that of `MYNAH_SEED`, or from 1.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Connects the two on the current tokio runtime.
    ///
    /// # Errors
    /// [`RegisterError`] when a service cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Pair, RegisterError> {
        let seed = self.seed.or_else(seed_of_environment).unwrap_or(1);
        let mut dice = Dice::new(seed);
        let dialect = self.dialect;
        let (near, far) = match self.line {
            Line::Weather(there, back) => {
                let (near, far) = pipe(&mut dice, &there, &back);
                (Peer::over(near, &dialect), Peer::over(far, &dialect))
            }
            Line::Cut(cut) => {
                let (near, far) = cut.connect(&dialect, 4096);
                (Peer::over(near, &dialect), Peer::over(far, &dialect))
            }
        };
        let evidence = |name: &str| {
            Evidence::new()
                .with(EvidenceKey::TRANSPORT, "pair")
                .with(EvidenceKey::REMOTE_ADDRESS, name)
        };
        let far = far
            .side(Side::Accept)
            .router(self.far.router)
            .limits(self.far.limits)
            .evidence(evidence("near"))
            .start()?;
        let near = near
            .router(self.near.router)
            .limits(self.near.limits)
            .evidence(evidence("far"))
            .start()?;
        Ok(Pair { near, far, seed })
    }
}
