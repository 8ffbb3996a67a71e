//! What the store takes from outside: the time, and what is drawn by lot. Both are the machine's, but in the simulator,
//! where a run must go the same way twice.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use vitrina_host::{clock, sign};
use vitrina_shared::TimeMs;

use super::StoreError;

/// Clock and lots of a store.
pub(super) struct Outside {
    /// What the clock shows; [`i64::MIN`] where it is the machine's.
    clock: AtomicI64,
    /// What lots are drawn from; nothing where the machine draws them.
    lots: Mutex<Option<Lots>>,
}

/// Lots that are known beforehand.
struct Lots {
    seed: u64,
    drawn: u64,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            clock: AtomicI64::new(i64::MIN),
            lots: Mutex::default(),
        }
    }
}

impl Outside {
    /// What the clock shows.
    pub(super) fn now(&self) -> TimeMs {
        match self.clock.load(Ordering::Relaxed) {
            i64::MIN => TimeMs(clock::now_ms()),
            played => TimeMs(played),
        }
    }

    /// The clock shows this, and stands.
    pub(super) fn set_clock(&self, now: TimeMs) {
        self.clock.store(now.0, Ordering::Relaxed);
    }

    /// The same seed gives the same lots in the same order.
    pub(super) fn draw_from(&self, seed: u64) {
        *self.lots.lock().unwrap_or_else(PoisonError::into_inner) = Some(Lots { seed, drawn: 0 });
    }

    /// `N` bytes that nobody can guess; at most 32.
    ///
    /// # Errors
    ///
    /// [`StoreError::Random`]: the system has none to give.
    pub(super) fn random<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        let mut lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lots) = lots.as_mut() else {
            return sign::random_bytes().map_err(|_| StoreError::Random);
        };
        lots.drawn += 1;
        let hash = sign::sha256(&[lots.seed.to_le_bytes(), lots.drawn.to_le_bytes()].concat());
        let bytes = hash.first_chunk::<N>().copied();
        bytes.ok_or(StoreError::Random)
    }
}
