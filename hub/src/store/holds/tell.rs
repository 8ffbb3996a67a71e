//! Holds as readers see them, and the legs that a shop lacks.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::hold::{self, Facts, Leg, ShopSide, Word, WorkKind};
use vitrina_shared::wire::v1::{HubLegsV1, LegV1, MAX_LEGS};
use vitrina_shared::{Barcode, HoldId, MovementId, ShopId, TimeMs};

use super::destination::{self, Destination};
use super::offer::{self, Rejected};
use super::row::{self, Stored};
use super::settle::known;
use super::work;
use crate::store::sqlite::find_barcode;
use crate::store::{StoreError, shops};

const REJECTED: &str = "SELECT rejected FROM hold WHERE id = ?1";
const NEXT_DUE: &str = "SELECT min(due) FROM hold WHERE due IS NOT NULL";
const LIST: &str = "SELECT h.id, h.pos FROM hold AS h WHERE h.pos < ?1 \
    AND (?2 IS NULL OR EXISTS (SELECT 1 FROM leg AS l WHERE l.hold = h.id AND l.shop = ?2)) \
    AND (?3 IS NULL OR EXISTS (SELECT 1 FROM leg AS l WHERE l.hold = h.id AND l.number = ?3)) \
    AND (?4 = 0 OR h.due IS NOT NULL) ORDER BY h.pos DESC LIMIT ?5";
const OF_BARCODE: &str =
    "SELECT DISTINCT l.hold FROM leg AS l WHERE l.shop = ?1 AND l.barcode = ?2 AND l.held > 0";
const BEHIND_MOVEMENT: &str =
    "SELECT hold, number FROM leg WHERE movement = ?1 ORDER BY id LIMIT 1";

/// A leg as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct LegRow {
    /// The leg.
    pub(crate) leg: Leg,
    /// What the merged movements say about it.
    pub(crate) facts: Facts,
    /// The units that it holds.
    pub(crate) held: i64,
    /// Why other shops were not chosen when it was opened.
    pub(crate) rejected: Vec<Rejected>,
    /// What somebody had to look at, and since when.
    pub(crate) work: Vec<(WorkKind, TimeMs)>,
}

/// A hold as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct HoldRow {
    /// Its name.
    pub(crate) id: HoldId,
    /// Its state.
    pub(crate) word: Word,
    /// Its legs, the first first; there is one at least.
    pub(crate) legs: Vec<LegRow>,
    /// The place in them of the one that its state follows.
    pub(crate) current: usize,
    /// Why nobody was asked after the last of them had said no.
    pub(crate) rejected: Vec<Rejected>,
    /// When its current shop should have answered; nothing where it has, or need not.
    pub(crate) answer_by: Option<TimeMs>,
    /// Where its piece is to go, where somebody said so.
    pub(crate) destination: Option<Destination>,
}

/// Which holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldFilter {
    /// Those that asked this shop.
    pub(crate) shop: Option<ShopId>,
    /// Those of this order.
    pub(crate) order: Option<String>,
    /// Only those of which something can still be let go, and that nobody bought.
    pub(crate) open: bool,
    /// Only those heard of before this position: where the last page ended.
    pub(crate) before: Option<u64>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Holds, the latest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldPage {
    /// The holds.
    pub(crate) holds: Vec<HoldRow>,
    /// Go on before this position; nothing: the end.
    pub(crate) next: Option<u64>,
}

impl HoldRow {
    /// The leg that its state follows.
    pub(crate) fn leg(&self) -> Option<&LegRow> {
        self.legs.get(self.current)
    }
}

