//! Waiting for a condition instead of for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until `look` gives a value; panics with what it saw last when [`PATIENCE`] runs out.
pub async fn until<T, S: Debug, F: Future<Output = Result<T, S>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; seen last: {seen:#?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
