//! Where a piece may be asked for, by the numbers of this transaction; and why it is not asked for elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use vitrina_shared::hold::{self, Candidate, Choice, Holding, Offer, Refusal, Terms, Wanted, Why};
use vitrina_shared::stock::Level;
use vitrina_shared::{Barcode, ShopId};

use super::hand::{Hand, Known};
use super::row;
use crate::change::Goods;
use crate::store::sqlite::{Txn, find_barcode};
use crate::store::{StoreError, totals};

/// Every shop is looked at by its key: there is no index by barcode, because the merge would pay for it.
const SHOPS_WITH: &str =
    "SELECT id FROM shop WHERE EXISTS (SELECT 1 FROM total WHERE shop = shop.id AND barcode = ?1)";
const OPEN_OF_ORDER: &str =
    "SELECT count(*) FROM leg WHERE number = ?1 AND hub = 0 AND side IN (0, 2)";
const OPEN_OF_CALLER: &str =
    "SELECT count(*) FROM leg WHERE caller = ?1 AND hub = 0 AND side IN (0, 2)";

/// So many reasons are kept of one search.
const MAX_REJECTED: usize = 300;

/// A shop that was not asked, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The barcode there.
    pub(crate) barcode: Barcode,
    /// Why not, in a word.
    pub(crate) why: String,
    /// How many could be promised there, where that was not enough.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) available: Option<i64>,
}

/// What was looked for, and where it may be.
pub(super) struct Search {
    wanted: Barcode,
    units: i64,
    allow_variant: bool,
    goods: Goods,
    candidates: Vec<Candidate>,
    shops: BTreeMap<ShopId, Arc<Known>>,
}

impl Search {
    /// Looks at every shop that ever had the piece, or at one of them; with variants, where the order takes them.
    pub(super) fn of(
        hand: &mut Hand<'_, '_>,
        terms: &Terms,
        only: Option<u32>,
    ) -> Result<Self, StoreError> {
        let ordered = terms.ordered();
        let goods = hand.txn.goods(ordered);
        let legs = row::of_hold(hand.txn.conn, terms.hold)?;
        let from = match legs.first() {
            None => None,
            Some(first) => place(&*hand.shop(first.shop)?),
        };
        let mut search = Self {
            wanted: ordered.clone(),
            units: terms.qty.units(),
            allow_variant: terms.allow_variant,
            candidates: Vec::new(),
            shops: BTreeMap::new(),
            goods,
        };
        let like = if terms.allow_variant {
            search.goods.like.clone()
        } else {
            Vec::new()
        };
        for barcode in std::iter::once(ordered.clone()).chain(like) {
            let Some(id) = find_barcode(hand.txn.conn, barcode.as_str())? else {
                continue;
            };
            let article = search.goods.article.as_deref();
            for index in shops_with(hand.txn.conn, id)? {
                if only.is_some_and(|only| only != index) {
                    continue;
                }
                let known = hand.shop(index)?;
                search.candidates.push(Candidate {
                    shop: known.row.shop.clone(),
                    article: search.goods.article.clone(),
                    size: search.goods.size.clone(),
                    offer: offer(hand.txn, &known, (id, &barcode), article)?,
                    distance_m: distance_m(from, place(&known)),
                    was_asked: legs.iter().any(|leg| leg.shop == index),
                    barcode: barcode.clone(),
                });
                search.shops.insert(known.row.shop.clone(), known);
            }
        }
        Ok(search)
    }

    /// The best of them.
    pub(super) fn choose(&self) -> Choice<'_> {
        let wanted = Wanted {
            barcode: &self.wanted,
            article: self.goods.article.as_deref(),
            size: self.goods.size.as_deref(),
            units: self.units,
            allow_variant: self.allow_variant,
        };
        hold::choose(&wanted, &self.candidates)
    }

    /// Whether no other barcode is of the same article and size, or they were looked at too.
    pub(super) fn is_of_all_variants(&self) -> bool {
        self.allow_variant || self.goods.like.is_empty()
    }

    /// Everything that was looked at.
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The shop of a candidate.
    pub(super) fn place(&self, of: &Candidate) -> Result<Arc<Known>, StoreError> {
        let known = self.shops.get(&of.shop).map(Arc::clone);
        known.ok_or(StoreError::Damaged("a shop is gone"))
    }
}

