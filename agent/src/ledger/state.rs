//! The one row of what the ledger knows of itself, of its shop and of the hub.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::registers::{Settings, Source, kind};
use vitrina_shared::{HubLife, ShopId, TimeMs, planted};

use super::{LedgerError, int, register, replica, uint};

const SHOP: &str = "SELECT shop FROM state";
const SET_SHOP: &str = "UPDATE state SET shop = ?1";
const SOURCE: &str = "SELECT source, source_as_of FROM state";
const SET_SOURCE: &str = "UPDATE state SET source = ?1";
const HEARTBEAT: &str = "UPDATE state SET source_as_of = max(coalesce(source_as_of, ?1), ?1)";
const OPENED_AT: &str = "SELECT opened_at FROM state";
const SET_OPENED_AT: &str =
    "UPDATE state SET opened_at = ?1 WHERE opened_at IS NULL OR opened_at < ?1";
const LIFE: &str = "SELECT life_ordinal, life_random, registers, feed, generation FROM state";
const SET_LIFE: &str = "UPDATE state SET life_ordinal = ?1, life_random = ?2, registers = 0, feed = 0,
    generation = generation + 1, replaced = 0, show_all = 1, all_for = NULL, quarantine_acked = 0, disagreements_acked = -1";
const STICK: &str = "SELECT stick_life, stick_pos FROM state";
const SET_STICK: &str =
    "UPDATE state SET stick_life = ?1, stick_pos = ?2, show_all = 1, token = coalesce(?3, token)";
const SKEW: &str = "SELECT coalesce(skew_ms, 0) FROM state";
const HAS_MOVEMENTS: &str = "SELECT 1 FROM movement LIMIT 1";
const TILLS: &str = "SELECT name FROM till ORDER BY name LIMIT 100";
const ADD_TILL: &str = "INSERT OR IGNORE INTO till (name) VALUES (?1)";
const NOTE: &str = "SELECT 1 FROM note WHERE name = ?1";
const ADD_NOTE: &str = "INSERT OR IGNORE INTO note (name) VALUES (?1)";

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Enrolled {
    /// The ledger is the shop's.
    Done,
    /// It already is the ledger of this other shop; nothing was changed.
    OtherShop(ShopId),
}

/// Who keeps the shop's books, and since when it is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceState {
    /// By whose rules files are taken now.
    pub(crate) effective: Source,
    /// What the hub's setting says; where it differs, a person has to change it at the shop.
    pub(crate) wanted: Source,
    /// The shop's 1C last proved itself.
    pub(crate) as_of: Option<TimeMs>,
    /// How often it should, in milliseconds.
    pub(crate) every_ms: Option<i64>,
}

/// What the ledger holds of the hub's registers and feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HubSide {
    pub(super) life: Option<HubLife>,
    pub(super) registers: u64,
    pub(super) feed: u64,
    pub(super) generation: i64,
}

/// The shop of this ledger, once it is enrolled.
pub(crate) fn shop(conn: &Connection) -> Result<Option<ShopId>, LedgerError> {
    let text: Option<String> = conn.prepare_cached(SHOP)?.query_row([], |row| row.get(0))?;
    let damaged = |_| LedgerError::Damaged {
        what: "the shop's name",
    };
    text.map(|text| text.parse().map_err(damaged)).transpose()
}

/// Makes the ledger the shop's, with the settings that came with the enrolment. Repeating it is harmless.
pub(crate) fn enrol(
    conn: &Connection,
    enrolled: &ShopId,
    settings: &[u8],
    life: HubLife,
    now: TimeMs,
) -> Result<Enrolled, LedgerError> {
    match shop(conn)? {
        Some(own) if own != *enrolled => return Ok(Enrolled::OtherShop(own)),
        _ => {}
    }
    conn.prepare_cached(SET_SHOP)?
        .execute([enrolled.as_str()])?;
    replica::current_or_mint(conn, now)?;
    if hub_side(conn)?.life != Some(life) {
        begin_life(conn, life)?;
    }
    register::put_settings(conn, enrolled, settings)?;
    follow_source(conn)?;
    Ok(Enrolled::Done)
}

/// The shop's settings as the hub last gave them.
pub(crate) fn settings(conn: &Connection) -> Result<Settings, LedgerError> {
    let Some(shop) = shop(conn)? else {
        return Ok(Settings::default());
    };
    Ok(register::value(conn, kind::SETTINGS, shop.as_str())?.unwrap_or_default())
}

/// Who keeps the books.
pub(crate) fn source(conn: &Connection) -> Result<SourceState, LedgerError> {
    let (effective, as_of): (i64, Option<i64>) = conn
        .prepare_cached(SOURCE)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let settings = settings(conn)?;
    Ok(SourceState {
        effective: source_of(effective),
        wanted: settings.source,
        as_of: as_of.map(TimeMs),
        every_ms: settings.source_every_ms,
    })
}

