//! Takes parcels out of the outbox to their receivers: each receiver by itself, one parcel at a time, in the order of its key.
//!
//! At least once: a parcel is taken out after the receiver's word; whoever is killed between the two sends it again under its
//! old id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use vitrina_host::sign;
use vitrina_shared::TimeMs;

use super::post::{PostError, post};
use super::{Hook, Outcome, Parcel};
use crate::core::Core;
use crate::store::StoreError;

/// The first wait after a failure; each further is twice as long.
const FIRST_WAIT_MS: i64 = 1_000;
/// No wait is longer: who is back is told within minutes.
const MAX_WAIT_MS: i64 = 5 * 60_000;
/// Between two looks when nobody wakes us: what a merge tells wakes nobody.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the list of receivers.
const LIST_EVERY: Duration = Duration::from_secs(30);
/// After an error of the store.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// Keeps a task for each receiver, until it is dropped.
pub(crate) async fn deliver(core: Arc<Core>) {
    let mut tasks = Tasks::default();
    loop {
        let news = core.outbox.notified();
        match core.store.webhooks().await {
            Ok(hooks) => tasks.follow(&core, hooks),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the webhooks were not read; trying again"
            ),
        }
        // Whoever was woken meanwhile looks at once.
        let _ = tokio::time::timeout(LIST_EVERY, news).await;
    }
}

/// The running tasks by receiver, ended with this.
#[derive(Default)]
struct Tasks(BTreeMap<(String, [u8; 16]), JoinHandle<()>>);

impl Tasks {
    fn follow(&mut self, core: &Arc<Core>, hooks: Vec<Hook>) {
        let wanted: BTreeMap<_, _> = hooks
            .into_iter()
            .map(|hook| ((hook.name.clone(), hook.salt), hook))
            .collect();
        self.0.retain(|name, task| {
            let stays = wanted.contains_key(name) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for (name, hook) in wanted {
            self.0
                .entry(name)
                .or_insert_with(|| tokio::spawn(empty(Arc::clone(core), hook)));
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.values() {
            task.abort();
        }
    }
}

/// Delivers whatever waits for a receiver.
async fn empty(core: Arc<Core>, hook: Hook) {
    let mut failures = 0;
    loop {
        let wait = match one(&core, &hook, &mut failures).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    webhook = hook.name,
                    "the outbox was not read or written; trying again"
                );
                STORE_WAIT
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Tries the first parcel that is due, or waits for one; how long the receiver is then left alone.
async fn one(core: &Core, hook: &Hook, failures: &mut u32) -> Result<Duration, StoreError> {
    // Before the look, so that nothing is missed that comes behind it.
    let news = core.outbox.notified();
    let due = core.store.parcels(hook.name.clone()).await?;
    let first = due.into_iter().next();
    let early = first
        .as_ref()
        .map_or(i64::MAX, |parcel| parcel.next_at.since(core.now()));
    let Some(parcel) = first.filter(|_| early <= 0) else {
        let wait = millis(early).min(LOOK_EVERY);
        let _ = tokio::time::timeout(wait, news).await;
        return Ok(Duration::ZERO);
    };
    let failed_before = *failures;
    let sent = post(
        hook,
        (&parcel.id, &parcel.body),
        &core.token_key,
        core.now(),
    )
    .await;
    let (outcome, wait) = match sent {
        Ok(()) => {
            if *failures > 0 {
                tracing::info!(webhook = hook.name, "a webhook is taken again");
            }
            *failures = 0;
            (Outcome::Taken, Duration::ZERO)
        }
        Err(error) => after(core.now(), (&parcel, &error, hook), failures),
    };
    // That it began to fail, or is back: the list of work items says so.
    let is_news = (failed_before == 0) != (*failures == 0) || hook.failing_since.is_some();
    let ended = core
        .store
        .parcel_ended(hook.name.clone(), parcel.n, outcome);
    ended.await?;
    if is_news {
        core.deeds.notify_one();
    }
    Ok(wait)
}

/// What follows a failure: when the parcel is tried again, and how long the receiver is left alone.
fn after(
    now: TimeMs,
    (parcel, error, hook): (&Parcel, &PostError, &Hook),
    failures: &mut u32,
) -> (Outcome, Duration) {
    if *failures == 0 {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            webhook = hook.name,
            "a webhook was not taken; it is tried again"
        );
    }
    let asked = error.retry_after().map_or(0, |wait| {
        i64::try_from(wait.as_millis()).unwrap_or(MAX_WAIT_MS)
    });
    let wait = spread(wait_ms(parcel.attempts)).max(asked);
    let mut rest = Duration::ZERO;
    *failures = failures.saturating_add(1);
    if error.is_of_receiver() {
        rest = millis(spread(wait_ms(*failures - 1)).max(asked));
    }
    let outcome = Outcome::Failed {
        error: error.to_string(),
        again_at: now.plus(wait),
    };
    (outcome, rest)
}

/// The wait after so many failures.
fn wait_ms(failures: u32) -> i64 {
    FIRST_WAIT_MS
        .saturating_mul(1_i64.checked_shl(failures.min(20)).unwrap_or(i64::MAX))
        .min(MAX_WAIT_MS)
}

/// Up to a fifth less, so that receivers that came back are not called by all at once.
fn spread(wait: i64) -> i64 {
    let random = sign::random_bytes::<1>().map_or(0, |[byte]| i64::from(byte));
    wait - wait / 5 * random / 255
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_not_beyond() {
        let waits: Vec<i64> = [0, 1, 2, 8, 9, 100, u32::MAX].map(wait_ms).to_vec();

        assert_eq!(
            waits,
            [
                1_000,
                2_000,
                4_000,
                256_000,
                MAX_WAIT_MS,
                MAX_WAIT_MS,
                MAX_WAIT_MS
            ]
        );
        assert!((0..100).all(|_| (800..=1_000).contains(&spread(1_000))));
    }
}