/// One hold.
pub(super) fn one(conn: &Connection, id: HoldId) -> Result<Option<HoldRow>, StoreError> {
    let legs = row::of_hold(conn, id)?;
    if legs.is_empty() {
        return Ok(None);
    }
    // Where a leg ended before it was answered nobody keeps the piece.
    let word = hold::word(&known(&legs)).unwrap_or(Word::Declined);
    let current = current(&legs);
    let asked = legs.get(current).filter(|_| word == Word::Requested);
    let answer_by = asked.and_then(|stored| stored.answer_by);
    let rejected: Option<String> = conn
        .prepare_cached(REJECTED)?
        .query_row([id.0], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(Some(HoldRow {
        id,
        word,
        current,
        legs: legs
            .into_iter()
            .map(|stored| leg_row(conn, stored))
            .collect::<Result<_, _>>()?,
        rejected: offer::read(rejected.as_deref()),
        answer_by,
        destination: destination::of_hold(conn, id)?,
    }))
}

fn leg_row(conn: &Connection, stored: Stored) -> Result<LegRow, StoreError> {
    Ok(LegRow {
        facts: stored.facts(),
        held: stored.held,
        rejected: offer::read(stored.rejected.as_deref()),
        work: work::of_leg(conn, stored.leg.id)?,
        leg: stored.leg,
    })
}

/// The leg that was bought, else the open one, else the last.
fn current(legs: &[Stored]) -> usize {
    let all = known(legs);
    let is_bought = |stored: &Stored| {
        hold::effect(&stored.leg, stored.facts()).word == Some(Word::Fulfilled)
            || matches!(stored.leg.shop, ShopSide::Fulfilled { .. }) && stored.leg.is_requested()
    };
    legs.iter()
        .position(is_bought)
        .or_else(|| legs.iter().position(|one| hold::is_open(&one.leg, &all)))
        .unwrap_or(legs.len().saturating_sub(1))
}

/// Holds by what is asked, the latest first.
pub(super) fn list(conn: &Connection, filter: &HoldFilter) -> Result<HoldPage, StoreError> {
    let shop = match &filter.shop {
        None => None,
        Some(shop) => match shops::find(conn, shop)? {
            Some(row) => Some(row.index),
            None => return Ok(HoldPage::default()),
        },
    };
    let before = filter.before.map_or(i64::MAX, u64::cast_signed);
    let most = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(LIST)?;
    let ids: Vec<(HoldId, i64)> = statement
        .query_map(
            params![before, shop, filter.order, filter.open, most],
            |row| Ok((HoldId(row.get(0)?), row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    let mut page = HoldPage::default();
    if let Some((_, pos)) = ids.get(filter.limit) {
        page.next = Some(pos.cast_unsigned() + 1);
    }
    for (id, _) in ids.into_iter().take(filter.limit) {
        // Of one that was bought a shop may keep what it should have sent away.
        let is_asked_for = |hold: &HoldRow| !filter.open || hold.word != Word::Fulfilled;
        page.holds.extend(one(conn, id)?.filter(is_asked_for));
    }
    Ok(page)
}

/// The hold, and its order's number, for which a piece was sold or sent on by this movement.
pub(in crate::store) fn behind_movement(
    conn: &Connection,
    movement: MovementId,
) -> Result<Option<(HoldId, Box<str>)>, StoreError> {
    Ok(conn
        .prepare_cached(BEHIND_MOVEMENT)?
        .query_row([movement.0], |row| {
            Ok((HoldId(row.get(0)?), row.get::<_, String>(1)?.into()))
        })
        .optional()?)
}

/// The holds that hold something of a barcode at a shop.
pub(in crate::store) fn of_barcode(
    conn: &Connection,
    barcode: &Barcode,
) -> Result<Vec<HoldRow>, StoreError> {
    let Some(barcode) = find_barcode(conn, barcode.as_str())? else {
        return Ok(Vec::new());
    };
    let mut ids: Vec<HoldId> = Vec::new();
    for shop in shops::all(conn)? {
        let mut statement = conn.prepare_cached(OF_BARCODE)?;
        let rows =
            statement.query_map(params![shop.index, barcode], |row| Ok(HoldId(row.get(0)?)))?;
        for id in rows {
            let id = id?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    let mut holds = Vec::with_capacity(ids.len());
    for id in ids {
        holds.extend(one(conn, id)?);
    }
    Ok(holds)
}

/// When the next hold is over.
pub(super) fn due(conn: &Connection) -> Result<Option<TimeMs>, StoreError> {
    let due: Option<i64> = conn
        .prepare_cached(NEXT_DUE)?
        .query_row([], |row| row.get(0))?;
    Ok(due.map(TimeMs))
}

/// What a shop lacks of its legs when it holds them up to a place; and whether more is left.
pub(in crate::store) fn after(
    conn: &Connection,
    shop: u32,
    place: u64,
) -> Result<(HubLegsV1, bool), StoreError> {
    let mut legs = row::of_shop_after(conn, shop, place, MAX_LEGS + 1)?;
    let is_cut = legs.len() > MAX_LEGS;
    legs.truncate(MAX_LEGS);
    let section = HubLegsV1 {
        upto: legs.last().map_or(place, |stored| stored.pos),
        list: legs.iter().map(|stored| LegV1::of(&stored.leg)).collect(),
        taken: false,
    };
    Ok((section, is_cut))
}
