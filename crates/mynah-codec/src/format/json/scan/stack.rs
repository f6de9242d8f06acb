//! A stack whose lowest items need no allocation.

/// How many items need none.
const INLINE: usize = 8;

/// A stack. Most values are neither deep nor wide, and a scan of one should not allocate.
#[derive(Debug)]
pub(super) struct Stack<T> {
    low: [T; INLINE],
    low_len: usize,
    /// The items above `low`, which is full then.
    high: Vec<T>,
}

impl<T: Copy + Default> Stack<T> {
    pub(super) fn new() -> Self {
        Self {
            low: [T::default(); INLINE],
            low_len: 0,
            high: Vec::new(),
        }
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.low_len + self.high.len()
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        if let Some(free) = self.low.get_mut(self.low_len) {
            *free = item;
            self.low_len += 1;
        } else {
            self.high.push(item);
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if let Some(item) = self.high.pop() {
            return Some(item);
        }
        self.low_len = self.low_len.checked_sub(1)?;
        self.low.get(self.low_len).copied()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match index.checked_sub(INLINE) {
            Some(above) => self.high.get_mut(above),
            None => self.low.get_mut(index),
        }
    }

    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        self.low_len = self.low_len.min(len);
        self.high.truncate(len.saturating_sub(INLINE));
    }
}
