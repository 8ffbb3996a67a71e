//! The account of a barcode, shop by shop: its movements, its numbers and its holds from one snapshot.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::{Barcode, HoldId, ShopId, TimeMs};

use super::sqlite::find_barcode;
use super::{Explained, HoldRow, Store, StoreError, history, holds, shops, totals};
use crate::change::LevelRow;

/// The end of the commit that gave a position out, and when that was; the first commit that is kept is no answer, because
/// those before it are not.
const COMMIT: &str = "SELECT at FROM feed_commit WHERE pos >= ?1 AND ?1 > (SELECT min(pos) FROM feed_commit) \
    ORDER BY pos LIMIT 1";

/// A movement of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The movement, with the on-hand that it led to.
    pub(crate) explained: Explained,
    /// When readers could see it; nothing where that is too long ago to be kept.
    pub(crate) visible_at: Option<TimeMs>,
    /// The hold for which it was made, and its order's number.
    pub(crate) order: Option<(HoldId, Box<str>)>,
}

/// The account of a barcode at a shop.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The movements, by time.
    pub(crate) movements: Vec<Posted>,
    /// The level that they lead to.
    pub(crate) level: LevelRow,
    /// The holds that keep something of it.
    pub(crate) holds: Vec<HoldRow>,
}

/// The accounts of a barcode, by shop, or the one of a shop.
pub(super) fn of(
    conn: &Connection,
    barcode: &Barcode,
    shop: Option<&ShopId>,
) -> Result<Vec<Account>, StoreError> {
    let Some(id) = find_barcode(conn, barcode.as_str())? else {
        return Ok(Vec::new());
    };
    let holds = holds::of_barcode(conn, barcode)?;
    let mut movements: BTreeMap<ShopId, Vec<Posted>> = BTreeMap::new();
    for explained in history::explain(conn, barcode, shop)? {
        let of_shop = movements.entry(explained.row.shop.clone()).or_default();
        of_shop.push(Posted {
            visible_at: visible_at(conn, explained.row.pos)?,
            order: holds::behind_movement(conn, explained.row.id)?,
            explained,
        });
    }
    let mut accounts = Vec::with_capacity(movements.len());
    for (shop, movements) in movements {
        let row = shops::find(conn, &shop)?;
        let row = row.ok_or(StoreError::Damaged("a movement's shop is gone"))?;
        let Some(level) = totals::current(conn, row.index, id, barcode)? else {
            continue;
        };
        let keeps = |hold: &&HoldRow| {
            let mut legs = hold.legs.iter();
            legs.any(|leg| leg.held > 0 && leg.leg.terms.shop == shop)
        };
        accounts.push(Account {
            holds: holds.iter().filter(keeps).cloned().collect(),
            shop,
            movements,
            level,
        });
    }
    Ok(accounts)
}

fn visible_at(conn: &Connection, pos: u64) -> Result<Option<TimeMs>, StoreError> {
    let at: Option<i64> = conn
        .prepare_cached(COMMIT)?
        .query_row(params![pos.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(at.map(TimeMs))
}

impl Store {
    /// The accounts of a barcode by shop, or the one of a shop: movements, numbers and holds of one snapshot. What is kept back
    /// is not among the numbers.
    pub(crate) async fn account(
        &self,
        barcode: Barcode,
        shop: Option<ShopId>,
    ) -> Result<Vec<Account>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| of(conn, &barcode, shop.as_ref()))
                    .await
            }
        }
    }
}
