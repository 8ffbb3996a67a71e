//! Transfers at this shop: what the hub tells of them, what was booked here since, and what a scan of a parcel means.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use vitrina_shared::hold::Leg;
use vitrina_shared::registers::Source;
use vitrina_shared::transfer::{self, Receiving, State};
use vitrina_shared::wire::v1::{HubTransfersV1, Told, TransfersV1};
use vitrina_shared::{
    Barcode, Details, HoldId, Kind, LegId, Movement, MovementId, ShopId, TimeMs, TransferId,
};

use super::answer::Via;
use super::booking::{Booked, Refusal};
use super::log::{self, barcode};
use super::{Desk, LedgerError, int, leg, query, uint};

/// A statement that reads transfers: `read` expects its columns.
macro_rules! transfers {
    ($which:literal) => {
        concat!(
            "SELECT id, document, sender, receiver, state, since, hold, is_cut FROM transfer ",
            $which
        )
    };
}

const GET: &str = transfers!("WHERE id = ?1");
const OF_DOCUMENT: &str = transfers!("WHERE document = ?1 ORDER BY since DESC, id LIMIT 20");
const OPEN: &str = transfers!("WHERE open = 1 ORDER BY since, id LIMIT 1000");
const ALL: &str = transfers!("ORDER BY since DESC, id LIMIT 1000");
const AWAITING: &str = transfers!(
    "WHERE id IN (SELECT transfer FROM transfer_line WHERE barcode = ?1 AND awaited > 0) ORDER BY since, id"
);
const PUT: &str = "INSERT OR REPLACE INTO transfer (id, document, sender, receiver, state, open, since, hold, is_cut)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const DROP_LINES: &str = "DELETE FROM transfer_line WHERE transfer = ?1";
const ADD_LINE: &str =
    "INSERT INTO transfer_line (transfer, barcode, sent, received, here, awaited)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const LINES: &str = "SELECT barcode, sent, received, here, awaited FROM transfer_line WHERE transfer = ?1 ORDER BY barcode";
const SHIP: &str = "INSERT INTO ship (leg, receiver) VALUES (?1, ?2)
    ON CONFLICT (leg) DO UPDATE SET receiver = excluded.receiver";
const DESTINATION: &str = "SELECT receiver FROM ship WHERE leg = ?1";
const HELD: &str =
    "SELECT CASE WHEN transfers_generation = generation THEN transfers_held ELSE 0 END FROM state";
const IS_NEW: &str = "SELECT transfers_generation IS NOT generation FROM state";
// What still is comes anew.
const FORGET: &str = "UPDATE transfer SET open = 0 WHERE open = 1";
const ENTER: &str = "UPDATE state SET transfers_generation = generation, transfers_held = 0";
const SET_HELD: &str = "UPDATE state SET transfers_held = ?1 WHERE transfers_held < ?1";
const OF_BARCODE: &str =
    "SELECT body, id FROM movement WHERE barcode = ?1 AND kind IN (4, 5) AND counts = 1";
const OUTS: &str = "SELECT body, id FROM movement WHERE kind IN (4, 5) AND kind = 4 AND counts = 1 ORDER BY at DESC, id";

/// One barcode of a transfer, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The model.
    pub(crate) article: Option<String>,
    /// Sent.
    pub(crate) sent: i64,
    /// Come, anywhere, what was booked here since included.
    pub(crate) received: i64,
    /// Still on its way here.
    pub(crate) awaited: i64,
}

/// A transfer that concerns this shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferRow {
    /// Its name.
    pub(crate) id: TransferId,
    /// What the sender calls it.
    pub(crate) document: Option<String>,
    /// The sending shop.
    pub(crate) from: Option<String>,
    /// The shop that it goes to.
    pub(crate) to: Option<String>,
    /// How it stood when the hub last told of it.
    pub(crate) state: State,
    /// When it left, or where nothing did when it came.
    pub(crate) since: TimeMs,
    /// The order whose piece it is.
    pub(crate) hold: Option<HoldId>,
    /// Its barcodes.
    pub(crate) lines: Vec<Line>,
    /// It has more.
    pub(crate) is_cut: bool,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those of which somebody waits for something.
    Open,
    /// The latest.
    All,
}

/// A parcel that comes in, as a person has it in his hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// The transfer's id or document, where it is said.
    pub(crate) transfer: Option<String>,
    /// The sending shop, where it is said.
    pub(crate) from: Option<ShopId>,
    /// A person insists on what is not awaited.
    pub(crate) insists: bool,
}

