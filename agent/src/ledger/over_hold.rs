//! A movement of a barcode that web orders ask for: what a sale does to them, and what is left of the promises.

use rusqlite::Connection;
use vitrina_shared::hold::{
    self, DeclineReason, Facts, HubState, Leg, Merged, Sale, ShopSide, Verdict, Way,
};
use vitrina_shared::{
    Barcode, Condition, Details, HoldId, Key, Kind, LegId, Movement, MovementId, TimeMs,
};

use super::booking::{Booking, Refusal};
use super::found::{self, Found};
use super::hold::HoldRow;
use super::promise::{self, Asked};
use super::{Desk, LedgerError, leg, log, question, state};

/// So far the till's time of a sale may lie from the call that knew no receipt: later the same number is another order's.
const RECEIPT_WITHIN_MS: i64 = 3 * 24 * 3_600_000;

/// What a movement does to the legs of its barcode, in the commit in which it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: it takes nothing that is held.
    Nothing,
    /// The order's buyer has the piece.
    Fulfil(LegId),
    /// The piece leaves for another shop, for the order.
    Move(LegId),
    /// These lose their piece.
    Take(Vec<LegId>),
    /// A person is asked whose sale it was; so many units of it were promised.
    Ask(i64),
}

/// The movement with the hold that its texts name, where they name an order that is kept here and it names no hold itself.
pub(super) fn named(movement: Movement, legs: &[Asked], way: Way) -> Movement {
    if movement.kind != Kind::Sale || way != Way::File || legs.is_empty() {
        return movement;
    }
    let details = movement.details();
    if details.hold.is_some() {
        return movement;
    }
    let is_unserved = |leg: &&Leg| !matches!(leg.shop, ShopSide::Fulfilled { .. });
    let leg = of_orders(&movement, &details, legs)
        .filter(is_unserved)
        .min_by_key(|leg| (leg.hub.state, leg.rank()));
    let Some(hold) = leg.map(|leg| leg.terms.hold) else {
        return movement;
    };
    let details = Details {
        hold: Some(hold),
        ..details
    };
    Movement {
        rest: details.to_bytes(),
        ..movement
    }
}

/// The legs whose order the texts of a file's line name.
fn of_orders<'a>(
    movement: &'a Movement,
    details: &'a Details,
    legs: &'a [Asked],
) -> impl Iterator<Item = &'a Leg> {
    let receipt = match &movement.key {
        Key::Receipt { receipt, .. } => Some(&**receipt),
        _ => None,
    };
    let texts = [
        receipt,
        details.reference.as_deref(),
        details.document.as_deref(),
    ];
    let legs = legs.iter().map(|asked| &asked.kept.leg);
    legs.filter(move |leg| {
        let mut texts = texts.iter().flatten();
        texts.any(|text| names(text, &leg.terms.order))
    })
}

/// The sales, booked by a call that knew no receipt, of the orders that a file's line names: it may be their receipt.
pub(super) fn without_receipt(
    conn: &Connection,
    movement: &Movement,
    legs: &[Asked],
) -> Result<Vec<Found>, LedgerError> {
    let details = movement.details();
    let mut sales = Vec::new();
    if movement.kind == Kind::Sale && details.hold.is_none() {
        for leg in of_orders(movement, &details, legs) {
            if let ShopSide::Fulfilled { movement: sale, .. } = leg.shop {
                let by_call = Key::call(&call_of(leg.id));
                let mut dots = found::by_id(conn, sale)?;
                dots.retain(|dot| {
                    let apart = movement.at.since(dot.movement.at).abs();
                    dot.movement.key == by_call && apart <= RECEIPT_WITHIN_MS
                });
                sales.extend(dots);
            }
        }
    }
    Ok(sales)
}

/// The idempotency key of the call that books a leg's sale and knows no receipt.
pub(crate) fn call_of(leg: LegId) -> String {
    format!("fulfil {leg}")
}

/// Whether a text names an order: it is its number, or has it as a word.
fn names(text: &str, order: &str) -> bool {
    let order = order.trim();
    let is_part = |mark: char| mark.is_alphanumeric() || matches!(mark, '-' | '_' | '/' | '.');
    let mut words = text.split(|mark| !is_part(mark));
    !order.is_empty() && (text.trim() == order || words.any(|word| word == order))
}

