//! Agents that wait for something to be said: one a device, woken by their shop.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use vitrina_shared::ShopId;

/// Two programs alternating within so long under one key are two machines.
const TWIN_MEMORY: Duration = Duration::from_mins(10);

/// Who waits.
#[derive(Debug)]
pub(crate) struct Waiters {
    devices: Mutex<HashMap<[u8; 32], Device>>,
    shops: Mutex<HashMap<ShopId, watch::Sender<u64>>>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Device {
    /// The number of its latest exchange.
    latest: watch::Sender<u64>,
    boot: [u8; 16],
    /// The boot before, and when it was last seen.
    before: Option<([u8; 16], Instant)>,
    twin_seen: Option<Instant>,
}

/// One exchange, from its arrival on.
pub(super) struct Arrival {
    number: u64,
    latest: watch::Receiver<u64>,
    shop: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    /// Another machine uses the same key.
    pub(super) has_twin: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// There may be something to say, or the time is over.
    Answer,
    /// A newer exchange of the same device came.
    Superseded,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            devices: Mutex::default(),
            shops: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiters {
    /// An exchange of a device arrives: its older ones wait no longer.
    pub(super) fn arrive(&self, device: [u8; 32], boot: [u8; 16], shop: &ShopId) -> Arrival {
        let now = Instant::now();
        let mut devices = lock(&self.devices);
        let known = devices.entry(device).or_insert_with(|| Device {
            latest: watch::Sender::new(0),
            boot,
            before: None,
            twin_seen: None,
        });
        if known.boot != boot {
            if known
                .before
                .is_some_and(|(before, at)| before == boot && now.duration_since(at) < TWIN_MEMORY)
            {
                known.twin_seen = Some(now);
            }
            known.before = Some((known.boot, now));
            known.boot = boot;
        }
        known.latest.send_modify(|number| *number += 1);
        let latest = known.latest.subscribe();
        let number = *latest.borrow();
        let has_twin = known
            .twin_seen
            .is_some_and(|at| now.duration_since(at) < TWIN_MEMORY);
        drop(devices);
        let mut shops = lock(&self.shops);
        let shop = shops
            .entry(shop.clone())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        Arrival {
            number,
            latest,
            shop,
            stop: self.stop.subscribe(),
            has_twin,
        }
    }

    /// There is something for a shop.
    pub(crate) fn wake(&self, shop: &ShopId) {
        if let Some(waiting) = lock(&self.shops).get(shop) {
            waiting.send_modify(|count| *count += 1);
        }
    }

    /// There is something for every shop.
    pub(crate) fn wake_all(&self) {
        lock(&self.shops)
            .values()
            .for_each(|waiting| waiting.send_modify(|count| *count += 1));
    }

    /// Whether an exchange of this shop has arrived and was not answered yet: an agent that waits for news is there.
    pub(crate) fn is_waiting(&self, shop: &ShopId) -> bool {
        lock(&self.shops)
            .get(shop)
            .is_some_and(|waiting| waiting.receiver_count() > 0)
    }

    /// The server stops: nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Arrival {
    /// Waits until there may be something to say.
    pub(super) async fn wait(&mut self, wait: Duration) -> Ended {
        tokio::select! {
            biased;
            _ = self.latest.wait_for(|latest| *latest != self.number) => Ended::Superseded,
            _ = self.shop.changed() => Ended::Answer,
            _ = self.stop.wait_for(|stop| *stop) => Ended::Answer,
            () = tokio::time::sleep(wait) => Ended::Answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_exchange_of_the_same_device_ends_the_wait() {
        let waiters = Waiters::default();
        let shop: ShopId = "S1".parse().unwrap();
        let mut older = waiters.arrive([1; 32], [1; 16], &shop);
        let mut other = waiters.arrive([2; 32], [1; 16], &shop);
        let _newer = waiters.arrive([1; 32], [1; 16], &shop);

        assert_eq!(older.wait(MAX).await, Ended::Superseded);
        waiters.wake(&shop);
        assert_eq!(other.wait(MAX).await, Ended::Answer);
    }

    #[tokio::test]
    async fn what_happens_between_arrival_and_wait_is_not_missed() {
        let waiters = Waiters::default();
        let shop: ShopId = "S1".parse().unwrap();
        let mut arrival = waiters.arrive([1; 32], [1; 16], &shop);

        waiters.wake(&shop);

        assert_eq!(arrival.wait(MAX).await, Ended::Answer);
    }

    #[test]
    fn two_machines_under_one_key_are_seen_and_a_restart_is_not() {
        let waiters = Waiters::default();
        let shop: ShopId = "S1".parse().unwrap();
        let arrive = |boot: u8| waiters.arrive([1; 32], [boot; 16], &shop).has_twin;

        assert!(!arrive(1) && !arrive(2) && !arrive(2));
        assert!(arrive(1));
    }

    const MAX: Duration = Duration::from_secs(5);
}
