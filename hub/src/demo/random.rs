//! A tiny seeded generator (splitmix64): the demo's pace and choices, the same in each run of the same size.

use std::time::Duration;

/// Its state.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// From a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 where that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// A pause from `least_ms` to about `most_ms`.
    pub(super) fn pause(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        let span = most_ms.saturating_sub(least_ms).max(1);
        Duration::from_millis(least_ms + self.next() % span)
    }
}
