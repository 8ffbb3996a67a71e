//! Hub and agent in memory: the model of both stores that tests run.
//!
//! Every decision is [`crate::decide`]'s and every byte goes through the real frames; what stands here is only what a
//! store does about it: append, cut a delta out of a log, keep an index. The stores of hub and agent do the same in
//! SQL and are held against this. No program uses it.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a model that is led astray panics: that is how a test finds out"
)]

mod feed;
mod holds;
mod hub;
mod index;
mod ledger;
mod logs;
mod promises;

pub use feed::{Cursor, Page};
pub use holds::Order;
pub use hub::{Exchanged, Hub, Refused};
pub use index::Index;
pub use ledger::{Applied, Booked, Ledger, Sent};
pub use logs::{Held, Logs};

/// Where a model takes its random bits from: a seed, so that a run can be had again.
pub type Bits<'a> = &'a mut dyn FnMut() -> u64;

/// Sixteen random bytes: an id.
pub fn random_id(bits: Bits<'_>) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&bits().to_le_bytes());
    id[8..].copy_from_slice(&bits().to_le_bytes());
    id
}