/// What a movement says of its transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pairing {
    /// Who sent it.
    pub(crate) from: String,
    /// What names it.
    pub(crate) transfer: String,
    /// The order that waits here for the piece.
    pub(crate) hold: Option<HoldId>,
}

/// Why a piece is not taken in; nothing was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// No transfer here waits for it.
    NotAwaited,
    /// It is in this transfer, or is not, and that waits for so many of it.
    NotSent(Box<TransferRow>, i64),
    /// Several wait for it.
    Which(Vec<TransferRow>),
    /// Nothing is known of the transfer, and nobody says who sent it.
    Sender,
    /// There is no such transfer.
    Unknown,
    /// Some of it has come already.
    Received(Box<TransferRow>),
    /// The ledger does not take it.
    Refused(Refusal),
}

impl TransferRow {
    /// Whether something of it is still on its way here.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_cut || self.lines.iter().any(|line| line.awaited > 0)
    }

    /// How it stands with what was booked here since the hub told of it.
    pub(crate) fn state_here(&self) -> State {
        match self.state {
            State::InTransit | State::Partial if !self.is_awaited() => State::Received,
            State::InTransit if self.lines.iter().any(|line| line.received > 0) => State::Partial,
            state => state,
        }
    }

    /// Whether somebody waits for something of it, as far as this shop knows.
    pub(crate) fn is_open_at(&self, shop: &ShopId) -> bool {
        let is_out = self.from.as_deref() == Some(shop.as_str());
        self.state.is_open() && (is_out || self.state_here().is_open())
    }
}

/// How far transfers are known, as a request says it.
pub(super) fn held(conn: &Connection) -> Result<TransfersV1, LedgerError> {
    let held: i64 = conn.prepare_cached(HELD)?.query_row([], |row| row.get(0))?;
    Ok(TransfersV1 { held: uint(held) })
}

/// Takes what an answer brings of transfers.
pub(super) fn take(
    conn: &Connection,
    given: Option<&HubTransfersV1>,
    via: Via,
) -> Result<(), LedgerError> {
    let Some(given) = given else { return Ok(()) };
    let is_new_life: bool = conn
        .prepare_cached(IS_NEW)?
        .query_row([], |row| row.get(0))?;
    if is_new_life {
        for statement in [FORGET, ENTER] {
            conn.prepare_cached(statement)?.execute([])?;
        }
    }
    for transfer in &given.list {
        if let Some(told) = transfer.read()? {
            put(conn, &told)?;
        }
    }
    for ship in &given.ship {
        let (leg, to) = ship.read()?;
        conn.prepare_cached(SHIP)?
            .execute(params![leg.0, to.as_str()])?;
    }
    if via == Via::Line {
        conn.prepare_cached(SET_HELD)?.execute([int(given.upto)])?;
    }
    Ok(())
}

fn put(conn: &Connection, told: &Told) -> Result<(), LedgerError> {
    conn.prepare_cached(DROP_LINES)?.execute([told.id.0])?;
    conn.prepare_cached(PUT)?.execute(params![
        told.id.0,
        told.document,
        told.from,
        told.to.as_ref().map(ShopId::as_str),
        told.state.number(),
        told.state.is_open(),
        told.since.0,
        told.hold.map(|hold| hold.0),
        told.is_cut,
    ])?;
    for (barcode, line) in &told.lines {
        conn.prepare_cached(ADD_LINE)?.execute(params![
            told.id.0,
            barcode.as_str(),
            line.sent,
            line.received,
            line.here,
            line.awaited
        ])?;
    }
    Ok(())
}

/// Where the piece of a leg is to go.
pub(crate) fn destination(conn: &Connection, leg: LegId) -> Result<Option<String>, LedgerError> {
    let mut query = conn.prepare_cached(DESTINATION)?;
    let found = query.query_row([leg.0], |row| row.get(0));
    Ok(found.optional()?)
}

/// Those that concern this shop.
pub(crate) fn list(conn: &Connection, which: Which) -> Result<Vec<TransferRow>, LedgerError> {
    match which {
        Which::Open => select(conn, OPEN, &[]),
        Which::All => select(conn, ALL, &[]),
    }
}

