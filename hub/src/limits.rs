//! How much one caller, and all together, may take of the hub.

use std::net::IpAddr;
use std::time::Instant;

use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use vitrina_host::bodies::Bodies;
use vitrina_host::config::Period;
use vitrina_host::pulse::Patience;
use vitrina_host::tally::{Tally, TooMuch};

/// `[limits]` of `hub.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// How long the head of a request may take to come.
    pub(crate) head: Period,
    /// How long a body may take to come; of an import, a piece of it.
    pub(crate) body: Period,
    /// How long an answer may lie untaken.
    pub(crate) write: Period,
    /// How long a connection may be idle between two requests.
    pub(crate) idle: Period,
    /// Connections at once; further ones wait in the system's queue.
    pub(crate) connections: usize,
    /// Connections at once of one address that have not shown who they are.
    pub(crate) connections_per_address: usize,
    /// Addresses of reverse proxies, behind which everybody is: nothing is counted there. This machine when not said.
    pub(crate) proxies: Option<Vec<IpAddr>>,
    /// Calls without a valid key or signature that an address may make in a minute; then it is told to wait.
    pub(crate) failures_per_minute: u32,
    /// Enrolments of an address that may fail in a minute; then none is looked at. Those that succeed are not counted.
    pub(crate) failed_enrolments_per_minute: u32,
    /// Exchanges of a device that may be refused in a minute; then none is looked at.
    pub(crate) failed_exchanges_per_minute: u32,
    /// Bytes of exchanges that a device may send in a minute, in MiB.
    pub(crate) exchange_mib_per_minute: u32,
    /// Exchanges that are merged at once, waiting for news not counted; further ones are told to come again.
    pub(crate) merges: usize,
    /// Memory for bodies that are on their way, in MiB; the first 16 KiB of each are free, more waits for room.
    pub(crate) bodies_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Period::from_secs(10),
            body: Period::from_secs(30),
            write: Period::from_secs(30),
            // One second more than browsers and pools keep.
            idle: Period::from_secs(76),
            connections: 16_384,
            connections_per_address: 256,
            proxies: None,
            failures_per_minute: 20,
            failed_enrolments_per_minute: 60,
            failed_exchanges_per_minute: 20,
            exchange_mib_per_minute: 256,
            // More than a chain has shops: only what is no chain is turned away.
            merges: 256,
            bodies_mib: 32,
        }
    }
}

impl Limits {
    /// How long a connection is waited for.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            head: self.head.duration(),
            quiet: self.idle.duration(),
            write: self.write.duration(),
        }
    }

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
