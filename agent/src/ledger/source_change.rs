//! Changing who keeps a shop's books, so that on hand stays: a person's command, at an agent level with the hub.

use rusqlite::params;
use vitrina_shared::registers::Source;
use vitrina_shared::totals::Overflow;
use vitrina_shared::{Barcode, Condition, Details, Key, Kind, Movement, Qty};

use super::log::{self, barcode};
use super::{Desk, LedgerError, disagreement, found, guard, promise, replica, standing, state};

const ROWS: &str = "SELECT DISTINCT barcode, condition FROM total ORDER BY barcode, condition";

/// What became of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Done, with so many adjustments.
    Done {
        /// How many.
        booked: u64,
    },
    /// The hub does not hold everything, or has not shown what it holds.
    NotLevel {
        /// Movements that it has not acknowledged.
        pending: u64,
    },
    /// It was so already.
    Same,
}

/// Changes the source in one job.
///
/// From movements to balances every barcode's movements are taken back by one adjustment, and a statement says what
/// is there; from then on the latest statement alone counts. The other way nothing is booked: the statement that
/// counts stays, and movements add to it.
pub(crate) fn change(desk: &mut Desk<'_>, to: Source) -> Result<Changed, LedgerError> {
    let conn = desk.conn;
    if desk.source == to {
        return Ok(Changed::Same);
    }
    let pending = replica::pending(conn)?;
    if pending > 0 || !guard::is_ready(conn)? {
        return Ok(Changed::NotLevel { pending });
    }
    let mut booked = 0;
    if to == Source::Balances {
        for (barcode, condition) in rows(conn)? {
            booked += u64::from(hand_over(desk, &barcode, condition)?);
        }
    }
    state::set_source(conn, to)?;
    desk.source = to;
    disagreement::clear(conn)?;
    Ok(Changed::Done { booked })
}

fn rows(conn: &rusqlite::Connection) -> Result<Vec<(Barcode, Condition)>, LedgerError> {
    let mut query = conn.prepare(ROWS)?;
    let rows = query.query_map(params![], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, u8>(1)?))
    })?;
    rows.map(|row| {
        let (text, condition) = row?;
        Ok((barcode(&text)?, Condition::of_number(condition)))
    })
    .collect()
}

/// Takes the movements of a row back and states what is there. Whether anything was to be taken back.
fn hand_over(
    desk: &mut Desk<'_>,
    barcode: &Barcode,
    condition: Condition,
) -> Result<bool, LedgerError> {
    let conn = desk.conn;
    let on_hand = log::on_hand(conn, barcode, condition)?;
    let stated = match standing::statement(conn, barcode, condition)? {
        Some((_, id)) => found::by_id(conn, id)?
            .first()
            .map_or(0, |statement| statement.movement.qty.units()),
        None => 0,
    };
    let moved = on_hand.saturating_sub(stated);
    if moved == 0 {
        return Ok(false);
    }
    let movement = |kind, key, units: i64| -> Result<Movement, LedgerError> {
        Ok(Movement {
            kind,
            condition,
            key,
            barcode: barcode.clone(),
            scanned: None,
            qty: Qty::new(units).map_err(|_| Overflow)?,
            at: desk.now,
            target: None,
            rest: Details::default().to_bytes(),
        })
    };
    let adjustment = movement(Kind::Adjustment, Key::SourceChanged, -moved)?;
    let statement = movement(Kind::Balance, Key::Statement, on_hand)?;
    desk.append(adjustment)?;
    if on_hand != stated {
        desk.append(statement)?;
    }
    promise::break_uncovered(conn, barcode, desk.now)?;
    Ok(true)
}