/// The transfers that a text means: by id, else by document, the latest first.
pub(crate) fn find(conn: &Connection, text: &str) -> Result<Vec<TransferRow>, LedgerError> {
    if let Ok(id) = text.parse::<TransferId>() {
        let found = select(conn, GET, &[&id.0])?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    select(conn, OF_DOCUMENT, &[&text])
}

/// What a piece that comes in belongs to, or why it is not taken.
pub(crate) fn receive(
    desk: &Desk<'_>,
    code: &Barcode,
    units: i64,
    parcel: &Parcel,
) -> Result<Result<Pairing, No>, LedgerError> {
    let barcode = desk.resolve(code)?;
    let Some(text) = &parcel.transfer else {
        let waiting = select(desk.conn, AWAITING, &[&barcode.as_str()])?;
        return unnamed(desk, waiting, (&barcode, units), parcel);
    };
    let from = parcel.from.as_ref();
    let is_from =
        |row: &TransferRow| from.is_none_or(|from| row.from.as_deref() == Some(from.as_str()));
    let mut known = find(desk.conn, text)?;
    known.retain(|row| is_from(row) && row.from.as_deref() != Some(desk.shop.as_str()));
    if known.len() > 1 {
        known.retain(|row| awaited(row, &barcode) > 0);
    }
    Ok(match (known.as_slice(), from) {
        ([row], _) => {
            let left = awaited(row, &barcode);
            if left >= units || row.is_cut || parcel.insists || row.state == State::NotSent {
                pairing(desk.conn, row, &barcode)?
            } else {
                Err(No::NotSent(Box::new(row.clone()), left))
            }
        }
        // The sender's word is on its way: the document pairs it later.
        ([], Some(from)) => Ok(Pairing {
            from: from.to_string(),
            transfer: text.clone(),
            hold: None,
        }),
        ([], None) => Err(No::Sender),
        _ => Err(No::Which(known)),
    })
}

/// A piece of which nobody says to which transfer it belongs.
fn unnamed(
    desk: &Desk<'_>,
    mut waiting: Vec<TransferRow>,
    (barcode, units): (&Barcode, i64),
    parcel: &Parcel,
) -> Result<Result<Pairing, No>, LedgerError> {
    let from = parcel.from.as_ref();
    waiting.retain(|row| {
        from.is_none_or(|from| row.from.as_deref() == Some(from.as_str()))
            && row.from.as_deref() != Some(desk.shop.as_str())
    });
    let left: Vec<(TransferId, i64)> = waiting
        .iter()
        .map(|row| (row.id, awaited(row, barcode)))
        .collect();
    let of = |id: TransferId| waiting.iter().find(|row| row.id == id);
    let (meant, awaited) = match transfer::receiving(&left, units) {
        Receiving::Of(id) => (of(id), units),
        Receiving::TooMany { of: id, awaited } => (of(id), awaited),
        Receiving::NotAwaited => (None, 0),
        Receiving::Which(ids) => {
            let several = ids.into_iter().filter_map(of).cloned();
            return Ok(Err(No::Which(several.collect())));
        }
    };
    match meant {
        None => Ok(Err(No::NotAwaited)),
        Some(row) if awaited >= units || parcel.insists => pairing(desk.conn, row, barcode),
        Some(row) => Ok(Err(No::NotSent(Box::new(row.clone()), awaited))),
    }
}

fn awaited(row: &TransferRow, barcode: &Barcode) -> i64 {
    let line = row.lines.iter().find(|line| line.barcode == *barcode);
    line.map_or(0, |line| line.awaited)
}

/// What a movement says to belong to a transfer, and to the order that waits here for its piece.
fn pairing(
    conn: &Connection,
    row: &TransferRow,
    barcode: &Barcode,
) -> Result<Result<Pairing, No>, LedgerError> {
    let Some(from) = row.from.clone() else {
        return Ok(Err(No::Sender));
    };
    let mut waiting = Vec::new();
    for kept in leg::of_barcode(conn, barcode)? {
        let is_asked = kept.leg.is_requested() && kept.leg.terms.comes_from.is_some();
        if is_asked && !leg::facts(conn, &kept.leg)?.has_arrived {
            waiting.push(kept.leg);
        }
    }
    let is_own = |leg: &Leg| Some(leg.terms.hold) == row.hold;
    waiting.sort_by_key(|leg| (!is_own(leg), leg.rank()));
    let first = waiting.first().map(|leg| leg.terms.hold);
    Ok(Ok(Pairing {
        transfer: transfer::text_of(row.id, Some(&from), row.document.as_deref()),
        from,
        // A parcel of plain stock is no order's, whoever waits.
        hold: row.hold.and(first.or(row.hold)),
    }))
}

/// Takes back what this shop sent, of one barcode or all of it, before any of it came. What was taken back.
pub(crate) fn cancel(
    desk: &mut Desk<'_>,
    text: &str,
    only: Option<&Barcode>,
) -> Result<Result<Vec<Booked>, No>, LedgerError> {
    if desk.source == Source::Balances {
        return Ok(Err(No::Refused(Refusal::SourceIsBalances)));
    }
    let only = only.map(|code| desk.resolve(code)).transpose()?;
    let of_shop = |row: &TransferRow| row.from.as_deref() == Some(desk.shop.as_str());
    let known: Vec<_> = find(desk.conn, text)?.into_iter().filter(of_shop).collect();
    let named = transfer::id_of_document(&desk.shop, text);
    let id = known.first().map_or(named, |row| row.id);
    if let Some(row) = known.into_iter().next() {
        let mut lines = row.lines.iter();
        let is_meant = |line: &Line| only.as_ref().is_none_or(|only| line.barcode == *only);
        if lines.any(|line| is_meant(line) && line.received > 0) {
            return Ok(Err(No::Received(Box::new(row))));
        }
    } else if outs(desk.conn, &desk.shop, id)?.is_empty() {
        return Ok(Err(No::Unknown));
    }
    let mut taken_back = Vec::new();
    for (out, of) in outs(desk.conn, &desk.shop, id)? {
        if only.as_ref().is_some_and(|only| of.barcode != *only) {
            continue;
        }
        let void = Movement::void(of.barcode, of.condition, out, desk.now, &Details::default());
        taken_back.push(desk.write(void)?);
    }
    Ok(Ok(taken_back))
}

/// What left with a transfer and counts.
fn outs(
    conn: &Connection,
    shop: &ShopId,
    id: TransferId,
) -> Result<Vec<(MovementId, Movement)>, LedgerError> {
    let mut query = conn.prepare_cached(OUTS)?;
    let mut rows = query.query([])?;
    let mut outs = Vec::new();
    while let Some(row) = rows.next()? {
        let movement = log::entry(&row.get::<_, Vec<u8>>(0)?)?.movement;
        if transfer::name(shop, &movement).is_some_and(|name| name.id == id) {
            outs.push((MovementId(row.get(1)?), movement));
        }
    }
    Ok(outs)
}

/// What of a barcode came in here for each transfer.
fn came_here(
    conn: &Connection,
    shop: &ShopId,
    barcode: &Barcode,
) -> Result<BTreeMap<TransferId, i64>, LedgerError> {
    let mut query = conn.prepare_cached(OF_BARCODE)?;
    let mut rows = query.query([barcode.as_str()])?;
    let mut came: BTreeMap<TransferId, i64> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let movement = log::entry(&row.get::<_, Vec<u8>>(0)?)?.movement;
        if movement.kind == Kind::TransferIn
            && let Some(name) = transfer::name(shop, &movement)
        {
            let units = came.entry(name.id).or_default();
            *units = units.saturating_add(movement.qty.units());
        }
    }
    Ok(came)
}

