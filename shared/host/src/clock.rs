//! The wall clock. Everything else is told the time, so that it can be tested without one.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z by this machine's clock, which may be wrong and may jump.
///
/// A clock before 1970 gives a negative number, never a panic. Use [`std::time::Instant`] for durations.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place the rule points to"
)]
pub fn now_ms() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_is_after_the_first_release() {
        assert!(super::now_ms() > 1_700_000_000_000);
    }
}
