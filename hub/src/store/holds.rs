//! Holds and their legs as rows: the decisions of `shared::hold` over what this file says, in the transaction that asks.

mod asked;
mod check;
mod destination;
mod end;
mod facts;
mod hand;
mod join;
mod offer;
mod place;
mod row;
mod settle;
mod tell;
mod told;
mod unanswered;
mod work;

pub(crate) use destination::{Destination, Sending};
pub(crate) use end::Ending;
pub(crate) use join::BroughtLegs;
pub(crate) use offer::Rejected;
pub(crate) use place::{Alternative, NewHold, Placing, Refused};
pub(crate) use tell::{HoldFilter, HoldRow, LegRow};

pub(super) use asked::{AskedFor, list as asked_for, one as asked_one};
pub(super) use check::{repair_legs, wrong_legs};
pub(super) use destination::to_ship;
pub(super) use hand::GoodsOf;
pub(super) use join::receive;
pub(super) use row::{held, held_everywhere, held_of_shop};
pub(super) use tell::{after, behind_movement, of_barcode};
pub(super) use work::{end as end_work, over as work_over};

use std::sync::Arc;

use rusqlite::{Connection, params};
use vitrina_shared::hold::Policy;
use vitrina_shared::{HoldId, ShopId, TimeMs};

use super::safety::BarcodesOf;
use super::sqlite::Txn;
use super::{Store, StoreError};
use crate::audit::By;

const FORGET_RETURNS: &str = "DELETE FROM legs_returned";
const ADD_RETURN: &str = "INSERT INTO legs_returned (shop, life, at) VALUES (?1, ?2, ?3) \
    ON CONFLICT (shop) DO UPDATE SET life = excluded.life, at = excluded.at WHERE life <> excluded.life";
const HAS_RETURNED: &str =
    "SELECT EXISTS (SELECT 1 FROM legs_returned WHERE shop = ?1 AND life = ?2)";

/// A new life knows nothing of what the shops keep.
pub(super) fn forget_returns(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached(FORGET_RETURNS)?.execute([])?;
    Ok(())
}

/// The shop has returned its legs to this life; whether that is news.
fn add_return(conn: &Connection, shop: u32, life: u64, at: i64) -> Result<bool, StoreError> {
    let written =
        conn.prepare_cached(ADD_RETURN)?
            .execute(params![shop, life.cast_signed(), at])?;
    Ok(written > 0)
}

/// Whether it has.
fn has_returned(conn: &Connection, shop: u32, life: u64) -> Result<bool, StoreError> {
    let found = conn
        .prepare_cached(HAS_RETURNED)?
        .query_row(params![shop, life.cast_signed()], |row| row.get(0))?;
    Ok(found)
}

impl Store {
    /// Names who is asked which other barcodes are of the same article and size, in the middle of a write.
    pub(crate) fn ask_of_goods(&self, goods: GoodsOf) {
        match self {
            Self::Sqlite(store) => store.ask_of_goods(goods),
        }
    }

    /// Names who is asked for the barcodes of an article, in the middle of a write.
    pub(crate) fn ask_of_articles(&self, barcodes_of: BarcodesOf) {
        match self {
            Self::Sqlite(store) => store.ask_of_articles(barcodes_of),
        }
    }

    /// What is promised of a shop that is not heard from.
    pub(crate) fn promise(&self, policy: Policy) {
        match self {
            Self::Sqlite(store) => store.promise(policy),
        }
    }

    /// Places a hold, on the numbers of the transaction that opens its leg; under a key that was used before it says how
    /// that hold stands. Most that ask for a last piece come too late: they are told so by a reader, and neither wait behind
    /// the merges nor hold them up. By nobody who is named, here and below: a website, whose orders are no records of the audit list.
    pub(crate) async fn place_hold(
        &self,
        by: Option<By>,
        new: NewHold,
    ) -> Result<Placing, StoreError> {
        let new = Arc::new(new);
        let asked = Arc::clone(&new);
        match self {
            Self::Sqlite(store) => {
                if new.looks_gone
                    && let Some(told) = store.look(move |txn| place::look(txn, &asked)).await?
                {
                    return Ok(told);
                }
                store
                    .write(move |txn| place::place(txn, by.as_ref(), &new))
                    .await
            }
        }
    }

    /// Lets a hold go.
    pub(crate) async fn release_hold(
        &self,
        by: Option<By>,
        id: HoldId,
    ) -> Result<Ending, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| end::release(txn, by.as_ref(), id))
                    .await
            }
        }
    }

    /// Has the shop that keeps a hold's piece send it to another.
    pub(crate) async fn send_hold(
        &self,
        by: Option<By>,
        id: HoldId,
        to: ShopId,
    ) -> Result<Sending, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| destination::send(txn, by.as_ref(), (id, &to)))
                    .await
            }
        }
    }

    /// Keeps a hold until so long from now.
    pub(crate) async fn extend_hold(
        &self,
        by: Option<By>,
        id: HoldId,
        ttl_ms: i64,
    ) -> Result<Ending, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| end::extend(txn, by.as_ref(), (id, ttl_ms)))
                    .await
            }
        }
    }

    /// How long a shop may take for its answer.
    pub(crate) fn answer_within(&self, ms: i64) {
        match self {
            Self::Sqlite(store) => store.answer_within(ms),
        }
    }

    /// Ends at most so many holds whose time is over, then looks for another shop for some of the legs that were not
    /// answered in time; how many of both there were.
    pub(crate) async fn keep_time(&self, most: usize) -> Result<usize, StoreError> {
        let both = move |txn: &mut Txn<'_>| Ok(end::expire(txn, most)? + unanswered::go_on(txn)?);
        match self {
            Self::Sqlite(store) => store.write(both).await,
        }
    }

    /// When the next hold is over, or another shop is looked for.
    pub(crate) async fn next_hold_due(&self) -> Result<Option<TimeMs>, StoreError> {
        let both = |conn: &Connection| {
            let (over, late) = (tell::due(conn)?, unanswered::next(conn)?);
            Ok(over.into_iter().chain(late).min())
        };
        match self {
            Self::Sqlite(store) => store.read(both).await,
        }
    }

    /// One hold.
    pub(crate) async fn hold(&self, id: HoldId) -> Result<Option<HoldRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| tell::one(conn, id)).await,
        }
    }

    /// Holds, the latest first.
    pub(crate) async fn holds(&self, filter: HoldFilter) -> Result<tell::HoldPage, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| tell::list(conn, &filter)).await,
        }
    }
}
