//! Transfers as readers see them.

use rusqlite::{Connection, params};
use vitrina_shared::transfer::{State, Transfer};
use vitrina_shared::{ShopId, TimeMs, TransferId};

use super::{Stored, read};
use crate::store::history::{self, MovementRow};
use crate::store::{StoreError, shops};

const ALL: &str = "SELECT t.id, t.opened FROM transfer AS t WHERE t.opened < ?1 AND (?2 IS NULL OR t.state = ?2) \
    AND (?3 IS NULL OR t.since < ?3) ORDER BY t.opened DESC LIMIT ?4";
// The condition is that of the index: without it every transfer there ever was would be read.
const OPEN: &str = "SELECT t.id, t.opened FROM transfer AS t WHERE t.open = 1 AND t.opened < ?1 AND (?2 IS NULL OR t.state = ?2) \
    AND (?3 IS NULL OR t.since < ?3) ORDER BY t.opened DESC LIMIT ?4";
const OF_SHOP: &str = "SELECT t.id, t.opened FROM transfer_place AS p JOIN transfer AS t ON t.id = p.transfer \
    WHERE p.opened < ?1 AND (?2 IS NULL OR t.state = ?2) AND (?3 IS NULL OR t.since < ?3) AND p.shop = ?5 \
    AND (?6 = 0 OR t.open = 1) ORDER BY p.opened DESC LIMIT ?4";

const TO_LOOK_AT: &str = "SELECT t.id FROM transfer AS t WHERE t.open = 1 AND (t.state = 4 OR t.since < ?1) \
    ORDER BY t.opened LIMIT 2000";

/// A transfer as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct TransferRow {
    /// Its name.
    pub(crate) id: TransferId,
    /// What the sender calls it.
    pub(crate) document: Option<Box<str>>,
    /// The sending shop, by the movements' word.
    pub(crate) from: Option<Box<str>>,
    /// Since when it is under way, or was: by the shop's word.
    pub(crate) since: TimeMs,
    /// What its movements say together.
    pub(crate) transfer: Transfer,
}

/// Which transfers.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransferFilter {
    /// Those that concern this shop, at either end.
    pub(crate) shop: Option<ShopId>,
    /// Those in this state.
    pub(crate) state: Option<State>,
    /// Only those for which somebody waits, or at which somebody must look.
    pub(crate) open: bool,
    /// Only those that left before.
    pub(crate) sent_before: Option<TimeMs>,
    /// Only those heard of before this position: where the last page ended.
    pub(crate) before: Option<u64>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Transfers, the latest heard of first.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransferPage {
    /// The transfers.
    pub(crate) transfers: Vec<TransferRow>,
    /// Go on before this position; nothing: the end.
    pub(crate) next: Option<u64>,
}

fn row(id: TransferId, stored: Stored) -> TransferRow {
    TransferRow {
        id,
        document: stored.document,
        from: stored.sender,
        since: stored.since,
        transfer: stored.transfer,
    }
}

/// One transfer, with its movements.
pub(super) fn one(
    conn: &Connection,
    id: TransferId,
) -> Result<Option<(TransferRow, Vec<MovementRow>)>, StoreError> {
    let Some(stored) = read(conn, id)? else {
        return Ok(None);
    };
    let movements = history::at(conn, &stored.places)?;
    Ok(Some((row(id, stored), movements)))
}

/// The transfers of which other things came than were sent, and those that are under way since before `stuck`.
pub(super) fn to_look_at(conn: &Connection, stuck: TimeMs) -> Result<Vec<TransferRow>, StoreError> {
    let ids: Vec<TransferId> = conn
        .prepare_cached(TO_LOOK_AT)?
        .query_map([stuck.0], |row| row.get(0).map(TransferId))?
        .collect::<Result<_, _>>()?;
    let mut list = Vec::with_capacity(ids.len());
    for id in ids {
        list.extend(read(conn, id)?.map(|stored| row(id, stored)));
    }
    Ok(list)
}

/// Transfers by what is asked.
pub(super) fn list(conn: &Connection, filter: &TransferFilter) -> Result<TransferPage, StoreError> {
    let shop = match &filter.shop {
        None => None,
        Some(shop) => match shops::find(conn, shop)? {
            Some(row) => Some(row.index),
            None => return Ok(TransferPage::default()),
        },
    };
    let before = filter.before.map_or(i64::MAX, u64::cast_signed);
    let most = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let state = filter.state.map(State::number);
    let sent = filter.sent_before.map(|at| at.0);
    let take = |row: &rusqlite::Row<'_>| Ok((TransferId(row.get(0)?), row.get(1)?));
    let found: Vec<(TransferId, i64)> = match shop {
        Some(shop) => conn
            .prepare_cached(OF_SHOP)?
            .query_map(params![before, state, sent, most, shop, filter.open], take)?
            .collect::<Result<_, _>>()?,
        None => conn
            .prepare_cached(if filter.open { OPEN } else { ALL })?
            .query_map(params![before, state, sent, most], take)?
            .collect::<Result<_, _>>()?,
    };
    let mut page = TransferPage::default();
    for (id, opened) in found {
        if page.transfers.len() == filter.limit {
            page.next = Some(opened.cast_unsigned() + 1);
            break;
        }
        if let Some(stored) = read(conn, id)? {
            page.transfers.push(row(id, stored));
        }
    }
    Ok(page)
}
