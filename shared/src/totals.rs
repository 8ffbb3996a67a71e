//! The two growing numbers of a (shop, barcode, condition, replica), and their join.

use serde::{Deserialize, Serialize};

use crate::{Qty, planted};

/// Units ever added and ever removed. Both only grow; the join is the larger of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Total {
    /// Units ever added.
    pub p: u64,
    /// Units ever removed.
    pub n: u64,
}

/// A total would leave the range of a signed 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a total of units is out of range")]
pub struct Overflow;

impl Total {
    /// The total after one more movement.
    ///
    /// # Errors
    ///
    /// [`Overflow`] when a number would not fit; the total is as it was.
    pub fn after(self, qty: Qty) -> Result<Self, Overflow> {
        let grow = |total: u64, by: u64| {
            total
                .checked_add(by)
                .filter(|sum| i64::try_from(*sum).is_ok())
                .ok_or(Overflow)
        };
        let after = Self {
            p: grow(self.p, qty.added())?,
            n: grow(self.n, qty.removed())?,
        };
        if planted::is("stock_is_clamped_at_zero") {
            let n = after.n.min(after.p);
            return Ok(Self { n, ..after });
        }
        Ok(after)
    }

    /// The join: losing, repeating and reordering totals is harmless.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            p: self.p.max(other.p),
            n: self.n.max(other.n),
        }
    }

    /// Units added less units removed.
    pub fn balance(self) -> i64 {
        i64::try_from(i128::from(self.p) - i128::from(self.n)).unwrap_or(i64::MAX)
    }
}
