//! Whether a leg may be opened at a shop. Decided on the numbers of the transaction that opens it, never on a view.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::freshness::Confidence;
use crate::planted;
use crate::stock::Level;

/// How much of what is available is promised at a degree of confidence: `"all"`, `"nothing"`, or a number of units of each
/// level that is kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Promise {
    /// All of it.
    All,
    /// All but so many units.
    AllBut(u32),
    /// Nothing.
    Nothing,
}

/// Not a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("say all, nothing, or how many pieces of each level are kept back")]
pub struct PromiseError;

/// A promise as settings say it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Units(i64),
    Word(String),
}

impl From<Promise> for Written {
    fn from(promise: Promise) -> Self {
        match promise {
            Promise::AllBut(units) => Self::Units(units.into()),
            word => Self::Word(word.to_string()),
        }
    }
}

impl TryFrom<Written> for Promise {
    type Error = PromiseError;

    fn try_from(written: Written) -> Result<Self, PromiseError> {
        match written {
            Written::Units(units) => { units.try_into() }
                .map(Self::AllBut)
                .map_err(|_| PromiseError),
            Written::Word(word) => word.parse(),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::AllBut(units) => units.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl FromStr for Promise {
    type Err = PromiseError;

    fn from_str(text: &str) -> Result<Self, PromiseError> {
        match text {
            "all" => Ok(Self::All),
            "nothing" => Ok(Self::Nothing),
            units => units.parse().map(Self::AllBut).map_err(|_| PromiseError),
        }
    }
}

impl Promise {
    /// So many of the available units are promised.
    pub fn of(self, available: i64) -> i64 {
        match self {
            Self::All => available,
            Self::AllBut(units) => available.saturating_sub(units.into()).max(0),
            Self::Nothing => 0,
        }
    }
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

impl Policy {
    /// What is promised at a degree of confidence.
    pub fn at(self, confidence: Confidence) -> Promise {
        match confidence {
            Confidence::Live | Confidence::Closed => Promise::All,
            Confidence::Stale => self.stale,
            Confidence::Unknown => self.unknown,
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
    let promise = offer.policy.at(offer.confidence);
    let mut level = offer.level;
    if planted::is("held_pieces_are_granted_again") {
        level.held = 0;
    }
    if planted::is("safety_stock_is_granted") {
        level.safety_stock = 0;
    }
    if promise == Promise::Nothing {
        return Err(Refusal::NotPromised(offer.confidence));
    }
    Ok(promise.of(level.available()))
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
