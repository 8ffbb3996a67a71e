//! Now and then the hub is asked to compare what the shop's rows add up to; where it is something else, each side holds
//! its rows against its own log, once. The decision is [`vitrina_shared::digest::Trial`]'s.

use std::time::{Duration, Instant};

use vitrina_shared::digest::{Step, Trial};

use crate::core::{Core, now};
use crate::ledger::{LedgerError, digest};

/// Between two comparisons. Adding up 10,000 rows takes milliseconds, so that a shop that sells nothing does nothing.
const EVERY: Duration = Duration::from_mins(10);
/// Where the hub could not compare, because it did not hold the same.
const AGAIN: Duration = Duration::from_mins(1);
/// After a line is there, once what was pending has gone.
const SETTLE: Duration = Duration::from_secs(1);
/// Agents that come back together compare spread over so long.
const SPREAD_MS: u64 = 4_000;

/// What is known of the numbers on both sides.
pub(super) struct Books {
    core: Core,
    trial: Trial,
    /// When the next comparison is due; none without a line.
    due: Option<Instant>,
}

impl Books {
    /// As the ledger was left.
    pub(super) async fn of(core: Core) -> Self {
        let alert = core.ledger().db().read(digest::alert).await;
        let trial = match alert {
            Ok(Some(_)) => Trial::Given,
            _ => Trial::Equal,
        };
        Self {
            core,
            trial,
            due: None,
        }
    }

    /// There is a line, whether or not there was one before.
    pub(super) fn connected(&mut self, random: u64) {
        let spread = SETTLE + Duration::from_millis(random % SPREAD_MS);
        self.due.get_or_insert_with(|| Instant::now() + spread);
    }

    /// There is none: what is at its other end next time may be another hub's copy.
    pub(super) fn disconnected(&mut self) {
        self.due = None;
    }

    /// Whether a comparison is due.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// How long the next one may wait.
    pub(super) fn due_in(&self) -> Duration {
        let left = self
            .due
            .map(|due| due.saturating_duration_since(Instant::now()));
        // At least a moment: no waiting at all would be a busy loop.
        left.unwrap_or(EVERY).max(Duration::from_millis(50))
    }

    /// The hub compared, or could not.
    pub(super) async fn compared(&mut self, is_equal: Option<bool>) {
        let Some(is_equal) = is_equal else {
            self.due = Some(Instant::now() + AGAIN);
            return;
        };
        self.due = Some(Instant::now() + EVERY);
        let done = match self.trial.compared(is_equal) {
            Step::Nothing => Ok(()),
            Step::Recompute => {
                // Both have looked now: the next comparison says whether that was enough.
                self.due = Some(Instant::now());
                self.recompute().await
            }
            Step::Alert => self.tell(differs()).await,
            Step::AllClear => self.take_back().await,
        };
        if let Err(error) = done {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the ledger's rows were not held against its movements: run verify"
            );
        }
    }

    async fn recompute(&self) -> Result<(), LedgerError> {
        let ledger = self.core.ledger().clone();
        let repair = tokio::task::spawn_blocking(move || ledger.repair_blocking(now()));
        let Ok(repaired) = repair.await else {
            return Ok(());
        };
        let repaired = repaired?;
        if repaired.rows > 0 {
            tracing::error!(
                rows = repaired.rows,
                "rows of the ledger were not what its movements say; they were written anew from the movements"
            );
        }
        match repaired.left.first() {
            Some(first) => self.tell(format!("{first}; run verify")).await,
            None => Ok(()),
        }
    }

    async fn tell(&self, words: String) -> Result<(), LedgerError> {
        let tell = move |conn: &rusqlite::Connection| {
            // What was found first says more than that something differs still.
            if digest::alert(conn)?.is_none() {
                tracing::error!("{words}");
                digest::set_alert(conn, Some(&words), now())?;
            }
            Ok(())
        };
        self.core.ledger().db().write_background(tell).await
    }

    async fn take_back(&self) -> Result<(), LedgerError> {
        let take_back = |conn: &rusqlite::Connection| digest::set_alert(conn, None, now());
        self.core.ledger().db().write_background(take_back).await
    }
}

fn differs() -> String {
    "the shop's numbers and the hub's differ, though both are what their movements say: run verify on both sides and tell who looks after Vitrina"
        .to_owned()
}
