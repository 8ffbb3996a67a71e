//! Holds beside the store: how much may be held, who waits for a shop's word, the clock that lets go what is over and asks
//! other shops where one does not answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use vitrina_host::config::Period;
use vitrina_host::sign;
use vitrina_shared::HoldId;
use vitrina_shared::hold::{ANSWER_MS, Caps, MAX_CALLER_BYTES, Policy, Promise};

use crate::core::Core;

/// How often the clock looks for holds whose time is over, and for shops that have not answered in time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many of each in one transaction.
const AT_ONCE: usize = 200;

/// `[holds]` of `hub.toml`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HoldSettings {
    /// The most open legs of one order; 0: as many as it wants.
    pub(crate) per_order: u32,
    /// The most open legs of one API key; 0: as many as it wants.
    pub(crate) per_key: u32,
    /// What is promised of a shop that is silent, unless its own settings say otherwise.
    pub(crate) stale: Promise,
    /// What is promised of a shop that was never heard from in this life of the hub.
    pub(crate) unknown: Promise,
    /// How long a shop may take for its answer, in its opening hours; then the next one is asked.
    pub(crate) answer_within: Period,
}

impl Default for HoldSettings {
    fn default() -> Self {
        let (caps, policy) = (Caps::default(), Policy::default());
        Self {
            per_order: caps.order.unwrap_or(0),
            per_key: caps.caller.unwrap_or(0),
            stale: policy.stale,
            unknown: policy.unknown,
            answer_within: Period::from_millis(ANSWER_MS.unsigned_abs()),
        }
    }
}

impl HoldSettings {
    /// What is promised of a shop that is not heard from.
    pub(crate) fn policy(self) -> Policy {
        Policy {
            stale: self.stale,
            unknown: self.unknown,
        }
    }

    /// How much may be held at once.
    pub(crate) fn caps(self) -> Caps {
        let most = |number: u32| Some(number).filter(|number| *number > 0);
        Caps {
            order: most(self.per_order),
            caller: most(self.per_key),
        }
    }
}

/// The id by which a hold names the key that placed it. A leg carries it, so it has a length: a long name is its hash.
pub(crate) fn caller_of(key: &str) -> Box<str> {
    if key.len() <= MAX_CALLER_BYTES {
        return key.into();
    }
    sign::hex(&sign::sha256(key.as_bytes())[..16]).into()
}

/// Callers that wait for a hold to change.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    holds: Mutex<HashMap<HoldId, watch::Sender<u64>>>,
}

/// One that waits.
#[derive(Debug)]
pub(crate) struct Watch {
    watchers: Arc<Watchers>,
    hold: HoldId,
    changed: watch::Receiver<u64>,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, watch::Sender<u64>>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a hold from now on: it may be placed afterwards.
    pub(crate) fn watch(self: &Arc<Self>, hold: HoldId) -> Watch {
        let mut holds = self.lock();
        let sender = holds.entry(hold).or_insert_with(|| watch::Sender::new(0));
        Watch {
            changed: sender.subscribe(),
            watchers: Arc::clone(self),
            hold,
        }
    }

    /// Something changed of a hold.
    pub(crate) fn wake(&self, hold: HoldId) {
        if let Some(sender) = self.lock().get(&hold) {
            sender.send_modify(|count| *count += 1);
        }
    }
}

impl Watch {
    /// Waits until something changes, at most so long; whether something did.
    pub(crate) async fn changed(&mut self, time: Duration) -> bool {
        matches!(
            tokio::time::timeout(time, self.changed.changed()).await,
            Ok(Ok(()))
        )
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut holds = self.watchers.lock();
        let is_last = holds
            .get(&self.hold)
            .is_some_and(|sender| sender.receiver_count() <= 1);
        if is_last {
            holds.remove(&self.hold);
        }
    }
}

/// Lets go what is over and asks the next shop, for as long as the server runs.
pub(crate) async fn keep_time(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = look(&core).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "holds whose time is over, or whose shops do not answer, were not looked at; trying again"
            );
        }
    }
}

/// Looks at every hold of which something is due.
async fn look(core: &Core) -> Result<(), crate::store::StoreError> {
    while { core.store.next_hold_due().await? }.is_some_and(|due| due <= core.now()) {
        if core.store.keep_time(AT_ONCE).await? == 0 {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: HoldId = HoldId([7; 16]);

    #[tokio::test]
    async fn what_happens_between_the_watch_and_the_wait_is_not_missed() {
        let watchers = Arc::new(Watchers::default());
        let (mut first, mut second) = (watchers.watch(HOLD), watchers.watch(HOLD));

        watchers.wake(HOLD);

        let long = Duration::from_secs(5);
        assert!(first.changed(long).await && second.changed(long).await);
        assert!(!first.changed(Duration::from_millis(1)).await);
        drop(first);
        watchers.wake(HOLD);
        assert!(second.changed(long).await);
        drop(second);
        assert!(watchers.lock().is_empty());
    }

    #[test]
    fn a_key_of_any_name_has_an_id_that_a_leg_can_carry() {
        assert_eq!(&*caller_of("site"), "site");
        let long = "ключ".repeat(16);
        assert_eq!(caller_of(&long).len(), 32);
        assert_ne!(caller_of(&long), caller_of(&"ключ".repeat(15)));
    }

    #[test]
    fn what_nobody_says_is_as_the_model_has_it() {
        let said = |text: &str| {
            let path = std::path::Path::new(crate::config::FILE);
            let config = vitrina_host::config::parse::<crate::config::Config>(path, text);
            config.map(|config| config.holds)
        };

        let none = said("").unwrap();
        assert_eq!(
            (none.caps(), none.policy()),
            (Caps::default(), Policy::default())
        );
        let all =
            said("[holds]\nper_order = 0\nper_key = 7\nstale = 2\nunknown = \"all\"").unwrap();
        assert_eq!((all.caps().order, all.caps().caller), (None, Some(7)));
        assert_eq!(
            (all.policy().stale, all.policy().unknown),
            (Promise::AllBut(2), Promise::All)
        );
        for bad in ["\"some\"", "-1", "4294967296"] {
            let error = said(&format!("[holds]\nstale = {bad}")).unwrap_err();
            assert!(
                format!("{error:?}").contains("say all, nothing"),
                "{error:?}"
            );
        }
    }
}
