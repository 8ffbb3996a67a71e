//! A caller asks for a hold: granted on the numbers of the transaction that opens its leg, or not at all.

use std::sync::Arc;

use rusqlite::OptionalExtension;
use vitrina_host::sign;
use vitrina_shared::freshness::Confidence;
use vitrina_shared::hold::{Candidate, Caps, Purpose, Refusal, Terms, Why, grant, promisable};
use vitrina_shared::{Barcode, HoldId, Qty, ShopId};

use super::destination::{self, Destination};
use super::hand::{Hand, Known};
use super::offer::{self, Search};
use super::tell::{self, HoldRow};
use super::told;
use crate::audit::{By, What};
use crate::store::sqlite::Txn;
use crate::store::{StoreError, shops};

const ASKED: &str = "SELECT asked FROM hold WHERE id = ?1";

/// So many other places are named to whoever is refused.
const MAX_ALTERNATIVES: usize = 20;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct NewHold {
    /// The id of its API key.
    pub(crate) caller: Box<str>,
    /// Under which key it asks.
    pub(crate) idempotency_key: Box<str>,
    /// What it wants.
    pub(crate) barcode: Barcode,
    /// Where; nothing: wherever it is best.
    pub(crate) shop: Option<ShopId>,
    /// How many.
    pub(crate) qty: Qty,
    /// The order's number.
    pub(crate) order: Box<str>,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// How long.
    pub(crate) ttl_ms: i64,
    /// Another barcode of the same article and size will do.
    pub(crate) allow_variant: bool,
    /// How much may be held at once.
    pub(crate) caps: Caps,
    /// Where the piece is to go.
    pub(crate) destination: Option<Destination>,
    /// As readers see it nobody has so many: most likely nothing is to be written.
    pub(crate) looks_gone: bool,
}

/// Where else it is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// The shop.
    pub(crate) shop: ShopId,
    /// Its name for people.
    pub(crate) name: String,
    /// Its city.
    pub(crate) city: Option<String>,
    /// The barcode there.
    pub(crate) barcode: Barcode,
    /// How many could be promised.
    pub(crate) available: i64,
    /// How far that can be relied on.
    pub(crate) confidence: Confidence,
}

/// Why nothing is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) why: Refusal,
    /// Where else it is to be had, the best first.
    pub(crate) alternatives: Vec<Alternative>,
}

impl Refused {
    /// Why, in a word, and how many could be promised.
    pub(crate) fn words(&self) -> (&'static str, Option<i64>) {
        offer::refusal_words(self.why)
    }
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) enum Placing {
    /// It is held.
    Placed(HoldRow),
    /// It was asked for before, under this key; so it stands now.
    Again(HoldRow),
    /// Something else was asked for under this key.
    Mismatch,
    /// There is no such shop.
    UnknownShop,
    /// Nothing was opened.
    Refused(Refused),
}

impl NewHold {
    /// The hold's id.
    pub(crate) fn id(&self) -> HoldId {
        HoldId::of(&self.caller, &self.idempotency_key)
    }

    /// What is asked for, as a hash. How long the caller waits for the answer is none of it.
    fn hash(&self) -> [u8; 32] {
        let shop = self.shop.as_ref().map_or("", ShopId::as_str);
        let mut text = serde_json::json!([
            self.barcode.as_str(),
            shop,
            self.qty.units(),
            self.order,
            self.purpose.word(),
            self.ttl_ms,
            self.allow_variant,
        ]);
        // What is asked for without one has the hash that it had before there were any.
        if let (Some(to), Some(list)) = (&self.destination, text.as_array_mut()) {
            list.push(serde_json::json!([to.to.as_str(), to.is_stock]));
        }
        sign::sha256(text.to_string().as_bytes())
    }

    fn terms(&self, txn: &Txn<'_>) -> Result<Terms, StoreError> {
        Ok(Terms {
            hold: self.id(),
            // Whatever shop is chosen takes its place.
            shop: self
                .shop
                .clone()
                .map_or_else(|| "none".parse(), Ok)
                .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?,
            barcode: self.barcode.clone(),
            ordered: None,
            qty: self.qty,
            order: self.order.clone(),
            caller: self.caller.clone(),
            purpose: self.purpose,
            created_at: txn.now,
            allow_variant: self.allow_variant,
            comes_from: None,
        })
    }
}

/// What a caller hears.
enum Found {
    /// At once: nothing is to be written.
    Told(Placing),
    /// The hold, once its leg is opened.
    Granted(Box<Granted>),
}

/// A hold that may be opened on the numbers of this transaction.
struct Granted {
    terms: Terms,
    asked: [u8; 32],
    shop: Arc<Known>,
    barcode: Barcode,
    /// Why other shops were not chosen: JSON.
    rejected: String,
    /// Where the piece is to go, and whether it is stock there.
    to: Option<(u32, bool)>,
}

/// Places a hold.
pub(super) fn place(
    txn: &mut Txn<'_>,
    by: Option<&By>,
    new: &NewHold,
) -> Result<Placing, StoreError> {
    let granted = match find(txn, new)? {
        Found::Told(placing) => return Ok(placing),
        Found::Granted(granted) => granted,
    };
    let row = open(txn, new, *granted)?;
    let is_stock = new.destination.as_ref().is_some_and(|to| to.is_stock);
    let what = if is_stock {
        What::TransferRequest
    } else {
        What::HoldPlace
    };
    told::add(txn, by, what, &row)?;
    Ok(Placing::Placed(row))
}