pub(super) fn source_of(number: i64) -> Source {
    if number == 1 {
        Source::Balances
    } else {
        Source::Movements
    }
}

pub(super) fn set_source(conn: &Connection, source: Source) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_SOURCE)?
        .execute([i64::from(source == Source::Balances)])?;
    Ok(())
}

/// Takes the hub's setting where nothing was booked yet; otherwise a person changes the source, because on hand must
/// stay. Whether something changed.
pub(super) fn follow_source(conn: &Connection) -> Result<bool, LedgerError> {
    let source = source(conn)?;
    let is_fresh = conn
        .prepare_cached(HAS_MOVEMENTS)?
        .query_row([], |_| Ok(()))
        .optional()?
        .is_none();
    let changes = source.effective != source.wanted && is_fresh;
    if changes {
        set_source(conn, source.wanted)?;
    }
    Ok(changes)
}

/// The shop's 1C proved itself at `at`: a file, a call, a heartbeat.
pub(crate) fn heartbeat(conn: &Connection, at: TimeMs) -> Result<(), LedgerError> {
    conn.prepare_cached(HEARTBEAT)?.execute([at.0])?;
    Ok(())
}

/// The time of the opening.
pub(crate) fn opened_at(conn: &Connection) -> Result<Option<TimeMs>, LedgerError> {
    let at: Option<i64> = conn
        .prepare_cached(OPENED_AT)?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(TimeMs))
}

pub(super) fn set_opened_at(conn: &Connection, at: TimeMs) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_OPENED_AT)?.execute([at.0])?;
    Ok(())
}

pub(super) fn hub_side(conn: &Connection) -> Result<HubSide, LedgerError> {
    Ok(conn.prepare_cached(LIFE)?.query_row([], |row| {
        let ordinal: Option<i64> = row.get(0)?;
        let random: Option<[u8; 16]> = row.get(1)?;
        Ok(HubSide {
            life: ordinal.zip(random).map(|(ordinal, random)| HubLife {
                ordinal: uint(ordinal),
                random,
            }),
            registers: uint(row.get(2)?),
            feed: uint(row.get(3)?),
            generation: row.get(4)?,
        })
    })?)
}

/// A new life of the hub: it may hold nothing of what an earlier one acknowledged, and writes all registers anew.
pub(super) fn begin_life(conn: &Connection, life: HubLife) -> Result<(), LedgerError> {
    let keeps = planted::is("agent_keeps_the_cursor_of_another_life");
    let kept = keeps.then(|| hub_side(conn)).transpose()?;
    conn.prepare_cached(SET_LIFE)?
        .execute(params![int(life.ordinal), life.random])?;
    if let Some(kept) = kept {
        register::keep_cursor(conn, kept.registers)?;
    }
    if planted::is("agent_keeps_acknowledgements_of_another_life") {
        return Ok(());
    }
    replica::forget_acked(conn)
}

/// A moment of this machine's clock by the hub's, as far as its clock is known.
pub(super) fn hub_time(conn: &Connection, now: TimeMs) -> Result<TimeMs, LedgerError> {
    let ahead: i64 = conn.prepare_cached(SKEW)?.query_row([], |row| row.get(0))?;
    Ok(now.plus(ahead))
}

/// Up to which place of a life the hub's words are known here, as far as can be told.
pub(super) fn known_pos(conn: &Connection, life: HubLife) -> Result<u64, LedgerError> {
    let hub = hub_side(conn)?;
    let feed = if hub.life == Some(life) { hub.feed } else { 0 };
    let stick = conn.prepare_cached(STICK)?.query_row([], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    Ok(match stick {
        (Some(ordinal), Some(pos)) if uint(ordinal) == life.ordinal => feed.max(uint(pos)),
        _ => feed,
    })
}

/// A stick of this place was taken, with the token that it brought.
pub(super) fn stick_taken(
    conn: &Connection,
    life: HubLife,
    pos: u64,
    token: Option<&[u8]>,
) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_STICK)?
        .execute(params![int(life.ordinal), int(pos), token])?;
    Ok(())
}

/// The tills of the receipts that are here; "" where some named none.
pub(crate) fn tills(conn: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut query = conn.prepare_cached(TILLS)?;
    let names = query
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(names)
}

pub(super) fn add_till(conn: &Connection, name: &str) -> Result<(), LedgerError> {
    conn.prepare_cached(ADD_TILL)?.execute([name])?;
    Ok(())
}

/// Whether this was said before.
pub(crate) fn flag(conn: &Connection, name: &str) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(NOTE)?
        .query_row([name], |_| Ok(()))
        .optional()?
        .is_some())
}

/// Remembers that this was said.
pub(crate) fn set_flag(conn: &Connection, name: &str) -> Result<(), LedgerError> {
    conn.prepare_cached(ADD_NOTE)?.execute([name])?;
    Ok(())
}
