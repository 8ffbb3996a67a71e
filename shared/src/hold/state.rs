//! What a leg comes to: a pure function of its two sides, and of whether the movements it stands on count.

use super::leg::Leg;
use super::side::{HubState, ShopSide};
use crate::planted;

/// The state of a leg or a hold, as the website reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// The shop has not answered.
    Requested,
    /// The shop keeps the piece.
    Confirmed,
    /// No shop keeps it.
    Declined,
    /// It is on its way to another shop.
    InTransit,
    /// It was kept, and is not there after all.
    Broken,
    /// The buyer has it.
    Fulfilled,
    /// The time was over.
    Expired,
    /// The website let it go.
    Released,
}

impl Word {
    /// The word of the public interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::InTransit => "in_transit",
            Self::Broken => "broken",
            Self::Fulfilled => "fulfilled",
            Self::Expired => "expired",
            Self::Released => "released",
        }
    }
}

/// Whether the movement that a shop's side stands on is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Merged {
    /// It is on its way.
    #[default]
    NotYet,
    /// It is merged, and counts.
    Counts,
    /// It is merged, and was taken back.
    Void,
}

/// What the movements say about a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The sale or `transfer_out` that the shop's side names.
    pub movement: Merged,
    /// Of a leg whose piece comes from another shop: its `transfer_in` is merged, and counts.
    pub has_arrived: bool,
}

/// What somebody has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// The shop keeps a piece that nobody wants any more: back into the window.
    PutBack,
    /// A shop kept a piece that is not there after all.
    Broken,
    /// A piece travels, or has travelled, for an order that does not want it there.
    TravelsUnwanted,
    /// The order was bought from a shop that was no longer asked.
    BoughtAfterEnd,
    /// The order was cancelled, and its buyer has the piece.
    CancelledAndBought,
    /// A file sold what was promised; the leg stays held until a person says whose sale it was.
    SoldOverHold,
}

/// What must be done about a leg as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// The hub ends it, and goes on at the next shop where no other leg of the hold is open.
    EndAndGoOn,
    /// The hub opens the leg of the shop to which the piece travels.
    OpenDestination,
    /// All other legs end: the buyer has the piece.
    EndOthers,
    /// Whatever other leg lives is released: the buyer has a piece, though not from where he was to have it.
    ReleaseOthers,
    /// A person is told.
    Work(WorkKind),
}

/// What a leg comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its word; none where an ended leg was never answered.
    pub word: Option<Word>,
    /// Whether its units are held.
    pub is_held: bool,
    /// What must be done.
    pub duties: &'static [Duty],
}

/// The effect of a leg (the table of DESIGN §6).
///
/// A sale or a transfer that the hub has not merged yet leaves the piece in the hub's numbers: until it counts, the
/// units stay held, so that nobody is promised a piece that is gone.
pub fn effect(leg: &Leg, facts: Facts) -> Effect {
    let is_waiting = leg.terms.comes_from.is_some() && !facts.has_arrived;
    let has_come = leg.terms.comes_from.is_some() && facts.has_arrived;
    let mut effect = match leg.hub.state {
        HubState::Requested => while_requested(leg.shop, facts, is_waiting),
        over => when_over(over, leg.shop, facts),
    };
    // What was confirmed elsewhere and has come is a promise before this shop answers: its end is somebody's work.
    if has_come {
        effect.duties = match (leg.hub.state, leg.shop) {
            (HubState::Requested, ShopSide::Declined { .. }) => {
                &[Duty::Work(WorkKind::Broken), Duty::EndAndGoOn]
            }
            (HubState::Expired | HubState::Released | HubState::Ended, ShopSide::None) => {
                &[Duty::Work(WorkKind::PutBack)]
            }
            _ => effect.duties,
        };
    }
    if is_waiting && !planted::is("a_piece_on_its_way_is_held") {
        effect.is_held = false;
    }
    effect
}

/// The units that a leg holds in its shop.
pub fn held(leg: &Leg, facts: Facts) -> i64 {
    if effect(leg, facts).is_held {
        leg.units()
    } else {
        0
    }
}

fn holds(word: Word, duties: &'static [Duty]) -> Effect {
    Effect {
        word: Some(word),
        is_held: true,
        duties,
    }
}

