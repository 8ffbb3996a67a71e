//! What can be promised: the one formula, in the one place.

/// The numbers of one level: one barcode in one shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Level {
    /// Units in the shop, sellable or not; may be negative, and the negative is shown.
    pub on_hand: i64,
    /// Promised to web orders.
    pub held: i64,
    /// Damaged, in repair, on exhibition.
    pub unavailable: i64,
    /// Kept back by policy.
    pub safety_stock: i64,
}

impl Level {
    /// `max(0, on_hand − held − unavailable − safety_stock)`.
    pub fn available(self) -> i64 {
        self.on_hand
            .saturating_sub(self.held)
            .saturating_sub(self.unavailable)
            .saturating_sub(self.safety_stock)
            .max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_or_damaged_is_not_available() {
        let level = Level {
            on_hand: 5,
            held: 1,
            unavailable: 2,
            safety_stock: 1,
        };
        assert_eq!(level.available(), 1);
        assert_eq!(
            Level {
                on_hand: -3,
                ..level
            }
            .available(),
            0
        );
    }
}
