//! What can be promised: the one formula, in the one place.

use std::str::FromStr;

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

/// What `available` means to a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What is held is not available: the hub's holds are the only ones.
    #[default]
    NetOfHolds,
    /// What is held is available: the reader keeps reservations of its own, for the same orders, and takes them off itself.
    Gross,
}

/// Not a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stock is gross or net_of_holds")]
pub struct ChannelError;

impl Channel {
    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::NetOfHolds => "net_of_holds",
            Self::Gross => "gross",
        }
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let all = [Self::NetOfHolds, Self::Gross];
        { all.into_iter() }
            .find(|channel| channel.word() == text)
            .ok_or(ChannelError)
    }
}

impl Level {
    /// `max(0, on_hand − held − unavailable − safety_stock)`.
    pub fn available(self) -> i64 {
        self.available_to(Channel::NetOfHolds)
    }

    /// The same for a reader; without `held` where the reader takes that off itself.
    pub fn available_to(self, channel: Channel) -> i64 {
        let held = match channel {
            Channel::NetOfHolds => self.held,
            Channel::Gross => 0,
        };
        self.on_hand
            .saturating_sub(held)
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

    #[test]
    fn who_takes_reservations_off_himself_is_told_of_what_is_held_too() {
        let level = Level {
            on_hand: 5,
            held: 4,
            unavailable: 1,
            safety_stock: 2,
        };
        assert_eq!(
            (level.available(), level.available_to(Channel::Gross)),
            (0, 2)
        );
        for channel in [Channel::NetOfHolds, Channel::Gross] {
            assert_eq!(channel.word().parse(), Ok(channel));
        }
        assert_eq!("net".parse::<Channel>(), Err(ChannelError));
    }
}