/// What can be said without a write; nothing where the hold may be granted, which only the transaction decides that opens
/// its leg.
pub(super) fn look(txn: &mut Txn<'_>, new: &NewHold) -> Result<Option<Placing>, StoreError> {
    Ok(match find(txn, new)? {
        Found::Told(placing) => Some(placing),
        Found::Granted(_) => None,
    })
}

fn find(txn: &mut Txn<'_>, new: &NewHold) -> Result<Found, StoreError> {
    let (id, asked) = (new.id(), new.hash());
    let known: Option<Option<[u8; 32]>> = txn
        .conn
        .prepare_cached(ASKED)?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    match known {
        Some(Some(before)) if before != asked => return Ok(Found::Told(Placing::Mismatch)),
        Some(_) => {
            let hold = tell::one(txn.conn, id)?;
            let again = hold.map(|row| Found::Told(Placing::Again(row)));
            return again.ok_or(StoreError::Damaged("a hold has no leg"));
        }
        None => {}
    }
    let only = match &new.shop {
        None => None,
        Some(shop) => match shops::find(txn.conn, shop)? {
            Some(row) => Some(row.index),
            None => return Ok(Found::Told(Placing::UnknownShop)),
        },
    };
    let to = match &new.destination {
        None => None,
        Some(to) => match shops::find(txn.conn, &to.to)? {
            Some(row) if !row.settings.closed => Some((row.index, to.is_stock)),
            _ => return Ok(Found::Told(Placing::UnknownShop)),
        },
    };
    let terms = new.terms(txn)?;
    let mut hand = Hand::new(txn)?;
    let search = Search::of(&mut hand, &terms, only)?;
    let choice = search.choose();
    let best = match choice.best {
        None => Err(refusal(&choice.rejected)),
        Some(best) => {
            let holding = offer::holding(hand.txn.conn, &terms)?;
            grant(&best.offer, new.qty.units(), holding, &new.caps).map(|()| best)
        }
    };
    let granted = match best {
        Ok(best) => Granted {
            asked,
            shop: search.place(best)?,
            barcode: best.barcode.clone(),
            rejected: offer::written(&choice.rejected),
            to,
            terms,
        },
        Err(why) => {
            let alternatives = alternatives(&mut hand, search, &terms, only)?;
            let refused = Refused { why, alternatives };
            return Ok(Found::Told(Placing::Refused(refused)));
        }
    };
    Ok(Found::Granted(Box::new(granted)))
}

fn open(txn: &mut Txn<'_>, new: &NewHold, granted: Granted) -> Result<HoldRow, StoreError> {
    let id = granted.terms.hold;
    let mut hand = Hand::new(txn)?;
    hand.add_hold(id, Some(granted.asked))?;
    let until = hand.now().plus(new.ttl_ms);
    hand.open(
        &granted.terms,
        (&granted.shop, granted.barcode),
        None,
        until,
        Some(granted.rejected),
    )?;
    if let Some(to) = granted.to {
        destination::set(hand.txn, id, to)?;
    }
    super::settle::settle(&mut hand, id)?;
    hand.finish()?;
    let hold = tell::one(txn.conn, id)?;
    hold.ok_or(StoreError::Damaged("a hold has no leg"))
}

/// What one word says why nobody can: there is not so much, where some shop may promise at all.
fn refusal(rejected: &[(&Candidate, Why)]) -> Refusal {
    let refusals = || {
        rejected.iter().filter_map(|(_, why)| match why {
            Why::Refused(refusal) => Some(*refusal),
            _ => None,
        })
    };
    let most = refusals()
        .filter_map(|refusal| match refusal {
            Refusal::Insufficient { available } => Some(available),
            _ => None,
        })
        .max();
    match most {
        Some(available) => Refusal::Insufficient { available },
        None => refusals()
            .next_back()
            .unwrap_or(Refusal::Insufficient { available: 0 }),
    }
}

/// Where else it is to be had: in whatever shop, and whatever barcode of the same article and size.
fn alternatives(
    hand: &mut Hand<'_, '_>,
    search: Search,
    terms: &Terms,
    asked: Option<u32>,
) -> Result<Vec<Alternative>, StoreError> {
    let search = if asked.is_none() && search.is_of_all_variants() {
        search
    } else {
        let terms = Terms {
            allow_variant: true,
            ..terms.clone()
        };
        Search::of(hand, &terms, None)?
    };
    let mut found: Vec<(&Candidate, i64)> = search
        .candidates()
        .iter()
        .filter_map(|one| {
            let available = promisable(&one.offer).ok().filter(|units| *units > 0)?;
            Some((one, available))
        })
        .collect();
    found.sort_by_key(|(one, available)| {
        let has_enough = *available >= terms.qty.units();
        (
            !has_enough,
            one.barcode != terms.barcode,
            std::cmp::Reverse(one.offer.confidence),
            one.shop.clone(),
        )
    });
    let mut list = Vec::new();
    for (one, available) in found {
        let known = search.place(one)?;
        let is_what_was_asked = asked == Some(known.row.index) && one.barcode == terms.barcode;
        if is_what_was_asked || list.len() == MAX_ALTERNATIVES {
            continue;
        }
        list.push(Alternative {
            shop: one.shop.clone(),
            name: known.row.settings.name.clone(),
            city: known.row.settings.city.clone(),
            barcode: one.barcode.clone(),
            available,
            confidence: one.offer.confidence,
        });
    }
    Ok(list)
}
