//! How much one caller, and all together, may take of the hub.

use std::net::IpAddr;
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};
use vitrina_host::bodies::Bodies;
use vitrina_host::tally::{Tally, TooMuch};

use crate::server::untaken::Untaken;

vitrina_host::limits! {
    /// `[limits]` of `hub.toml`.
    connections = 16_384,
    connections_per_address = 256,
    bodies_mib = 32,
    /// Addresses of reverse proxies, behind which everybody is: nothing is counted there. This machine when not said.
    proxies: Option<Vec<IpAddr>> = None,
    /// Enrolments of an address that may fail in a minute; then none is looked at. Those that succeed are not counted.
    failed_enrolments_per_minute: u32 = 60,
    /// Exchanges of a device that may be refused in a minute; then none is looked at.
    failed_exchanges_per_minute: u32 = 20,
    /// Bytes of exchanges that a device may send in a minute, in MiB.
    exchange_mib_per_minute: u32 = 256,
    /// Exchanges that are merged at once, waiting for news not counted; further ones are told to come again. More than a
    /// chain has shops: only what is no chain is turned away.
    merges: usize = 256,
    /// Memory for answers to one key that are not taken yet, in MiB; an answer of at most 16 KiB is free, one that does
    /// not fit is told to come again.
    answers_mib: u32 = 64,
}

impl Limits {
    /// Whether nothing is counted of this address.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        match &self.proxies {
            Some(known) => known.contains(&address),
            None => address.is_loopback(),
        }
    }
}

/// What the callers did.
#[derive(Debug)]
pub(crate) struct Callers {
    failures: Tally<IpAddr>,
    enrolments: Tally<IpAddr>,
    refused: Tally<[u8; 32]>,
    bytes: Tally<[u8; 32]>,
    merges: Semaphore,
    /// Room for bodies.
    pub(crate) bodies: Bodies,
    /// Room for answers.
    pub(crate) untaken: Untaken,
}

impl Callers {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            failures: Tally::new(limits.failures_per_minute.into()),
            enrolments: Tally::new(limits.failed_enrolments_per_minute.into()),
            refused: Tally::new(limits.failed_exchanges_per_minute.into()),
            bytes: Tally::new(u64::from(limits.exchange_mib_per_minute) << 20),
            merges: Semaphore::new(limits.merges.min(Semaphore::MAX_PERMITS)),
            bodies: Bodies::new(limits.bodies_mib),
            untaken: Untaken::new(limits.answers_mib),
        }
    }

    /// An address failed to show who it is. Whoever shows it is never turned away for his neighbours.
    pub(crate) fn failed(&self, address: IpAddr) -> Result<(), TooMuch> {
        self.failures.add(address, 1, Instant::now())
    }

    /// Whether an enrolment of this address is looked at.
    pub(crate) fn may_enrol(&self, address: IpAddr) -> Result<(), TooMuch> {
        self.enrolments.check(&address, Instant::now())
    }

    /// An enrolment of this address failed.
    pub(crate) fn failed_to_enrol(&self, address: IpAddr) {
        let _ = self.enrolments.add(address, 1, Instant::now());
    }

    /// Whether an exchange of this device, of so many bytes, is looked at.
    pub(crate) fn may_exchange(&self, device: &[u8; 32], bytes: usize) -> Result<(), TooMuch> {
        let now = Instant::now();
        self.refused.check(device, now)?;
        self.bytes.add(*device, bytes as u64, now)
    }

    /// An exchange of this device was refused, by its own fault.
    pub(crate) fn refused(&self, device: [u8; 32]) {
        let _ = self.refused.add(device, 1, Instant::now());
    }

    /// A turn to merge, given back when it is dropped; nothing when too many have one.
    pub(crate) fn merging(&self) -> Option<SemaphorePermit<'_>> {
        self.merges.try_acquire().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vitrina_host::config;

    use super::*;
    use crate::config::{Config, FILE};

    fn limits(text: &str) -> Limits {
        config::parse::<Config>(Path::new(FILE), text)
            .unwrap()
            .limits
    }

    #[test]
    fn this_machine_is_the_proxy_unless_others_are_named() {
        let local = "127.0.0.1".parse().unwrap();
        assert!(limits("").is_proxy(local));
        assert!(!limits("[limits]\nproxies = []").is_proxy(local));
        let named = limits("[limits]\nproxies = [\"10.0.0.7\"]");
        assert!(named.is_proxy("10.0.0.7".parse().unwrap()) && !named.is_proxy(local));
    }

    #[test]
    fn a_device_that_is_refused_too_often_is_not_looked_at_and_others_are() {
        let callers = Callers::new(&limits("[limits]\nfailed_exchanges_per_minute = 2"));
        let (bad, good) = ([1; 32], [2; 32]);

        callers.refused(bad);
        assert!(callers.may_exchange(&bad, 1).is_ok());
        callers.refused(bad);

        assert!(callers.may_exchange(&bad, 1).is_err());
        assert!(callers.may_exchange(&good, 1).is_ok());
    }

    #[test]
    fn a_device_that_sends_too_many_bytes_waits() {
        let callers = Callers::new(&limits("[limits]\nexchange_mib_per_minute = 2"));

        assert!(callers.may_exchange(&[1; 32], 2 << 20).is_ok());
        assert!(callers.may_exchange(&[1; 32], 1).is_err());
    }

    #[test]
    fn turns_to_merge_are_given_back() {
        let callers = Callers::new(&limits("[limits]\nmerges = 1"));
        let turn = callers.merging();

        assert!(turn.is_some() && callers.merging().is_none());
        drop(turn);
        assert!(callers.merging().is_some());
    }
}
