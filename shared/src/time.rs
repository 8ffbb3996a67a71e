//! Time as data: it labels facts and never decides a merge.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z; the years 0001 to 9999.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TimeMs(pub i64);

/// The first and the last moment a record may name.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

impl TimeMs {
    /// Whether the moment can be written as a date of four digits; a record with another is refused at the entry.
    pub fn is_writable(self) -> bool {
        RANGE.contains(&self.0)
    }

    /// How long after `earlier`, in milliseconds; negative when before it.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `ms` later (earlier when negative).
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// A calendar day of a shop as the number `yyyymmdd`, such as 20261122: part of a receipt line's key, because receipt
/// numbers start again every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);
