//! Whether a leg may be opened at a shop. Decided on the numbers of the transaction that opens it, never on a view.

use crate::freshness::Confidence;
use crate::planted;
use crate::stock::Level;

/// How much of what is available is promised at a degree of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// All of it.
    All,
    /// All but so many units.
    AllBut(u32),
    /// Nothing.
    Nothing,
}

/// What is promised of a shop that is not heard from. What is live or closed is always promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of a silent shop.
    pub stale: Promise,
    /// Of one that was never heard from in this life of the hub.
    pub unknown: Promise,
}

impl Default for Policy {
    /// The number of a silent shop still stands; of an unknown one nothing is promised.
    fn default() -> Self {
        Self {
            stale: Promise::All,
            unknown: Promise::Nothing,
        }
    }
}

/// How much one caller may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The most open legs of one order.
    pub order: Option<u32>,
    /// The most open legs of one API key.
    pub caller: Option<u32>,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            order: Some(50),
            caller: None,
        }
    }
}

/// A barcode at a shop as the transaction reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its numbers, what is held and the safety stock included.
    pub level: Level,
    /// How far they can be relied on.
    pub confidence: Confidence,
    /// What is promised at that confidence.
    pub policy: Policy,
    /// The shop has returned its legs to this life of the hub: what is held is known.
    pub has_returned: bool,
    /// The shop is on the website, and not closed for good.
    pub is_published: bool,
}

/// What a caller holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Open legs of the same order.
    pub of_order: u32,
    /// Open legs of the same API key.
    pub of_caller: u32,
}

/// Why a leg is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The shop is not on the website.
    NotPublished,
    /// The shop has not yet told this life of the hub what it holds.
    NotReturned,
    /// Nothing is promised at this confidence.
    NotPromised(Confidence),
    /// There is not so much.
    Insufficient {
        /// So much could be promised.
        available: i64,
    },
    /// The order has as many open legs as it may have.
    TooManyOfOrder,
    /// The API key has as many open legs as it may have.
    TooManyOfCaller,
}

/// So many units can be promised; at a confidence at which nothing is promised, why.
///
/// # Errors
///
/// [`Refusal::NotPublished`], [`Refusal::NotReturned`], [`Refusal::NotPromised`].
pub fn promisable(offer: &Offer) -> Result<i64, Refusal> {
    if !offer.is_published {
        return Err(Refusal::NotPublished);
    }
    if !offer.has_returned && !planted::is("granted_before_the_legs_are_back") {
        return Err(Refusal::NotReturned);
    }
    let promise = match offer.confidence {
        Confidence::Live | Confidence::Closed => Promise::All,
        Confidence::Stale => offer.policy.stale,
        Confidence::Unknown => offer.policy.unknown,
    };
    let mut level = offer.level;
    if planted::is("held_pieces_are_granted_again") {
        level.held = 0;
    }
    if planted::is("safety_stock_is_granted") {
        level.safety_stock = 0;
    }
    match promise {
        Promise::All => Ok(level.available()),
        Promise::AllBut(units) => Ok((level.available() - i64::from(units)).max(0)),
        Promise::Nothing => Err(Refusal::NotPromised(offer.confidence)),
    }
}

/// Whether a leg of `units` may be opened there.
///
/// # Errors
///
/// [`Refusal`]: why not.
pub fn grant(offer: &Offer, units: i64, holding: Holding, caps: &Caps) -> Result<(), Refusal> {
    if caps.order.is_some_and(|most| holding.of_order >= most) {
        return Err(Refusal::TooManyOfOrder);
    }
    if caps.caller.is_some_and(|most| holding.of_caller >= most) {
        return Err(Refusal::TooManyOfCaller);
    }
    let available = promisable(offer)?;
    if units > available {
        return Err(Refusal::Insufficient { available });
    }
    Ok(())
}