/// What a new movement does to the legs of its barcode, or why it is not booked.
pub(super) fn plan(
    desk: &Desk<'_>,
    booking: &Booking,
    movement: &Movement,
    legs: &[Asked],
) -> Result<Result<Plan, Refusal>, LedgerError> {
    let hold = movement.details().hold;
    if legs.is_empty() && hold.is_none() {
        return Ok(Ok(Plan::Nothing));
    }
    if booking.way == Way::Call
        && matches!(movement.kind, Kind::Sale | Kind::TransferOut)
        && let Some(hold) = hold
        && let Some(refusal) = misnamed(desk, hold, movement, legs)?
    {
        return Ok(Err(refusal));
    }
    match movement.kind {
        Kind::Sale => sale(desk, booking, movement, legs),
        Kind::TransferOut => Ok(Ok(hold.map_or(Plan::Nothing, |hold| {
            shipped(legs, hold, movement).map_or(Plan::Nothing, Plan::Move)
        }))),
        _ => Ok(Ok(Plan::Nothing)),
    }
}

/// Why a call that names a hold cannot be about it.
fn misnamed(
    desk: &Desk<'_>,
    hold: HoldId,
    movement: &Movement,
    legs: &[Asked],
) -> Result<Option<Refusal>, LedgerError> {
    let units = -movement.qty.units();
    let of_hold = legs
        .iter()
        .filter(|asked| asked.kept.leg.terms.hold == hold);
    let (mut is_here, mut fits, mut is_open) = (None, false, false);
    for asked in of_hold {
        let leg = &asked.kept.leg;
        is_here = Some(asked);
        fits |= leg.units() == units;
        is_open |= leg.units() == units && !matches!(leg.shop, ShopSide::Fulfilled { .. });
    }
    let Some(asked) = is_here else {
        let elsewhere = leg::of_hold(desk.conn, hold)?;
        return Ok(Some(match elsewhere.into_iter().next() {
            None => Refusal::UnknownHold,
            Some(kept) => Refusal::OtherPiece(Box::new(HoldRow::of(desk.conn, kept)?)),
        }));
    };
    let row = || HoldRow::of(desk.conn, asked.kept.clone()).map(Box::new);
    Ok(if !fits {
        Some(Refusal::OtherPiece(row()?))
    } else if !is_open {
        Some(Refusal::HoldNotOpen(row()?))
    } else {
        None
    })
}

fn sale(
    desk: &Desk<'_>,
    booking: &Booking,
    movement: &Movement,
    legs: &[Asked],
) -> Result<Result<Plan, Refusal>, LedgerError> {
    let names = movement.details().hold;
    if movement.condition != Condition::Sellable && names.is_none() {
        return Ok(Ok(Plan::Nothing));
    }
    let sellable = log::on_hand(desk.conn, &movement.barcode, Condition::Sellable)?;
    let sale = Sale {
        units: -movement.qty.units(),
        names,
        way: booking.way,
    };
    let known: Vec<(&Leg, Facts)> = legs.iter().map(Asked::known).collect();
    let verdict = hold::sale(
        sellable,
        &known,
        sale,
        state::hub_time(desk.conn, desk.now)?,
    );
    let rows = |ids: &[LegId]| -> Result<Vec<HoldRow>, LedgerError> {
        let of = |id: &LegId| legs.iter().find(|asked| asked.kept.leg.id == *id);
        let touched = ids.iter().filter_map(of);
        touched
            .map(|asked| HoldRow::of(desk.conn, asked.kept.clone()))
            .collect()
    };
    Ok(match verdict {
        Verdict::Free => Ok(Plan::Nothing),
        Verdict::Fulfils(leg) => Ok(Plan::Fulfil(leg)),
        Verdict::Takes(ids) => Ok(Plan::Take(ids)),
        Verdict::Question(ids) => {
            let is_touched = |leg: &&Leg| ids.contains(&leg.id) && leg.shop != ShopSide::None;
            let kept = legs.iter().map(|asked| &asked.kept.leg).filter(is_touched);
            Ok(Plan::Ask(kept.map(Leg::units).sum()))
        }
        Verdict::Refused(ids) => Err(Refusal::Held(rows(&ids)?)),
        Verdict::NotOpen(id) => match rows(&[id])?.pop() {
            Some(row) => Err(Refusal::HoldNotOpen(Box::new(row))),
            None => Err(Refusal::UnknownHold),
        },
    })
}

