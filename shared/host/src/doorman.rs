//! Who is in: so many connections at once, and so many of one address until they have shown who they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pulse::Pulse;

/// Counts who is in; clones are one.
#[derive(Clone, Debug)]
pub struct Doorman {
    room: Arc<Semaphore>,
    size: u32,
    per_address: usize,
    /// The connections of each address that are counted, the oldest first.
    strangers: Arc<Mutex<HashMap<IpAddr, Vec<Arc<Pulse>>>>>,
}

/// A connection's place, given back when it ends.
#[derive(Debug)]
pub struct Place {
    _room: OwnedSemaphorePermit,
    counted: Option<(IpAddr, Arc<Pulse>, Doorman)>,
}

impl Doorman {
    /// Room for `most` at once, `per_address` of one address.
    pub fn new(most: usize, per_address: usize) -> Self {
        // More than a semaphore counts is as good as no limit.
        let most = most.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            room: Arc::new(Semaphore::new(most)),
            size: u32::try_from(most).unwrap_or(u32::MAX),
            per_address,
            strangers: Arc::default(),
        }
    }

    /// Waits for room; nothing when there will never be any.
    pub async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// A place that is not counted: of a proxy, behind whose address everybody is.
    pub fn let_in_uncounted(room: OwnedSemaphorePermit) -> Place {
        Place {
            _room: room,
            counted: None,
        }
    }

    /// A place for a connection of this address. When it has too many that have not shown who they are, its oldest one
    /// that is not being answered makes room; nothing when there is none. So whoever is behind one address with
    /// somebody who floods us still comes in.
    pub fn let_in(
        &self,
        address: IpAddr,
        pulse: &Arc<Pulse>,
        room: OwnedSemaphorePermit,
    ) -> Option<Place> {
        let mut strangers = self.strangers();
        let own = strangers.entry(address).or_default();
        if own.len() >= self.per_address {
            own.retain(|pulse| !pulse.is_proved());
        }
        if own.len() >= self.per_address {
            let oldest = own.iter().position(|pulse| !pulse.is_busy())?;
            own.remove(oldest).evict();
        }
        own.push(Arc::clone(pulse));
        Some(Place {
            _room: room,
            counted: Some((address, Arc::clone(pulse), self.clone())),
        })
    }

    /// Waits until every connection has ended.
    pub async fn all_gone(&self) {
        let _ = self.room.acquire_many(self.size).await;
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<IpAddr, Vec<Arc<Pulse>>>> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((address, pulse, doorman)) = self.counted.take() else {
            return;
        };
        let mut strangers = doorman.strangers();
        if let Some(own) = strangers.get_mut(&address) {
            own.retain(|known| !Arc::ptr_eq(known, &pulse));
            if own.is_empty() {
                strangers.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    async fn come(doorman: &Doorman, address: IpAddr) -> (Arc<Pulse>, Option<Place>) {
        let pulse = Arc::new(Pulse::default());
        let room = doorman.room().await.unwrap();
        let place = doorman.let_in(address, &pulse, room);
        (pulse, place)
    }

    async fn is_evicted(pulse: &Pulse) -> bool {
        let patience = crate::pulse::Patience {
            head: std::time::Duration::MAX,
            quiet: std::time::Duration::MAX,
            write: std::time::Duration::MAX,
        };
        tokio::select! {
            biased;
            () = pulse.run_out(patience) => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn the_oldest_stranger_of_an_address_makes_room_and_others_are_left_alone() {
        let doorman = Doorman::new(10, 2);
        let (elsewhere, _place) = come(&doorman, THERE).await;
        let (first, _first) = come(&doorman, HERE).await;
        let (second, _second) = come(&doorman, HERE).await;

        let (_third, third) = come(&doorman, HERE).await;

        assert!(third.is_some() && is_evicted(&first).await);
        assert!(!is_evicted(&second).await && !is_evicted(&elsewhere).await);
    }

    #[tokio::test]
    async fn who_has_shown_who_he_is_or_is_being_answered_stays() {
        let doorman = Doorman::new(10, 2);
        let (known, _known) = come(&doorman, HERE).await;
        let (asking, _asking) = come(&doorman, HERE).await;
        let (waiting, _waiting) = {
            known.prove();
            asking.begin();
            come(&doorman, HERE).await
        };
        waiting.begin();

        let (_refused, refused) = come(&doorman, HERE).await;

        assert!(refused.is_none());
        for pulse in [&known, &asking, &waiting] {
            assert!(!is_evicted(pulse).await);
        }
    }

    #[tokio::test]
    async fn a_place_is_given_back() {
        let doorman = Doorman::new(1, 1);
        let (_pulse, place) = come(&doorman, HERE).await;
        drop(place);

        tokio::time::timeout(std::time::Duration::from_secs(5), doorman.all_gone())
            .await
            .unwrap();
        assert!(doorman.strangers().is_empty());
    }
}