/// The numbers of a barcode, which is of `article` where that is known, at a shop.
fn offer(
    txn: &Txn<'_>,
    shop: &Known,
    (barcode, name): (i64, &Barcode),
    article: Option<&str>,
) -> Result<Offer, StoreError> {
    let (conn, index) = (txn.conn, shop.row.index);
    let parts = totals::parts(conn, index, barcode)?;
    let numbers = totals::numbers(&parts, totals::correction(conn, index, barcode)?);
    let numbers = numbers.unwrap_or_default();
    Ok(Offer {
        level: Level {
            on_hand: numbers.on_hand,
            held: row::held(conn, index, barcode)?,
            unavailable: numbers.unavailable,
            safety_stock: txn.safety().units(&shop.row.shop, name, article),
        },
        confidence: shop.confidence,
        policy: shop.row.settings.policy(txn.policy()),
        has_returned: shop.has_returned,
        is_published: shop.row.is_published(),
    })
}

/// What the order and the caller of these terms hold already.
pub(super) fn holding(conn: &Connection, terms: &Terms) -> Result<Holding, StoreError> {
    let count = |sql, of: &str| -> Result<u32, StoreError> {
        Ok(conn
            .prepare_cached(sql)?
            .query_row(params![of], |row| row.get(0))?)
    };
    Ok(Holding {
        of_order: count(OPEN_OF_ORDER, &terms.order)?,
        of_caller: count(OPEN_OF_CALLER, &terms.caller)?,
    })
}

fn shops_with(conn: &Connection, barcode: i64) -> Result<Vec<u32>, StoreError> {
    let mut statement = conn.prepare_cached(SHOPS_WITH)?;
    let rows = statement.query_map([barcode], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn place(shop: &Known) -> Option<(f64, f64)> {
    Some((shop.row.lat?, shop.row.lon?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no two places of the Earth are farther apart than 20,100 km"
)]
fn distance_m(from: Option<(f64, f64)>, to: Option<(f64, f64)>) -> Option<u32> {
    Some((vitrina_shared::distance::distance_km(from?, to?) * 1_000.0) as u32)
}

/// Reasons, as they are kept.
pub(super) fn written(rejected: &[(&Candidate, Why)]) -> String {
    let list: Vec<Rejected> = rejected
        .iter()
        .take(MAX_REJECTED)
        .map(|(candidate, why)| {
            let (why, available) = words(*why);
            Rejected {
                shop: candidate.shop.clone(),
                barcode: candidate.barcode.clone(),
                why: why.to_owned(),
                available,
            }
        })
        .collect();
    serde_json::to_string(&list).unwrap_or_default()
}

/// Reasons, as they were kept.
pub(super) fn read(text: Option<&str>) -> Vec<Rejected> {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// A refusal in a word, with what could be promised.
pub(super) fn refusal_words(refusal: Refusal) -> (&'static str, Option<i64>) {
    match refusal {
        Refusal::NotPublished => ("not_published", None),
        Refusal::NotReturned => ("not_returned", None),
        Refusal::NotPromised(confidence) => (confidence.word(), None),
        Refusal::Insufficient { available } => ("insufficient_stock", Some(available)),
        Refusal::TooManyOfOrder => ("too_many_of_order", None),
        Refusal::TooManyOfCaller => ("too_many_of_key", None),
    }
}

fn words(why: Why) -> (&'static str, Option<i64>) {
    match why {
        Why::AskedBefore => ("asked_before", None),
        Why::VariantNotAllowed => ("variant_not_allowed", None),
        Why::OtherArticle => ("other_article", None),
        Why::OtherSize => ("other_size", None),
        Why::Refused(refusal) => refusal_words(refusal),
        Why::ExactElsewhere => ("exact_elsewhere", None),
        Why::LessSure(_) => ("less_sure", None),
        Why::Farther => ("farther", None),
        Why::LaterInOrder => ("later_in_order", None),
    }
}
