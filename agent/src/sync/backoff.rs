//! How long to wait before the hub is asked again.

use std::time::Duration;

/// The first wait after a failure.
const BASE_MS: u64 = 250;

/// The longest wait: with the time one attempt takes, an agent is back within 30 s of the hub's return.
const CAP_MS: u64 = 20_000;

/// The longest patience that a busy hub may ask of us: with its spread it is 30 s.
const ASKED_CAP: Duration = Duration::from_secs(24);

/// The wait that a busy hub asks for: that and up to a quarter more, because it asks the same of everybody at once.
pub(super) fn asked(span: Duration, random: u64) -> Duration {
    let span = span.min(ASKED_CAP);
    let spread = u64::try_from(span.as_millis() / 4).unwrap_or_default();
    span + Duration::from_millis(random % (spread + 1))
}

/// Waits that grow with every failure, spread so that a fleet does not come back in one instant.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait: between half and all of a span that doubles up to the cap. `random` is any random number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let span = BASE_MS
            .saturating_mul(1 << self.failures.min(10))
            .min(CAP_MS);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(span / 2 + random % (span / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let longest: Vec<_> = (0..12).map(|_| backoff.next(u64::MAX - 1)).collect();

        assert!(longest[0] <= Duration::from_millis(BASE_MS));
        assert!(
            longest
                .iter()
                .all(|wait| *wait <= Duration::from_millis(CAP_MS))
        );
        assert!(longest[11] >= Duration::from_millis(CAP_MS / 2));

        backoff.reset();
        assert!(backoff.next(0) <= Duration::from_millis(BASE_MS));
    }

    #[test]
    fn what_a_busy_hub_asks_for_is_kept_spread_and_never_more_than_half_a_minute() {
        let second = Duration::from_secs(1);

        assert_eq!(asked(Duration::ZERO, 7), Duration::ZERO);
        assert!(
            (0..1_000).all(|random| (second..=second * 5 / 4).contains(&asked(second, random)))
        );
        assert_ne!(asked(second, 3), asked(second, 200));
        assert!(asked(60 * second, u64::MAX) <= 30 * second);
    }

    #[test]
    fn two_agents_do_not_come_back_together() {
        let (mut one, mut other) = (Backoff::default(), Backoff::default());
        for _ in 0..8 {
            let _ = (one.next(1), other.next(1));
        }
        assert_ne!(one.next(1_000), other.next(7_000));
    }
}
