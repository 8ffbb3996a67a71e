//! What becomes of a sale where a piece is held.

use super::leg::Leg;
use super::side::{HubState, ShopSide};
use super::state::{Facts, Merged, held};
use crate::{HoldId, LegId, TimeMs, planted};

/// So long after a leg expired a sale still asks; the shop's clock is corrected by what the hub's showed.
pub const GRACE_MS: i64 = 600_000;

/// How a sale comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a call: it can be refused.
    Call,
    /// By a call of somebody who was told and says yes.
    Forced,
    /// In a file of the till: it has happened.
    File,
}

/// A sale of one barcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    /// How many units leave, positive.
    pub units: i64,
    /// The hold that it says to fulfil; of a file's line the one of the order that its receipt names.
    pub names: Option<HoldId>,
    /// How it comes.
    pub way: Way,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is booked, and takes nothing that is held.
    Free,
    /// It is booked, and this leg becomes `fulfilled` with it, in the same commit.
    Fulfils(LegId),
    /// Nothing is booked: 409 `hold_conflict`, with these legs.
    Refused(Vec<LegId>),
    /// Nothing is booked: 409 `hold_not_open`. The hold that it names is over.
    NotOpen(LegId),
    /// It is booked. These legs lose their piece: unanswered ones are declined (`sold`), confirmed ones are broken.
    Takes(Vec<LegId>),
    /// It is booked, and a person is asked whose sale it is. These legs stay held until he answers.
    Question(Vec<LegId>),
}

/// Whether the time of a leg is over for so long at `now` that nobody at a till need ask.
pub(super) fn has_lapsed(leg: &Leg, now: TimeMs) -> bool {
    now.since(leg.hub.expires_at) > GRACE_MS && !planted::is("an_expired_leg_binds_for_ever")
}

/// Whether a sale must mind this leg at `now`, by the shop's clock corrected to the hub's.
pub fn minds(leg: &Leg, facts: Facts, now: TimeMs) -> bool {
    let waits = leg.terms.comes_from.is_some() && !facts.has_arrived;
    let is_back = leg.shop.movement().is_some() && facts.movement == Merged::Void;
    let is_promised = is_back || matches!(leg.shop, ShopSide::None | ShopSide::Confirmed { .. });
    leg.is_requested() && is_promised && !waits && !has_lapsed(leg, now)
}

/// Decides about a sale of a barcode of which the ledger has `sellable` units and these legs, before it is booked.
pub fn sale(sellable: i64, legs: &[(&Leg, Facts)], sale: Sale, now: TimeMs) -> Verdict {
    if let Some(verdict) = named(legs, sale) {
        return verdict;
    }
    let mut minded: Vec<&Leg> = legs
        .iter()
        .filter(|(leg, facts)| minds(leg, *facts, now))
        .map(|(leg, _)| *leg)
        .collect();
    let bound: i64 = minded.iter().map(|leg| leg.units()).sum();
    // What another machine sold or sent away is in this ledger still.
    let is_going = |(leg, facts): &&(&Leg, Facts)| {
        leg.shop.movement().is_some() && facts.movement == Merged::NotYet
    };
    let going = legs.iter().filter(is_going);
    let gone: i64 = going.map(|(leg, facts)| held(leg, *facts)).sum();
    let left = sellable.saturating_sub(sale.units.saturating_add(gone));
    let mut missing = bound - left.max(0);
    if missing <= 0 || planted::is("tills_sell_what_is_held") {
        return Verdict::Free;
    }
    // Who was promised nothing loses first, then who came last.
    minded.sort_by_key(|leg| {
        let is_promised = leg.shop != ShopSide::None;
        (is_promised, std::cmp::Reverse(leg.rank()))
    });
    let mut touched = Vec::new();
    for leg in minded {
        if missing <= 0 {
            break;
        }
        missing -= leg.units();
        touched.push(leg.id);
    }
    match sale.way {
        Way::Call => Verdict::Refused(touched),
        Way::Forced => Verdict::Takes(touched),
        Way::File => Verdict::Question(touched),
    }
}

/// The verdict of a sale that names a hold with a leg here. The buyer who stands there after the time was over is
/// served like any other; that the hold was cancelled or is kept elsewhere he must be told first.
fn named(legs: &[(&Leg, Facts)], sale: Sale) -> Option<Verdict> {
    let hold = sale.names?;
    let of_hold = legs.iter().map(|(leg, _)| *leg).filter(|leg| {
        leg.terms.hold == hold
            && !matches!(leg.shop, ShopSide::Fulfilled { .. })
            && leg.units() == sale.units
    });
    let leg = of_hold.min_by_key(|leg| (leg.hub.state, std::cmp::Reverse(leg.rank())))?;
    let is_over = matches!(leg.hub.state, HubState::Ended | HubState::Released);
    Some(if is_over && sale.way == Way::Call {
        Verdict::NotOpen(leg.id)
    } else {
        Verdict::Fulfils(leg.id)
    })
}
