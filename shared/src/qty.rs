//! Whole units with checked arithmetic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most units one movement carries, either way.
pub const MAX_MOVEMENT_UNITS: i64 = 1_000_000;

/// Signed whole units of one barcode: positive into the shop, negative out of it. At most
/// [`MAX_MOVEMENT_UNITS`] either way.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Qty(i64);

/// The number is more than one movement may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} units are more than the {MAX_MOVEMENT_UNITS} that one movement may carry")]
pub struct QtyError(pub i64);

impl Qty {
    /// No units: what a void carries.
    pub const ZERO: Self = Self(0);

    /// Takes a number of units.
    ///
    /// # Errors
    ///
    /// [`QtyError`] beyond [`MAX_MOVEMENT_UNITS`] either way.
    pub fn new(units: i64) -> Result<Self, QtyError> {
        if (-MAX_MOVEMENT_UNITS..=MAX_MOVEMENT_UNITS).contains(&units) {
            Ok(Self(units))
        } else {
            Err(QtyError(units))
        }
    }

    /// The units, signed.
    pub fn units(self) -> i64 {
        self.0
    }

    /// Units that come in, 0 where they go out.
    pub fn added(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Units that go out, 0 where they come in.
    pub fn removed(self) -> u64 {
        u64::try_from(-self.0).unwrap_or(0)
    }
}

impl TryFrom<i64> for Qty {
    type Error = QtyError;

    fn try_from(units: i64) -> Result<Self, QtyError> {
        Self::new(units)
    }
}

impl From<Qty> for i64 {
    fn from(qty: Qty) -> Self {
        qty.0
    }
}

impl fmt::Display for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_carries_at_most_a_million_units_either_way() {
        assert!(Qty::new(1_000_000).is_ok() && Qty::new(-1_000_000).is_ok());
        for units in [1_000_001, -1_000_001, i64::MAX, i64::MIN] {
            assert_eq!(Qty::new(units), Err(QtyError(units)));
        }
    }

    #[test]
    fn what_comes_in_does_not_go_out() {
        let (sold, bought) = (Qty::new(-3).unwrap(), Qty::new(2).unwrap());

        assert_eq!((sold.added(), sold.removed()), (0, 3));
        assert_eq!((bought.added(), bought.removed()), (2, 0));
    }
}
