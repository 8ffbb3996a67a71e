//! The place where movements are written: what every booking of one job needs to know, read once.

use std::cell::OnceCell;

use rusqlite::Connection;
use vitrina_shared::delta::Entry;
use vitrina_shared::registers::{Alias, Settings, Source, kind};
use vitrina_shared::{Barcode, Dot, Movement, ShopId, TimeMs, planted};

use super::log::{Line, Names, Tail};
use super::{LedgerError, register, replica, state};

const CONTEXT: &str = "SELECT shop, source, opened_at FROM state";

/// Whether a movement's id is known not to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// Neither it nor a void of it is.
    New,
    /// It is to be looked up.
    Unknown,
}

/// One job's writing place. It must be the only writer of the current replica within its job.
pub(crate) struct Desk<'c> {
    pub(super) conn: &'c Connection,
    pub(super) shop: ShopId,
    pub(super) now: TimeMs,
    pub(super) source: Source,
    pub(super) opened_at: Option<TimeMs>,
    settings: OnceCell<Settings>,
    tail: Option<Tail>,
}

impl<'c> Desk<'c> {
    /// Takes a seat.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotEnrolled`] while the ledger belongs to no shop.
    pub(crate) fn open(conn: &'c Connection, now: TimeMs) -> Result<Self, LedgerError> {
        let (shop, source, opened_at): (Option<String>, i64, Option<i64>) = conn
            .prepare_cached(CONTEXT)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let damaged = |_| LedgerError::Damaged {
            what: "the shop's name",
        };
        let shop = shop
            .ok_or(LedgerError::NotEnrolled)?
            .parse()
            .map_err(damaged)?;
        Ok(Self {
            conn,
            shop,
            now,
            source: state::source_of(source),
            opened_at: opened_at.map(TimeMs),
            settings: OnceCell::new(),
            tail: None,
        })
    }

    /// The connection of the job.
    pub(crate) fn conn(&self) -> &'c Connection {
        self.conn
    }

    /// The shop's settings.
    pub(crate) fn settings(&self) -> Result<&Settings, LedgerError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let read =
            register::value(self.conn, kind::SETTINGS, self.shop.as_str())?.unwrap_or_default();
        Ok(self.settings.get_or_init(|| read))
    }

    /// What a scanned code counts for: the chain-wide code of its alias, its local key, or itself.
    pub(crate) fn resolve(&self, code: &Barcode) -> Result<Barcode, LedgerError> {
        let alias: Option<Alias> = register::value(self.conn, kind::ALIAS, code.as_str())?;
        if let Some(barcode) = alias.and_then(|alias| Barcode::from_key(&alias.barcode).ok()) {
            return Ok(barcode);
        }
        let prefixes = &self.settings()?.local_prefixes;
        let is_key = code.split_local().1 == Some(self.shop.as_str());
        if !is_key && code.has_prefix_of(prefixes.iter().map(String::as_str)) {
            return Ok(code.local_to(&self.shop));
        }
        Ok(code.clone())
    }

    /// Writes one movement under the current replica; a doubted one ends here. Its place, and whether it counts.
    pub(super) fn append(&mut self, movement: Movement) -> Result<(Dot, bool), LedgerError> {
        let names = Names::of(&self.shop, &movement);
        self.append_line(&Entry::new(movement), names, Novelty::Unknown)
    }

    /// As [`Self::append`], of a movement whose names are worked out.
    pub(super) fn append_line(
        &mut self,
        entry: &Entry,
        names: Names,
        novelty: Novelty,
    ) -> Result<(Dot, bool), LedgerError> {
        let mut tail = match self.tail {
            Some(tail) => tail,
            None => self.tail_of_current()?,
        };
        let line = Line {
            entry,
            names,
            is_new: novelty == Novelty::New,
        };
        let counts = tail.append(self.conn, &line, self.now)?;
        self.tail = Some(tail);
        Ok((
            Dot {
                replica: tail.id,
                seq: tail.head.seq,
            },
            counts,
        ))
    }

    /// Forgets where the log ended: what was appended was taken back.
    pub(super) fn look_again(&mut self) {
        self.tail = None;
    }

    fn tail_of_current(&self) -> Result<Tail, LedgerError> {
        let mut current = replica::current_or_mint(self.conn, self.now)?;
        if current.is_doubted && !planted::is("agent_doubts_and_goes_on") {
            replica::mint(self.conn, self.now)?;
            current = replica::current_or_mint(self.conn, self.now)?;
        }
        Ok(Tail {
            no: current.no,
            id: current.id,
            head: replica::head(self.conn, current.no, current.id)?,
        })
    }
}
