//! What a shop says to a leg, and which of its promises its stock no longer covers.

use super::leg::Leg;
use super::side::{DeclineReason, ShopSide};
use super::state::{Facts, Merged, held};
use super::till::has_lapsed;
use crate::registers::HoldPolicy;
use crate::{LegId, TimeMs, planted};

/// What the agent does about a leg by itself. It has applied everything that an answer brought before it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// There is nothing to say, or not yet: it was answered, it is over, its piece has not come.
    Nothing,
    /// A person looks for the piece and scans it.
    AwaitScan,
    /// Yes.
    Confirm,
    /// No.
    Decline(DeclineReason),
}

/// What is in the shop of the leg's barcode, by the agent's own ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnStock {
    /// Units that can be sold.
    pub sellable: i64,
    /// Of them promised: [`promised`] of all other legs of the barcode.
    pub promised: i64,
}

/// The units of one barcode that the shop has promised: legs that it said yes to and that are still held, a sale or
/// transfer of which is not in the ledger yet included.
pub fn promised<'a>(legs: impl IntoIterator<Item = (&'a Leg, Facts)>) -> i64 {
    let is_answered = |(leg, _): &(&Leg, Facts)| leg.shop != ShopSide::None;
    let answered = legs.into_iter().filter(is_answered);
    answered.map(|(leg, facts)| held(leg, facts)).sum()
}

/// The agent's answer to a leg of its shop.
pub fn answer(leg: &Leg, facts: Facts, policy: HoldPolicy, stock: OwnStock) -> Response {
    let waits = leg.terms.comes_from.is_some() && !facts.has_arrived;
    let is_over = !leg.is_requested() && !planted::is("an_ended_leg_is_confirmed");
    if is_over || leg.shop != ShopSide::None || waits {
        return Response::Nothing;
    }
    let promised = if planted::is("promised_pieces_are_confirmed_again") {
        0
    } else {
        stock.promised
    };
    if stock.sellable.saturating_sub(promised) < leg.units() {
        return Response::Decline(DeclineReason::Sold);
    }
    match policy {
        HoldPolicy::Auto => Response::Confirm,
        HoldPolicy::Scan => Response::AwaitScan,
    }
}

/// A person says yes: the piece was scanned. Nothing where that is not to be said any more.
pub fn confirmed(leg: &Leg, at: TimeMs) -> Option<ShopSide> {
    said(leg, ShopSide::Confirmed { at })
}

/// A person says no. Who had said yes breaks his word: people are told.
pub fn declined(leg: &Leg, reason: DeclineReason, at: TimeMs) -> Option<ShopSide> {
    let no = ShopSide::Declined { reason, at };
    said(leg, no).or_else(|| said(leg, ShopSide::Broken { at }))
}

fn said(leg: &Leg, next: ShopSide) -> Option<ShopSide> {
    (leg.is_requested() && leg.shop.may_become(next)).then_some(next)
}

/// A promise, with whether the hub has it.
#[derive(Clone, Copy, Debug)]
pub struct Promised<'a> {
    /// The leg.
    pub leg: &'a Leg,
    /// What the movements say about it.
    pub facts: Facts,
    /// The hub has acknowledged the shop's word in this life.
    pub is_acknowledged: bool,
}

/// The confirmed legs of one barcode that the shop cannot keep at `now`: the agent writes `broken`, the last first; before
/// all others those whose time is over, then those that the hub has not heard of.
///
/// `questioned` are units that a file sold over a hold: until a person says whose sale it was, they break nothing.
pub fn uncovered(
    sellable: i64,
    questioned: i64,
    promises: &[Promised<'_>],
    now: TimeMs,
) -> Vec<LegId> {
    let there = sellable.saturating_add(questioned);
    // Whose sale was taken back and whose time is over has lost nothing by a sale that had to ask nobody.
    let is_bound = |one: &&Promised<'_>| {
        let is_back = one.leg.shop.movement().is_some() && one.facts.movement == Merged::Void;
        !(is_back && has_lapsed(one.leg, now))
    };
    let bound = promises.iter().filter(is_bound);
    let all = promised(bound.map(|one| (one.leg, one.facts)));
    let missing = all.saturating_sub(there.max(0));
    // A piece that is still on its way to the shop holds none of what is there: to break it would free nothing.
    let can_break = |one: &&Promised<'_>| {
        let is_confirmed = matches!(one.leg.shop, ShopSide::Confirmed { .. });
        one.leg.is_requested() && is_confirmed && held(one.leg, one.facts) > 0
    };
    let mut breakable: Vec<&Promised<'_>> = promises.iter().filter(can_break).collect();
    breakable.sort_by_key(|one| {
        let is_bound = !has_lapsed(one.leg, now);
        (
            is_bound,
            one.is_acknowledged,
            std::cmp::Reverse(one.leg.rank()),
        )
    });
    let in_order = breakable
        .iter()
        .map(|one| (one.leg.id, held(one.leg, one.facts)));
    until_covered(missing, in_order)
}

/// The confirmed legs of one barcode for which nothing is left of what is there, the last first: where a till has sold what
/// was kept, a person says whose it was. As many as pieces are missing, so that whichever of them is over first, the others
/// are still known of.
pub fn sold_over(sellable: i64, legs: &[(&Leg, Facts)]) -> Vec<LegId> {
    let missing = promised(legs.iter().copied()).saturating_sub(sellable.max(0));
    // One whose piece has not come holds nothing of what is there.
    let is_kept = |(leg, facts): &&(&Leg, Facts)| {
        let is_confirmed = matches!(leg.shop, ShopSide::Confirmed { .. });
        leg.is_requested() && is_confirmed && held(leg, *facts) > 0
    };
    let mut kept: Vec<&(&Leg, Facts)> = legs.iter().filter(is_kept).collect();
    kept.sort_by_key(|(leg, _)| std::cmp::Reverse(leg.rank()));
    let in_order = kept.iter().map(|(leg, facts)| (leg.id, held(leg, *facts)));
    until_covered(missing, in_order)
}

/// So many of these, in their order, that their units are what is missing, or more.
fn until_covered(mut missing: i64, legs: impl Iterator<Item = (LegId, i64)>) -> Vec<LegId> {
    let mut taken = Vec::new();
    for (id, units) in legs {
        if missing <= 0 {
            break;
        }
        missing -= units;
        taken.push(id);
    }
    taken
}

/// Whether a `confirmed` that the hub merges now is of a piece that another leg has: then the merge breaks it. `others`
/// is [`promised`] of the legs of the barcode that were merged before; it is asked when everything that the shop had
/// booked is merged, because a piece may have come in just before. (Where nobody else was promised anything, a till has
/// sold it over the hold: that is a question to the shop.)
pub fn is_second(leg: &Leg, facts: Facts, sellable: i64, others: i64) -> bool {
    let is_confirmed = leg.is_requested() && matches!(leg.shop, ShopSide::Confirmed { .. });
    let units = held(leg, facts);
    is_confirmed && units > 0 && others > 0 && others + units > sellable
}
