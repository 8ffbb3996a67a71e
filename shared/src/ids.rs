//! Names that are never used twice: shops, replicas, movements, places in a log, lives of the hub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, half_of};
use crate::{Chain, Position, planted};

/// The most bytes a [`ShopId`] has.
pub const MAX_SHOP_ID_BYTES: usize = 32;

/// One place that holds stock, such as `S017`: 1–32 of A–Z a–z 0–9 `-` `_` `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShopId(Box<str>);

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 1–32 of the allowed characters.
    #[error("a shop id is 1 to {MAX_SHOP_ID_BYTES} of A-Z a-z 0-9 - _ .")]
    Shop,
    /// Not 32 hexadecimal digits.
    #[error("an id is 32 hexadecimal digits")]
    Hex,
}

impl ShopId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ShopId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > MAX_SHOP_ID_BYTES || !text.bytes().all(allowed) {
            return Err(IdError::Shop);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ShopId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ShopId> for String {
    fn from(shop: ShopId) -> Self {
        shop.0.into()
    }
}

impl fmt::Display for ShopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits, written as 32 lower-case hexadecimal digits.
macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

fn parse_hex(text: &str) -> Result<[u8; 16], IdError> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(IdError::Hex);
    }
    u128::from_str_radix(text, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| IdError::Hex)
}

id128! {
    /// One agent's ledger in one life: random bits minted by the agent, or derived for a branch. Belongs to one
    /// shop; never used again.
    ReplicaId
}

id128! {
    /// The identity of a movement for ever, derived from its key, the scanned text and the signed quantity.
    MovementId
}

impl MovementId {
    /// The name of the record by which a shop says that this movement's receipt line counts as another thing too. Of two
    /// such movements the shop names the greater one; who knows the line finds the record by it.
    pub fn conflict_record(self) -> [u8; 16] {
        half_of(&[b"vitrina.quarantine.1\0m", &self.0, b"receipt_conflict"])
    }
}

id128! {
    /// The identity of a web order's hold for ever, derived from who asked and under which key ([`HoldId::of`]).
    HoldId
}

id128! {
    /// One request to one shop within a hold: random bits minted by the hub. Of several that are open the smallest
    /// stays.
    LegId
}

id128! {
    /// The identity of a transfer, derived from the shop that sends and what names the parcel there
    /// ([`crate::transfer::name`]).
    TransferId
}

impl HoldId {
    /// The hold of a caller's idempotency key: the first half of `H("vitrina.hold.1", caller, key)`, where `caller` is
    /// the id of the API key that asked. A call that is repeated, whatever the hub has forgotten since, speaks of the
    /// same hold.
    pub fn of(caller: &str, idempotency_key: &str) -> Self {
        let hash = Hash::of("vitrina.hold.1").with(caller.as_bytes());
        Self(hash.with(idempotency_key.as_bytes()).half())
    }
}

impl ReplicaId {
    /// The replica under which a forked tail is kept: derived from the fork itself, so that whoever finds the fork
    /// finds the same name. `common` is the last position both histories share, `divergent` the chain right after it
    /// on the history that moves. Nobody writes to a branch again.
    #[must_use]
    pub fn branch(self, common: Seq, divergent: Chain) -> Self {
        Self(
            Hash::of("vitrina.branch.1")
                .with(&self.0)
                .with(&common.0.to_le_bytes())
                .with(if planted::is("branch_is_not_derived_from_the_tail") {
                    &[]
                } else {
                    &divergent.0
                })
                .half(),
        )
    }

    /// Where this replica's history starts: position 0, with the chain that its id gives.
    pub fn origin(self) -> Position {
        Position {
            seq: Seq(0),
            chain: Chain(Hash::of("vitrina.chain.1").with(&self.0).whole()),
        }
    }
}

/// A place in a replica's log: 1, 2, 3 … without holes; 0 is "nothing yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The next place.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one movement's place for ever. Dots are ordered by replica, then seq; of several dots with one
/// [`MovementId`] the smallest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Whose log.
    pub replica: ReplicaId,
    /// The place in it, from 1.
    pub seq: Seq,
}

/// One continuous history of the hub's database. Lives are ordered by ordinal; two with one ordinal are told apart
/// by their random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HubLife {
    /// 1 for the first; a new life is 1 + the highest known.
    pub ordinal: u64,
    /// Random.
    pub random: [u8; 16],
}

impl fmt::Display for HubLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.ordinal)?;
        self.random
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written() {
        let id = ReplicaId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);

        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            "+00102030405060708090a0b0c0d0eff".parse::<ReplicaId>(),
            Err(IdError::Hex)
        );
    }

    #[test]
    fn a_shop_id_has_no_room_for_tricks() {
        assert!("S017".parse::<ShopId>().is_ok());
        for bad in ["", "S 17", "S@17", "../S", &"S".repeat(33)] {
            assert_eq!(bad.parse::<ShopId>(), Err(IdError::Shop), "{bad}");
        }
    }

    #[test]
    fn a_hold_is_named_by_who_asked_and_under_which_key() {
        let hold = HoldId::of("site", "order 7");

        assert_eq!(hold, HoldId::of("site", "order 7"));
        assert_ne!(hold, HoldId::of("app", "order 7"));
        assert_ne!(hold, HoldId::of("site", "order 8"));
        assert_ne!(HoldId::of("ab", "c"), HoldId::of("a", "bc"));
        assert_eq!(
            hold.to_string(),
            "97113589518c66e498ef95225ed9afaa",
            "for ever"
        );
    }

    #[test]
    fn a_branch_is_named_by_its_fork_alone() {
        let replica = ReplicaId([7; 16]);
        let branch = replica.branch(Seq(5), Chain([1; 32]));

        assert_eq!(branch, replica.branch(Seq(5), Chain([1; 32])));
        assert_ne!(branch, replica.branch(Seq(6), Chain([1; 32])));
        assert_ne!(branch, replica.branch(Seq(5), Chain([2; 32])));
        assert_ne!(branch.branch(Seq(5), Chain([1; 32])), branch);
    }
}
