//! Connections in memory on which things go wrong, as dice say.

mod carrier;
mod frames;
mod pipe;

pub use carrier::Faltering;
pub use frames::{FrameCut, at_every_frame};
pub use pipe::{PipeEnd, pipe, pipe_telling};

use crate::Dice;

/// How one direction of a connection treats what goes through it.
///
/// The default is fine weather: whole pieces, 64 KiB of room, no pause, no end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weather {
    /// Bytes that are taken or given at once, at most.
    pub piece: u64,
    /// Bytes that may be on their way. A small room is a slow reader.
    pub room: usize,
    /// Once in so many pieces there is a pause; 0: never.
    pub pause_in: u64,
    /// Milliseconds of a pause, at most.
    pub pause_ms: u64,
    /// The end comes after so many bytes; `None`: it does not come by itself.
    pub cut_at: Option<u64>,
    /// What the end is.
    pub cut: Cut,
}

/// What the end of a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends see an error, and what is on its way is lost.
    Reset,
    /// Both ends see the end; what is on its way in this direction arrives.
    Close,
    /// Nothing moves any more in this direction, and nobody is told: a half-open connection.
    Stall,
}

impl Weather {
    /// Fine weather.
    pub const FINE: Self = Self {
        piece: 64 << 10,
        room: 64 << 10,
        pause_in: 0,
        pause_ms: 0,
        cut_at: None,
        cut: Cut::Reset,
    };

    /// Some weather: chopped, slow and late, with no end. Slow, but not so slow that nothing gets through.
    #[must_use]
    pub fn rough(dice: &mut Dice) -> Self {
        let piece = dice.pick(&[3, 50, 1_000, 60_000]);
        let pause_in = 4 + dice.up_to(200);
        let room = 1 + piece / 8 + dice.up_to(piece * 4);
        Self {
            piece,
            room: usize::try_from(room).unwrap_or(usize::MAX),
            pause_in,
            pause_ms: dice.up_to(pause_in * 2),
            ..Self::FINE
        }
    }

    /// Sets how many bytes are taken or given at once, at most.
    #[must_use]
    pub const fn with_piece(mut self, bytes: u64) -> Self {
        self.piece = bytes;
        self
    }

    /// Sets how many bytes may be on their way; at least one.
    #[must_use]
    pub const fn with_room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Sets that once in so many pieces there is a pause of at most so many milliseconds.
    #[must_use]
    pub const fn with_pauses(mut self, once_in: u64, millis: u64) -> Self {
        self.pause_in = once_in;
        self.pause_ms = millis;
        self
    }

    /// Sets the end that comes after so many bytes.
    #[must_use]
    pub const fn with_cut(mut self, after_bytes: u64, cut: Cut) -> Self {
        self.cut_at = Some(after_bytes);
        self.cut = cut;
        self
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self::FINE
    }
}