fn free(word: Word, duties: &'static [Duty]) -> Effect {
    Effect {
        is_held: false,
        ..holds(word, duties)
    }
}

fn while_requested(shop: ShopSide, facts: Facts, is_waiting: bool) -> Effect {
    match (shop, facts.movement) {
        (ShopSide::None, _) if is_waiting => holds(Word::InTransit, &[]),
        (ShopSide::None, _) => holds(Word::Requested, &[]),
        (ShopSide::Declined { .. }, _) => free(Word::Declined, &[Duty::EndAndGoOn]),
        (ShopSide::Confirmed { .. }, _) => holds(Word::Confirmed, &[]),
        (ShopSide::Moved { .. }, Merged::NotYet) => holds(Word::InTransit, &[]),
        (ShopSide::Moved { .. }, Merged::Counts) => free(Word::InTransit, &[Duty::OpenDestination]),
        (ShopSide::Broken { .. }, _) if planted::is("broken_tells_nobody") => {
            free(Word::Broken, &[Duty::EndAndGoOn])
        }
        (ShopSide::Broken { .. }, _) => free(
            Word::Broken,
            &[Duty::Work(WorkKind::Broken), Duty::EndAndGoOn],
        ),
        (ShopSide::Fulfilled { .. }, Merged::NotYet)
            if planted::is("fulfilled_is_free_before_its_sale") =>
        {
            free(Word::Confirmed, &[Duty::EndOthers])
        }
        (ShopSide::Fulfilled { .. }, Merged::NotYet) => holds(Word::Confirmed, &[Duty::EndOthers]),
        (ShopSide::Fulfilled { .. }, Merged::Counts) => free(Word::Fulfilled, &[Duty::EndOthers]),
        // The transfer or the sale was taken back: the piece is there, and still the order's.
        (ShopSide::Moved { .. } | ShopSide::Fulfilled { .. }, Merged::Void) => {
            holds(Word::Confirmed, &[])
        }
    }
}

fn when_over(over: HubState, shop: ShopSide, facts: Facts) -> Effect {
    // What the hub did stands over what a shop that was never asked to sell said.
    let word = match over {
        HubState::Expired => Some(Word::Expired),
        HubState::Released => Some(Word::Released),
        HubState::Ended | HubState::Requested => None,
    };
    let or = |of_ended| word.unwrap_or(of_ended);
    let bought: &[Duty] = match over {
        HubState::Released if planted::is("cancelled_and_bought_tells_nobody") => {
            &[Duty::ReleaseOthers]
        }
        HubState::Released => &[
            Duty::ReleaseOthers,
            Duty::Work(WorkKind::CancelledAndBought),
        ],
        _ => &[Duty::ReleaseOthers, Duty::Work(WorkKind::BoughtAfterEnd)],
    };
    let put_back: &[Duty] = if planted::is("nobody_puts_it_back") {
        &[]
    } else {
        &[Duty::Work(WorkKind::PutBack)]
    };
    let travels: &[Duty] = &[Duty::Work(WorkKind::TravelsUnwanted)];
    let broken: &[Duty] = if planted::is("broken_tells_nobody") {
        &[]
    } else {
        &[Duty::Work(WorkKind::Broken)]
    };
    match (shop, facts.movement) {
        (ShopSide::None, _) => Effect {
            word,
            is_held: false,
            duties: &[],
        },
        (ShopSide::Declined { .. }, _) => free(or(Word::Declined), &[]),
        // What was taken back leaves the piece with the shop, which keeps it as before.
        (ShopSide::Confirmed { .. }, _)
        | (ShopSide::Moved { .. } | ShopSide::Fulfilled { .. }, Merged::Void) => {
            free(or(Word::Declined), put_back)
        }
        (ShopSide::Moved { .. }, Merged::NotYet) => holds(or(Word::InTransit), travels),
        (ShopSide::Moved { .. }, Merged::Counts) => free(or(Word::InTransit), travels),
        // It may have been promised in the eyes of a hub that was put back, and end and break in one step.
        (ShopSide::Broken { .. }, _) => free(or(Word::Broken), broken),
        (ShopSide::Fulfilled { .. }, Merged::NotYet) => holds(or(Word::Declined), bought),
        (ShopSide::Fulfilled { .. }, Merged::Counts) => free(Word::Fulfilled, bought),
    }
}