fn select(
    conn: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<TransferRow>, LedgerError> {
    let Some(shop) = super::state::shop(conn)? else {
        return Ok(Vec::new());
    };
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(values)?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let mut transfer = read(row)?;
        transfer.lines = lines(conn, &shop, transfer.id)?;
        list.push(transfer);
    }
    Ok(list)
}

fn read(row: &Row<'_>) -> Result<TransferRow, LedgerError> {
    let state = State::of_number(row.get(4)?);
    Ok(TransferRow {
        id: TransferId(row.get(0)?),
        document: row.get(1)?,
        from: row.get(2)?,
        to: row.get(3)?,
        state: state.ok_or(LedgerError::Damaged { what: "a transfer" })?,
        since: TimeMs(row.get(5)?),
        hold: row.get::<_, Option<[u8; 16]>>(6)?.map(HoldId),
        lines: Vec::new(),
        is_cut: row.get(7)?,
    })
}

/// The lines, with what was booked here since the hub told of them.
fn lines(conn: &Connection, shop: &ShopId, id: TransferId) -> Result<Vec<Line>, LedgerError> {
    let mut query = conn.prepare_cached(LINES)?;
    let mut rows = query.query([id.0])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let barcode = barcode(&row.get::<_, String>(0)?)?;
        let (received, here, awaited): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let came = came_here(conn, shop, &barcode)?.get(&id).copied();
        let since = came.unwrap_or(0).saturating_sub(here);
        let about = query::stock_one(conn, &barcode)?;
        let (name, article) = about.map_or((None, None), |about| (about.name, about.article));
        lines.push(Line {
            barcode,
            name,
            article,
            sent: row.get(1)?,
            received: received.saturating_add(since).max(0),
            awaited: awaited.saturating_sub(since).max(0),
        });
    }
    Ok(lines)
}
