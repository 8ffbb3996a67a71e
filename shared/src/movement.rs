//! One signed change of one barcode at one shop, its identity, and the bytes it is for ever.
//!
//! A movement travels and is stored as *canonical bytes* (layout: `PROTOCOL.md` §2): a prefix that every version
//! reads, then a rest ([`Details`]) that an older reader may not understand and still chains and counts. Nobody
//! re-encodes a movement: hashes are over the bytes received.

mod bytes;
mod details;
mod key;

pub use bytes::{MAX_MOVEMENT_BYTES, MovementError};
pub(crate) use bytes::{unzigzag, zigzag};
pub use details::{Details, Words};
pub(crate) use key::RECEIPT_FLAGS;
pub use key::{Key, KeyError, KeyHash, MAX_KEY_TEXT_BYTES};

use std::fmt;

use crate::{Barcode, MovementId, Qty, ShopId, TimeMs};

/// What happened. The number is for ever; a new kind gets the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Goods came in from a supplier or the central stock.
    Receipt,
    /// A piece was sold.
    Sale,
    /// A customer brought a piece back.
    Return,
    /// A piece left for another shop.
    TransferOut,
    /// A piece came from another shop.
    TransferIn,
    /// A person's correction, either way.
    Adjustment,
    /// The difference that a count found.
    Count,
    /// A piece is written off.
    WriteOff,
    /// A piece was found too many.
    Surplus,
    /// The stock a log starts with.
    Opening,
    /// A statement of the shop's own ledger: of those of a barcode the latest counts.
    Balance,
    /// Names another movement that does not count.
    Void,
    /// Written by a newer version: chained and counted, shown as unknown.
    Unknown(u8),
}

/// Every kind a person can name, with its number and its word.
const KINDS: [(Kind, u8, &str); 12] = [
    (Kind::Receipt, 1, "receipt"),
    (Kind::Sale, 2, "sale"),
    (Kind::Return, 3, "return"),
    (Kind::TransferOut, 4, "transfer_out"),
    (Kind::TransferIn, 5, "transfer_in"),
    (Kind::Adjustment, 6, "adjustment"),
    (Kind::Count, 7, "count"),
    (Kind::WriteOff, 8, "write_off"),
    (Kind::Surplus, 9, "surplus"),
    (Kind::Opening, 10, "opening"),
    (Kind::Balance, 11, "balance"),
    (Kind::Void, 12, "void"),
];

/// Which way a kind moves units when a person gives a positive quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the shop.
    In,
    /// Out of the shop.
    Out,
    /// The quantity carries its own sign, and is not 0.
    Signed,
    /// The quantity is what was observed; the difference is worked out.
    Observed,
    /// Not for people: written by the agent or the hub only.
    Internal,
}

impl Kind {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Unknown(number) => number,
            known => KINDS
                .iter()
                .find(|(kind, ..)| *kind == known)
                .map_or(0, |(_, number, _)| *number),
        }
    }

    /// The kind of a number; one that this version does not know is [`Kind::Unknown`].
    pub fn of_number(number: u8) -> Self {
        KINDS
            .iter()
            .find(|(_, known, _)| *known == number)
            .map_or(Self::Unknown(number), |(kind, ..)| *kind)
    }

    /// The kind of a word of the public interface, such as `write_off`.
    pub fn of_word(word: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(.., known)| *known == word)
            .map(|(kind, ..)| *kind)
    }

    /// Which way it moves units.
    pub fn direction(self) -> Direction {
        match self {
            Self::Receipt | Self::Return | Self::TransferIn | Self::Surplus => Direction::In,
            Self::Sale | Self::TransferOut | Self::WriteOff => Direction::Out,
            Self::Adjustment => Direction::Signed,
            Self::Count => Direction::Observed,
            Self::Opening | Self::Balance | Self::Void | Self::Unknown(_) => Direction::Internal,
        }
    }
}

/// The word of the public interface; `unknown(N)` for a newer version's kind.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KINDS.iter().find(|(kind, ..)| kind == self) {
            Some((.., word)) => f.write_str(word),
            None => write!(f, "unknown({})", self.number()),
        }
    }
}

/// Whether the units can be sold. On hand sums both; what is not sellable is never available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// In the shop window.
    #[default]
    Sellable,
    /// Damaged, in repair, on exhibition.
    Unavailable,
}

impl Condition {
    /// 0 or 1, as stored.
    pub fn number(self) -> u8 {
        u8::from(self == Self::Unavailable)
    }

    /// The condition of a stored number: 0 sellable, all else unavailable.
    pub fn of_number(number: u8) -> Self {
        if number == 0 {
            Self::Sellable
        } else {
            Self::Unavailable
        }
    }

    /// The condition of a word of the public interface.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "sellable" => Some(Self::Sellable),
            "unavailable" => Some(Self::Unavailable),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sellable => "sellable",
            Self::Unavailable => "unavailable",
        })
    }
}

/// One signed change of one barcode at one shop. Immutable once it has a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// What happened.
    pub kind: Kind,
    /// Sellable or not.
    pub condition: Condition,
    /// Where it comes from; with the scanned text and the quantity, its identity.
    pub key: Key,
    /// The barcode it counts for.
    pub barcode: Barcode,
    /// The text as scanned, where it is not the barcode (an alias, a local code without its shop).
    pub scanned: Option<Barcode>,
    /// Signed units; 0 in a void.
    pub qty: Qty,
    /// When it happened, by the shop's word.
    pub at: TimeMs,
    /// The movement that a void names; nothing in other kinds.
    pub target: Option<MovementId>,
    /// [`Details`] as bytes: kept whole even where this version cannot read them.
    pub rest: Box<[u8]>,
}

impl Movement {
    /// The hash of the key: equal hashes with different ids are one receipt line told in two ways.
    pub fn key_hash(&self, shop: &ShopId) -> KeyHash {
        self.key.hash(shop, self)
    }

    /// The identity for ever: H(key, scanned text, signed quantity), as far as the key's form says that text and
    /// quantity belong to it (DESIGN §5: an opening is the same opening whatever its quantity).
    pub fn id(&self, shop: &ShopId) -> MovementId {
        self.key.id(shop, self)
    }

    /// The text as scanned.
    pub fn scanned_text(&self) -> &Barcode {
        self.scanned.as_ref().unwrap_or(&self.barcode)
    }

    /// What this version understands of the rest.
    pub fn details(&self) -> Details {
        Details::read(&self.rest)
    }

    /// A void: a movement of no units under which the movement `target` of `barcode` does not count.
    pub fn void(
        barcode: Barcode,
        condition: Condition,
        target: MovementId,
        at: TimeMs,
        details: &Details,
    ) -> Self {
        Self {
            kind: Kind::Void,
            condition,
            key: Key::Void(target),
            barcode,
            scanned: None,
            qty: Qty::ZERO,
            at,
            target: Some(target),
            rest: details.to_bytes(),
        }
    }
}
