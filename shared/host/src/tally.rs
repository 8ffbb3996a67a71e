//! What each caller did within the current minute, and who did too much.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is counted before it begins anew.
const WINDOW: Duration = Duration::from_mins(1);
/// So many callers are remembered; when there are more, all begin anew.
const MAX_CALLERS: usize = 10_000;

/// Counts by caller, within 10,000 callers at most.
#[derive(Debug)]
pub struct Tally<K> {
    most: u64,
    counts: Mutex<HashMap<K, (Instant, u64)>>,
}

/// Too much: the seconds until the minute is over, 1 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch(pub u32);

impl<K: Eq + Hash> Tally<K> {
    /// `most` a minute are fine.
    pub fn new(most: u64) -> Self {
        Self {
            most,
            counts: Mutex::default(),
        }
    }

    /// Counts `amount` more of a caller.
    ///
    /// # Errors
    ///
    /// [`TooMuch`] when it is more than is fine; it was counted all the same.
    pub fn add(&self, caller: K, amount: u64, now: Instant) -> Result<(), TooMuch> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: &Instant| now.duration_since(*since) >= WINDOW;
        if counts.len() >= MAX_CALLERS && !counts.contains_key(&caller) {
            counts.retain(|_, (since, _)| !is_over(since));
            if counts.len() >= MAX_CALLERS {
                counts.clear();
            }
        }
        let (since, count) = counts.entry(caller).or_insert((now, 0));
        if is_over(since) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(amount);
        if *count > self.most {
            return Err(left(*since, now));
        }
        Ok(())
    }

    /// Whether a caller may do one more.
    ///
    /// # Errors
    ///
    /// [`TooMuch`] when he did as much as is fine.
    pub fn check(&self, caller: &K, now: Instant) -> Result<(), TooMuch> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get(caller) {
            Some((since, count)) if *count >= self.most && now.duration_since(*since) < WINDOW => {
                Err(left(*since, now))
            }
            _ => Ok(()),
        }
    }
}

fn left(since: Instant, now: Instant) -> TooMuch {
    let left = WINDOW
        .saturating_sub(now.duration_since(since))
        .as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 60"
    )]
    let seconds = left.ceil() as u32;
    TooMuch(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_too_much_waits_for_the_end_of_the_minute_and_others_do_not() {
        let (tally, begin) = (Tally::new(20), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);

        assert!((0..20).all(|_| tally.add("one", 1, begin).is_ok()));
        assert_eq!(tally.check(&"one", begin), Err(TooMuch(60)));
        assert_eq!(tally.add("one", 1, after(45)), Err(TooMuch(15)));
        assert_eq!(tally.add("other", 1, after(45)), Ok(()));
        assert_eq!(tally.add("one", 1, after(60)), Ok(()));
        assert_eq!(tally.check(&"one", after(60)), Ok(()));
    }

    #[test]
    fn however_many_callers_come_few_are_remembered() {
        let (tally, now) = (Tally::new(1), Instant::now());
        for caller in 0..3 * MAX_CALLERS {
            let _ = tally.add(caller, 1, now);
        }
        assert!(tally.counts.lock().unwrap().len() <= MAX_CALLERS);
    }
}
