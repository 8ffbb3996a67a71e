//! `[limits]` of `agent.toml`: how much a caller may take of the local API.

use serde::Deserialize;
use vitrina_host::config::Period;
use vitrina_host::pulse::Patience;

/// The limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// How long the head of a request may take to come.
    pub(crate) head: Period,
    /// How long a body may take to come.
    pub(crate) body: Period,
    /// How long an answer may lie untaken.
    pub(crate) write: Period,
    /// How long a connection may be idle between two requests.
    pub(crate) idle: Period,
    /// Connections at once; further ones wait in the system's queue.
    pub(crate) connections: usize,
    /// Connections at once of one address that have shown no token.
    pub(crate) connections_per_address: usize,
    /// Calls without a known token that an address may make in a minute; then it is told to wait.
    pub(crate) failures_per_minute: u32,
    /// Memory for bodies that are on their way, in MiB; the first 16 KiB of each are free, more waits for room.
    pub(crate) bodies_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Period::from_secs(10),
            body: Period::from_secs(30),
            write: Period::from_secs(30),
            idle: Period::from_secs(76),
            connections: 256,
            connections_per_address: 64,
            failures_per_minute: 20,
            bodies_mib: 4,
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
}
