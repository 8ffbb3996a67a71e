//! Transfers as readers see them.

use rusqlite::{Connection, params};
use vitrina_shared::transfer::{State, Transfer};
use vitrina_shared::{HoldId, ShopId, TimeMs, TransferId};

use super::{Stored, read};
use crate::store::history::{self, MovementRow};
use crate::store::holds::{self, AskedFor, HoldRow};
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

// What came elsewhere meanwhile is said as that.
const TO_STRANGERS: &str = "SELECT DISTINCT t.id, t.opened FROM transfer_stranger AS s JOIN transfer AS t ON t.id = s.transfer \
    WHERE t.open = 1 AND t.state IN (0, 1) ORDER BY t.opened LIMIT 2000";
const STRANGERS: &str = "SELECT shop FROM transfer_stranger WHERE transfer = ?1 ORDER BY shop";

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

/// What the list of transfers is made of.
#[derive(Clone, Debug)]
pub(crate) enum TransferEntry {
    /// It left, or it came.
    Moved(TransferRow),
    /// A shop is asked to send it. It has no movement yet, and so the name of the hold that keeps the piece.
    Asked(HoldRow),
}

/// In which state they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TransferState {
    /// In whichever.
    #[default]
    All,
    /// Those for which somebody waits, or at which somebody must look.
    Open,
    /// Those that a shop is asked to send.
    Requested,
    /// Those of which the movements say this.
    Is(State),
}

/// Which transfers.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransferFilter {
    /// Those that concern this shop, at either end.
    pub(crate) shop: Option<ShopId>,
    /// Those in this state.
    pub(crate) state: TransferState,
    /// Only those that left, or were asked for, before.
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
    pub(crate) transfers: Vec<TransferEntry>,
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

/// One transfer, with its movements; one that is only asked for by the name of its hold.
pub(super) fn one(
    conn: &Connection,
    id: TransferId,
) -> Result<Option<(TransferEntry, Vec<MovementRow>)>, StoreError> {
    let Some(stored) = read(conn, id)? else {
        let asked = holds::asked_one(conn, HoldId(id.0))?;
        return Ok(asked.map(|hold| (TransferEntry::Asked(hold), Vec::new())));
    };
    let movements = history::at(conn, &stored.places)?;
    Ok(Some((TransferEntry::Moved(row(id, stored)), movements)))
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

/// The transfers under way to shops that this hub does not know, with their names.
pub(super) fn to_strangers(
    conn: &Connection,
) -> Result<Vec<(TransferRow, Vec<String>)>, StoreError> {
    let ids: Vec<TransferId> = conn
        .prepare_cached(TO_STRANGERS)?
        .query_map([], |row| row.get(0).map(TransferId))?
        .collect::<Result<_, _>>()?;
    let mut list = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(stored) = read(conn, id)? else {
            continue;
        };
        let mut strangers: Vec<String> = conn
            .prepare_cached(STRANGERS)?
            .query_map([id.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        strangers.retain(|name| stored.transfer.to.iter().any(|to| to.as_str() == name));
        if !strangers.is_empty() {
            list.push((row(id, stored), strangers));
        }
    }
    Ok(list)
}

/// Transfers by what is asked, the latest heard of first. Those that are only asked for stand where they were asked for:
/// both kinds have positions of one feed.
pub(super) fn list(conn: &Connection, filter: &TransferFilter) -> Result<TransferPage, StoreError> {
    let shop = match &filter.shop {
        None => None,
        Some(shop) => match shops::find(conn, shop)? {
            Some(row) => Some(row.index),
            None => return Ok(TransferPage::default()),
        },
    };
    let mut found = asked(conn, filter, shop)?;
    found.extend(moved(conn, filter, shop)?);
    found.sort_unstable_by_key(|(_, pos)| std::cmp::Reverse(*pos));
    let mut page = TransferPage::default();
    for (name, pos) in found {
        if page.transfers.len() == filter.limit {
            page.next = Some(pos.cast_unsigned() + 1);
            break;
        }
        let entry = match name {
            Name::Moved(id) => read(conn, id)?.map(|stored| TransferEntry::Moved(row(id, stored))),
            Name::Asked(id) => holds::asked_one(conn, id)?.map(TransferEntry::Asked),
        };
        page.transfers.extend(entry);
    }
    Ok(page)
}

/// What an entry is read by.
enum Name {
    Moved(TransferId),
    Asked(HoldId),
}

/// Names with their positions, one more than a page has.
type Names = Vec<(Name, i64)>;

fn window(filter: &TransferFilter) -> (i64, i64) {
    let before = filter.before.map_or(i64::MAX, u64::cast_signed);
    let most = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    (before, most)
}

fn asked(
    conn: &Connection,
    filter: &TransferFilter,
    shop: Option<u32>,
) -> Result<Names, StoreError> {
    if matches!(filter.state, TransferState::Is(_)) {
        return Ok(Names::new());
    }
    let (before, most) = window(filter);
    let which = AskedFor {
        shop,
        since: filter.sent_before,
        before,
        most,
    };
    let found = holds::asked_for(conn, which)?;
    let named = found.into_iter().map(|(id, pos)| (Name::Asked(id), pos));
    Ok(named.collect())
}

fn moved(
    conn: &Connection,
    filter: &TransferFilter,
    shop: Option<u32>,
) -> Result<Names, StoreError> {
    let state = match filter.state {
        TransferState::Requested => return Ok(Names::new()),
        TransferState::Is(state) => Some(state.number()),
        TransferState::All | TransferState::Open => None,
    };
    let is_open = filter.state == TransferState::Open;
    let (before, most) = window(filter);
    let sent = filter.sent_before.map(|at| at.0);
    let take = |row: &rusqlite::Row<'_>| Ok((Name::Moved(TransferId(row.get(0)?)), row.get(1)?));
    let found = match shop {
        Some(shop) => conn
            .prepare_cached(OF_SHOP)?
            .query_map(params![before, state, sent, most, shop, is_open], take)?
            .collect::<Result<_, _>>()?,
        None => conn
            .prepare_cached(if is_open { OPEN } else { ALL })?
            .query_map(params![before, state, sent, most], take)?
            .collect::<Result<_, _>>()?,
    };
    Ok(found)
}
