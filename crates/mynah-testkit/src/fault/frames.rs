//! A link that is cut at a frame.

use mynah_codec::{Dialect, Side, Step, Wire};
use mynah_protocol::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// Passes whole frames on, counts them, and cuts the link when so many have passed, in whichever direction.
///
/// Whatever a wire reads in one step is a frame: a message, or what stands between two (a preface). Both ends see the
/// end of the stream at the cut.
#[derive(Debug)]
pub struct FrameCut {
    left: AtomicUsize,
    passed: AtomicUsize,
    now: Notify,
}

impl FrameCut {
    /// A cut after so many frames.
    #[must_use]
    pub fn after(frames: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(frames),
            passed: AtomicUsize::new(0),
            now: Notify::new(),
        })
    }

    /// No cut.
    #[must_use]
    pub fn never() -> Arc<Self> {
        Self::after(usize::MAX)
    }

    /// How many frames have passed, in both directions together.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// Two ends with this link in between: that of the side that dials, and that of the side that accepts. `buffer`
    /// bytes may be on their way at four places. The link is one task, which ends at the cut, or when either end is
    /// dropped.
    pub fn connect(
        self: &Arc<Self>,
        dialect: &(impl Dialect + ?Sized),
        buffer: usize,
    ) -> (DuplexStream, DuplexStream) {
        let (near, near_far) = tokio::io::duplex(buffer);
        let (far_near, far) = tokio::io::duplex(buffer);
        let [there, back] =
            [Side::Accept, Side::Dial].map(|side| dialect.wire(side, &Limits::DEFAULT));
        let (near_read, near_write) = tokio::io::split(near_far);
        let (far_read, far_write) = tokio::io::split(far_near);
        let cut = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = cut.pass(there, near_read, far_write) => {}
                () = cut.pass(back, far_read, near_write) => {}
                () = cut.now.notified() => {}
            }
        });
        (near, far)
    }

    async fn pass(
        &self,
        mut wire: Box<dyn Wire>,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
    ) {
        let mut input = Vec::new();
        loop {
            let len = match wire.decode(&input) {
                Ok(Step::Need(_)) => {
                    if from.read_buf(&mut input).await.unwrap_or(0) == 0 {
                        return;
                    }
                    continue;
                }
                Ok(Step::Skip(len) | Step::Ignore(len) | Step::Envelope(len, _)) => len,
                // What nobody can read is one frame to the end of what is there.
                Err(_) => input.len(),
            };
            if self.left.load(Ordering::SeqCst) == 0 {
                self.now.notify_one();
                return;
            }
            self.left.fetch_sub(1, Ordering::SeqCst);
            self.passed.fetch_add(1, Ordering::SeqCst);
            let rest = input.split_off(len.min(input.len()));
            if to.write_all(&input).await.is_err() {
                return;
            }
            input = rest;
        }
    }
}

/// Runs a conversation once without a cut, then once for each frame of it, with the link cut there. Returns how many
/// frames the whole conversation had.
///
/// ```no_run
/// # use mynah_testkit::fault::at_every_frame;
/// # async fn talk(_: std::sync::Arc<mynah_testkit::fault::FrameCut>) {}
/// # async fn example() {
/// let frames = at_every_frame(async |cut| {
///     // Connect with `cut.connect(&dialect, 4096)`, talk, and check what came of it.
///     talk(cut).await;
/// })
/// .await;
/// assert!(frames > 2, "{frames} frames are no conversation");
/// # }
/// ```
pub async fn at_every_frame(mut talk: impl AsyncFnMut(Arc<FrameCut>)) -> usize {
    let whole = FrameCut::never();
    talk(Arc::clone(&whole)).await;
    let frames = whole.passed();
    for after in 0..frames {
        talk(FrameCut::after(after)).await;
    }
    frames
}
