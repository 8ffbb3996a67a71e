//! A leg: one request to one shop within a hold.

use std::sync::Arc;

use super::side::{HubSide, HubState, ShopSide};
use crate::{Barcode, HoldId, LegId, Qty, ShopId, TimeMs};

/// The most bytes of an order's number.
pub const MAX_ORDER_BYTES: usize = 128;

/// The most bytes of the id of the API key that placed a hold.
pub const MAX_CALLER_BYTES: usize = 64;

/// So far back a shop returns its legs to a new life of the hub; one that still asks for something always.
pub const RETURN_MS: i64 = 400 * 86_400_000;

/// What a hold is for: how long it lasts when nobody says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// It lies in a basket.
    Cart,
    /// It was ordered.
    #[default]
    Order,
}

impl Purpose {
    /// How long a hold of this kind lasts unless the caller says otherwise.
    pub fn ttl_ms(self) -> i64 {
        match self {
            Self::Cart => 900_000,
            Self::Order => 86_400_000,
        }
    }

    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cart => "cart",
            Self::Order => "order",
        }
    }

    /// The purpose of a word of the public interface.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Cart, Self::Order]
            .into_iter()
            .find(|purpose| purpose.word() == word)
    }

    /// 0 or 1, as stored and on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The purpose of a number: 0 a basket, all else an order.
    pub fn of_number(number: u8) -> Self {
        if number == 0 { Self::Cart } else { Self::Order }
    }
}

/// What of a leg never changes. It says everything of its hold, so that a hub that lost the hold has it back with any
/// of its legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The hold.
    pub hold: HoldId,
    /// The shop that is asked.
    pub shop: ShopId,
    /// The barcode that is asked for there.
    pub barcode: Barcode,
    /// What was ordered, where this shop is asked for another barcode of the same article and size.
    pub ordered: Option<Barcode>,
    /// How many pieces, at least 1.
    pub qty: Qty,
    /// The order's number, for people; at most [`MAX_ORDER_BYTES`].
    pub order: Box<str>,
    /// The id of the API key that placed the hold; at most [`MAX_CALLER_BYTES`].
    pub caller: Box<str>,
    /// What it is for.
    pub purpose: Purpose,
    /// When the hub opened the leg, by its clock.
    pub created_at: TimeMs,
    /// Another barcode of the same article and size will do.
    pub allow_variant: bool,
    /// The leg whose piece travels here: this one needs no stock, and holds nothing until the piece has come.
    pub comes_from: Option<LegId>,
}

impl Terms {
    /// What was ordered.
    pub fn ordered(&self) -> &Barcode {
        self.ordered.as_ref().unwrap_or(&self.barcode)
    }
}

/// One request to one shop within a hold. Two copies of a leg join side by side.
///
/// ```
/// use std::sync::Arc;
/// use vitrina_shared::hold::{HubSide, HubState, Leg, Purpose, ShopSide, Terms};
/// use vitrina_shared::{HoldId, LegId, Qty, TimeMs};
///
/// let leg = Leg {
///     id: LegId([7; 16]),
///     terms: Arc::new(Terms {
///         hold: HoldId::of("site", "order 1024, line 1"),
///         shop: "S017".parse()?,
///         barcode: "2000018987155".parse()?,
///         ordered: None,
///         qty: Qty::new(1)?,
///         order: "1024".into(),
///         caller: "site".into(),
///         purpose: Purpose::Order,
///         created_at: TimeMs(1_790_000_000_000),
///         allow_variant: false,
///         comes_from: None,
///     }),
///     hub: HubSide { state: HubState::Requested, expires_at: TimeMs(1_790_086_400_000) },
///     shop: ShopSide::None,
/// };
/// let confirmed = Leg { shop: ShopSide::Confirmed { at: TimeMs(1_790_000_060_000) }, ..leg.clone() };
/// assert_eq!(leg.join(&confirmed), confirmed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its name.
    pub id: LegId,
    /// What never changes.
    pub terms: Arc<Terms>,
    /// The hub's side.
    pub hub: HubSide,
    /// The shop's side.
    pub shop: ShopSide,
}

impl Leg {
    /// The join with another copy of the same leg.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        debug_assert_eq!(self.id, other.id);
        Self {
            id: self.id,
            terms: Arc::clone(&self.terms),
            hub: self.hub.join(other.hub),
            shop: self.shop.join(other.shop),
        }
    }

    /// The units that it asks for.
    pub fn units(&self) -> i64 {
        self.terms.qty.units()
    }

    /// The hub still wants something of the shop.
    pub fn is_requested(&self) -> bool {
        self.hub.state == HubState::Requested
    }

    /// Whether a shop returns it to a new life of the hub at `now`: it is asked for still, or anything of it is not
    /// older than [`RETURN_MS`].
    pub fn is_returned(&self, now: TimeMs) -> bool {
        let last = self.terms.created_at.max(self.hub.expires_at);
        let last = self.shop.at().map_or(last, |at| last.max(at));
        self.is_requested() || now.since(last) <= RETURN_MS
    }

    /// In the order in which legs of one barcode give way when there is not enough: the last of them first.
    pub fn rank(&self) -> (TimeMs, LegId) {
        (self.terms.created_at, self.id)
    }
}