/// The leg whose piece leaves with this transfer.
fn shipped(legs: &[Asked], hold: HoldId, movement: &Movement) -> Option<LegId> {
    let side = ShopSide::Moved {
        movement: MovementId([0; 16]),
        at: TimeMs(0),
    };
    let is_meant = |leg: &&Leg| {
        leg.terms.hold == hold && leg.units() == -movement.qty.units() && leg.shop.may_become(side)
    };
    let of_hold = legs.iter().map(|asked| &asked.kept.leg).filter(is_meant);
    let leg = of_hold.min_by_key(|leg| (leg.hub.state, std::cmp::Reverse(leg.rank())));
    leg.map(|leg| leg.id)
}

/// Does to the legs what was planned, now that the movement is written; what is not covered any more breaks.
pub(super) fn carry_out(
    conn: &Connection,
    plan: &Plan,
    (movement, barcode): (MovementId, &Barcode),
    now: TimeMs,
) -> Result<(), LedgerError> {
    match plan {
        Plan::Nothing => {}
        Plan::Fulfil(leg) => fulfil(conn, *leg, movement, now)?,
        Plan::Move(leg) => {
            leg::say(conn, *leg, ShopSide::Moved { movement, at: now }, now)?;
        }
        Plan::Take(legs) => {
            for id in legs {
                take(conn, *id, now)?;
            }
        }
        Plan::Ask(units) => question::ask(conn, movement, (barcode, *units), now)?,
    }
    promise::break_uncovered(conn, barcode, now)?;
    Ok(())
}

/// The order's buyer has the piece, by this sale.
pub(super) fn fulfil(
    conn: &Connection,
    leg: LegId,
    sale: MovementId,
    now: TimeMs,
) -> Result<(), LedgerError> {
    let side = ShopSide::Fulfilled {
        movement: sale,
        at: now,
    };
    leg::say(conn, leg, side, now)?;
    question::close(conn, sale, Some(leg), now)?;
    promise::end_questions(conn, now)
}

/// A person sells what is asked for to somebody else: who was told yes is broken, who was told nothing is declined.
fn take(conn: &Connection, id: LegId, now: TimeMs) -> Result<(), LedgerError> {
    let broken = ShopSide::Broken { at: now };
    let declined = ShopSide::Declined {
        reason: DeclineReason::Sold,
        at: now,
    };
    if !leg::say(conn, id, declined, now)? {
        leg::say(conn, id, broken, now)?;
    }
    Ok(())
}

/// A movement that was booked before may say for which hold it was: the file behind the till's call, or the call behind the
/// file.
pub(super) fn link(
    desk: &Desk<'_>,
    movement: &Movement,
    id: MovementId,
    legs: &[Asked],
) -> Result<(), LedgerError> {
    let Some(hold) = movement.details().hold else {
        return Ok(());
    };
    let leg = match movement.kind {
        Kind::Sale if !promise::is_used(legs, id) => fulfilled(legs, hold, movement, desk.now),
        Kind::TransferOut => shipped(legs, hold, movement),
        _ => None,
    };
    let Some(leg) = leg else { return Ok(()) };
    if movement.kind == Kind::Sale {
        fulfil(desk.conn, leg, id, desk.now)?;
    } else {
        let side = ShopSide::Moved {
            movement: id,
            at: desk.now,
        };
        leg::say(desk.conn, leg, side, desk.now)?;
    }
    promise::break_uncovered(desk.conn, &movement.barcode, desk.now)?;
    Ok(())
}

/// The leg that a sale, which has happened, fulfils.
fn fulfilled(legs: &[Asked], hold: HoldId, movement: &Movement, now: TimeMs) -> Option<LegId> {
    let known: Vec<(&Leg, Facts)> = legs.iter().map(Asked::known).collect();
    let sale = Sale {
        units: -movement.qty.units(),
        names: Some(hold),
        way: Way::File,
    };
    match hold::sale(i64::MAX, &known, sale, now) {
        Verdict::Fulfils(leg) => Some(leg),
        _ => None,
    }
}

/// Whether a sale of a file may have been this order's: it is not over, and its buyer can still be served from this leg.
pub(super) fn comes_into_question(asked: &Asked) -> bool {
    let leg = &asked.kept.leg;
    let is_over = matches!(leg.hub.state, HubState::Ended | HubState::Released);
    let is_fulfilled = matches!(leg.shop, ShopSide::Fulfilled { .. });
    !is_over && !is_fulfilled && asked.facts.movement != Merged::Counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_an_order_as_a_whole_word() {
        assert!(names("1024", "1024") && names(" 1024 ", "1024"));
        assert!(names("заказ 1024, самовывоз", "1024") && names("№W-77/2", "W-77/2"));
        assert!(!names("10245", "1024") && !names("1024-2", "1024") && !names("", ""));
    }
}
