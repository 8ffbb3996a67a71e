//! What the shop promised to web orders, whether its stock covers that, and what it says by itself.

use std::collections::BTreeSet;

use rusqlite::Connection;
use vitrina_shared::hold::{self, Facts, Leg, OwnStock, Promised, Response, ShopSide};
use vitrina_shared::stock::Level;
use vitrina_shared::{Barcode, Condition, MovementId, TimeMs};

use super::leg::{self, Kept};
use super::{LedgerError, log, over_hold, question, state};

/// A leg with what the movements say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The leg as it lies here.
    pub(crate) kept: Kept,
    /// What the movements say.
    pub(crate) facts: Facts,
}

impl Asked {
    /// With what the movements say.
    pub(super) fn of(conn: &Connection, kept: Kept) -> Result<Self, LedgerError> {
        let facts = leg::facts(conn, &kept.leg)?;
        Ok(Self { kept, facts })
    }

    /// The leg and the facts, as the decisions take them.
    pub(super) fn known(&self) -> (&Leg, Facts) {
        (&self.kept.leg, self.facts)
    }
}

/// Of which barcodes something may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// Of these.
    Some(BTreeSet<Barcode>),
    /// Nobody can say.
    Any,
}

/// The legs of a barcode: one look-up where there are none.
pub(super) fn of_barcode(conn: &Connection, barcode: &Barcode) -> Result<Vec<Asked>, LedgerError> {
    let legs = leg::of_barcode(conn, barcode)?.into_iter();
    legs.map(|kept| Asked::of(conn, kept)).collect()
}

/// The numbers of a barcode, what is held included.
pub(crate) fn level(conn: &Connection, barcode: &Barcode) -> Result<Level, LedgerError> {
    let legs = of_barcode(conn, barcode)?;
    Ok(Level {
        held: legs
            .iter()
            .map(|asked| hold::held(&asked.kept.leg, asked.facts))
            .sum(),
        ..log::level(conn, barcode)?
    })
}

/// What is here of a leg's barcode, and what of it is promised to others. A sale that a person is asked about took
/// nothing yet.
pub(super) fn stock(conn: &Connection, leg: &Leg) -> Result<OwnStock, LedgerError> {
    let barcode = &leg.terms.barcode;
    let legs = of_barcode(conn, barcode)?;
    let others = legs.iter().filter(|asked| asked.kept.leg.id != leg.id);
    let sellable = log::on_hand(conn, barcode, Condition::Sellable)?;
    Ok(OwnStock {
        sellable: sellable.saturating_add(question::units(conn, barcode)?),
        promised: hold::promised(others.map(Asked::known)),
    })
}

/// Breaks the promises of a barcode that its stock does not cover. How many.
pub(super) fn break_uncovered(
    conn: &Connection,
    barcode: &Barcode,
    now: TimeMs,
) -> Result<u64, LedgerError> {
    let legs = of_barcode(conn, barcode)?;
    let is_promise = |asked: &Asked| matches!(asked.kept.leg.shop, ShopSide::Confirmed { .. });
    if !legs.iter().any(is_promise) {
        return Ok(0);
    }
    let promises: Vec<Promised<'_>> = legs
        .iter()
        .map(|asked| Promised {
            leg: &asked.kept.leg,
            facts: asked.facts,
            is_acknowledged: asked.kept.is_acknowledged(),
        })
        .collect();
    let sellable = log::on_hand(conn, barcode, Condition::Sellable)?;
    let questioned = question::units(conn, barcode)?;
    let hub_now = state::hub_time(conn, now)?;
    let mut said = 0;
    for id in hold::uncovered(sellable, questioned, &promises, hub_now) {
        said += u64::from(leg::say(conn, id, ShopSide::Broken { at: now }, now)?);
    }
    Ok(said)
}

/// Breaks what is no longer covered; then answers whatever can be answered without a person. How many legs it spoke of.
/// Everything that came is to be applied before.
pub(super) fn react(conn: &Connection, touched: &Touched, now: TimeMs) -> Result<u64, LedgerError> {
    let mut said = 0;
    match touched {
        Touched::Some(barcodes) => {
            for barcode in barcodes {
                said += break_uncovered(conn, barcode, now)?;
            }
        }
        Touched::Any => {
            for barcode in leg::open_barcodes(conn)? {
                said += break_uncovered(conn, &barcode, now)?;
            }
        }
    }
    said += answer(conn, now)?;
    end_questions(conn, now)?;
    Ok(said)
}

/// Ends the questions that no order is left for: there is nobody but somebody else whose the sale can have been. It breaks
/// nothing, since no promise of such a barcode is left either.
pub(super) fn end_questions(conn: &Connection, now: TimeMs) -> Result<(), LedgerError> {
    for question in question::open(conn)? {
        let legs = of_barcode(conn, &question.barcode)?;
        if !legs.iter().any(over_hold::comes_into_question) {
            question::close(conn, question.sale, None, now)?;
        }
    }
    Ok(())
}

fn answer(conn: &Connection, now: TimeMs) -> Result<u64, LedgerError> {
    let unanswered = leg::unanswered(conn)?;
    if unanswered.is_empty() {
        return Ok(0);
    }
    let policy = state::settings(conn)?.holds;
    let mut said = 0;
    for Kept { leg, .. } in unanswered {
        let facts = leg::facts(conn, &leg)?;
        let side = match hold::answer(&leg, facts, policy, stock(conn, &leg)?) {
            Response::Nothing | Response::AwaitScan => continue,
            Response::Confirm => ShopSide::Confirmed { at: now },
            Response::Decline(reason) => ShopSide::Declined { reason, at: now },
        };
        said += u64::from(leg::say(conn, leg.id, side, now)?);
    }
    Ok(said)
}

/// Whether a sale was some order's already: it is of one at most.
pub(super) fn is_used(legs: &[Asked], sale: MovementId) -> bool {
    legs.iter().any(|asked| {
        matches!(asked.kept.leg.shop, ShopSide::Fulfilled { movement, .. } if movement == sale)
    })
}
