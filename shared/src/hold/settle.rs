//! The legs of one hold together: what its state is, and what the hub does next.

use super::leg::Leg;
use super::side::{HubState, ShopSide};
use super::state::{Duty, Facts, Merged, Word, WorkKind, effect};
use crate::{LegId, TimeMs, planted};

/// So long a shop may take for its answer, in its opening hours, unless the hub's settings say otherwise.
pub const ANSWER_MS: i64 = 30 * 60_000;

/// Where nobody else could be asked for an unanswered leg, it is tried again after so long.
pub const ASK_AGAIN_MS: i64 = 5 * 60_000;

/// A leg with what the movements say about it.
pub type Known<'a> = (&'a Leg, Facts);

/// One thing that the hub does about a hold, all of them in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Writes the hub's side of a leg.
    Write {
        /// The leg.
        leg: LegId,
        /// What it becomes.
        state: HubState,
    },
    /// Opens a leg at the best other shop, if there is one: the shop of this leg said no.
    OpenNext {
        /// The leg that ended.
        after: LegId,
    },
    /// Opens the leg of the shop to which this leg's piece travels.
    OpenDestination {
        /// The leg whose piece travels.
        from: LegId,
    },
    /// Tells a person: one entry for the leg and this cause, however often it is said.
    Raise {
        /// The leg.
        leg: LegId,
        /// What is to be looked at.
        kind: WorkKind,
    },
}

/// Whether the piece of this leg went on to another shop, where another leg of the hold waits for it or has it.
fn is_passed_on(leg: &Leg, legs: &[Known<'_>]) -> bool {
    let follows = |(other, _): &Known<'_>| other.terms.comes_from == Some(leg.id);
    legs.iter().any(follows)
}

/// Whether the shop's word is that the buyer has the piece, and nobody took that back.
fn is_bought((leg, facts): &Known<'_>) -> bool {
    matches!(leg.shop, ShopSide::Fulfilled { .. }) && facts.movement != Merged::Void
}

/// Whether the piece of this leg went on to where the buyer took it.
fn has_reached_its_buyer(leg: &Leg, legs: &[Known<'_>]) -> bool {
    legs.iter()
        .any(|known| known.0.terms.comes_from == Some(leg.id) && is_bought(known))
}

/// Whether a hold asks this leg's shop for something: the one leg that its state follows. At most one is.
pub fn is_open(leg: &Leg, legs: &[Known<'_>]) -> bool {
    leg.is_requested() && !is_passed_on(leg, legs)
}

/// Whether another shop may be asked instead of this leg's, which has not answered in time. What travels there is not
/// looked for elsewhere.
pub fn is_unanswered(leg: &Leg, legs: &[Known<'_>]) -> bool {
    let is_silent =
        leg.shop == ShopSide::None || planted::is("a_kept_piece_is_looked_for_elsewhere");
    let is_asked = is_open(leg, legs) && leg.terms.comes_from.is_none();
    is_asked && is_silent && !legs.iter().any(is_bought)
}

/// Whether the hub still has to end this leg when the hold ends: its piece has not come to where it travels.
fn is_live((leg, _): &Known<'_>, legs: &[Known<'_>]) -> bool {
    let has_come =
        |(other, facts): &Known<'_>| other.terms.comes_from == Some(leg.id) && facts.has_arrived;
    let is_moved = matches!(leg.shop, ShopSide::Moved { .. });
    leg.is_requested() && !(is_moved && legs.iter().any(has_come))
}

/// Whether the piece of this leg travels to a shop that no longer waits for it.
fn is_stray(known: &Known<'_>, legs: &[Known<'_>]) -> bool {
    let waits =
        |(other, _): &Known<'_>| other.terms.comes_from == Some(known.0.id) && other.is_requested();
    is_live(known, legs) && is_passed_on(known.0, legs) && !legs.iter().any(waits)
}

/// Of several open legs the one that stays: what is furthest, `confirmed` before `none`; then the smallest id.
fn stays<'a>(legs: &[Known<'a>]) -> Option<Known<'a>> {
    let rank = |(leg, facts): &Known<'_>| match (leg.shop, facts.movement) {
        (ShopSide::Fulfilled { .. }, _) => 0,
        (ShopSide::Moved { .. }, _) => 1,
        (ShopSide::Confirmed { .. }, _) => 2,
        (ShopSide::None, _) => 3,
        (ShopSide::Broken { .. } | ShopSide::Declined { .. }, _) => 4,
    };
    let open = legs.iter().filter(|(leg, _)| is_open(leg, legs));
    open.min_by_key(|known| (rank(known), known.0.id)).copied()
}

/// The state of a hold: that of a leg whose buyer has the piece, else of its open leg, else of its last.
pub fn word(legs: &[Known<'_>]) -> Option<Word> {
    let of = |(leg, facts): Known<'_>| effect(leg, facts).word;
    if legs.iter().any(|known| of(*known) == Some(Word::Fulfilled)) {
        return Some(Word::Fulfilled);
    }
    if let Some(open) = stays(legs) {
        return of(open);
    }
    let answered = legs.iter().filter(|known| of(**known).is_some());
    answered
        .max_by_key(|(leg, _)| leg.rank())
        .copied()
        .and_then(of)
}

/// What the hub does about a hold whose legs stand so. It is asked again after every change, and has nothing to say
/// twice but [`Act::Raise`] and what the caller could not do.
pub fn settle(legs: &[Known<'_>]) -> Vec<Act> {
    let mut acts = Vec::new();
    for (leg, facts) in legs {
        for duty in effect(leg, *facts).duties {
            if let Duty::Work(kind) = duty
                && !(*kind == WorkKind::TravelsUnwanted && has_reached_its_buyer(leg, legs))
            {
                acts.push(Act::Raise {
                    leg: leg.id,
                    kind: *kind,
                });
            }
        }
    }
    let bought = legs.iter().filter(|known| is_bought(known));
    let winner = bought.min_by_key(|(leg, _)| (leg.hub.state, leg.id));
    match winner {
        Some((leg, _)) if !planted::is("a_bought_leg_ends_no_other") => {
            end_others(leg, legs, &mut acts);
        }
        _ => go_on(legs, &mut acts),
    }
    acts
}

/// The buyer has the piece of `winner`: every other leg ends, but those through which that piece came.
fn end_others(winner: &Leg, legs: &[Known<'_>], acts: &mut Vec<Act>) {
    let state = if winner.is_requested() {
        HubState::Ended
    } else {
        HubState::Released
    };
    let mut way = vec![winner.id];
    let mut step = winner.terms.comes_from;
    while let Some(before) = step.filter(|before| !way.contains(before)) {
        way.push(before);
        let found = legs.iter().find(|(leg, _)| leg.id == before);
        step = found.and_then(|(leg, _)| leg.terms.comes_from);
    }
    let others = legs.iter().filter(|known| is_live(known, legs));
    // On the way stands what passed the piece on, or will say so; whoever says that it went elsewhere does not.
    let is_way = |leg: &Leg| {
        let passed = !matches!(
            leg.shop,
            ShopSide::Declined { .. } | ShopSide::Broken { .. } | ShopSide::Fulfilled { .. }
        );
        leg.id == winner.id || (passed && way.contains(&leg.id))
    };
    for (other, _) in others.filter(|(other, _)| !is_way(other)) {
        acts.push(Act::Write {
            leg: other.id,
            state,
        });
    }
}

/// Nobody has the piece yet: one open leg stays, and where it said no or went on, the next one opens.
fn go_on(legs: &[Known<'_>], acts: &mut Vec<Act>) {
    for (leg, _) in legs.iter().filter(|known| is_stray(known, legs)) {
        acts.push(Act::Write {
            leg: leg.id,
            state: HubState::Ended,
        });
    }
    let Some(best) = stays(legs) else {
        return;
    };
    let open = legs.iter().filter(|(leg, _)| is_open(leg, legs));
    for (other, _) in open.filter(|(other, _)| other.id != best.0.id) {
        acts.push(Act::Write {
            leg: other.id,
            state: HubState::Ended,
        });
    }
    let (leg, facts) = best;
    let duties = effect(leg, facts).duties;
    if duties.contains(&Duty::EndAndGoOn) {
        acts.push(Act::Write {
            leg: leg.id,
            state: HubState::Ended,
        });
        acts.push(Act::OpenNext { after: leg.id });
    }
    if duties.contains(&Duty::OpenDestination) {
        acts.push(Act::OpenDestination { from: leg.id });
    }
}

/// Why a hold is not changed: 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpen {
    /// Its time is over (`hold_expired`).
    Expired,
    /// Nothing of it is open (`hold_not_open`); its state.
    Closed(Option<Word>),
}

fn if_open<'a>(legs: &[Known<'a>]) -> Result<Vec<&'a Leg>, NotOpen> {
    let is_bought_for_all = legs.iter().any(is_bought) && !planted::is("a_bought_hold_is_released");
    let live: Vec<&Leg> = legs
        .iter()
        .filter(|known| is_live(known, legs))
        .map(|(leg, _)| *leg)
        .collect();
    if live.is_empty() || is_bought_for_all {
        return Err(match word(legs) {
            Some(Word::Expired) => NotOpen::Expired,
            other => NotOpen::Closed(other),
        });
    }
    Ok(live)
}

/// The legs that become `released` when the website lets a hold go; none where it did so before.
///
/// # Errors
///
/// [`NotOpen`]: the buyer has the piece, or the hold ended otherwise.
pub fn release(legs: &[Known<'_>]) -> Result<Vec<LegId>, NotOpen> {
    match if_open(legs) {
        Ok(live) => Ok(live.into_iter().map(|leg| leg.id).collect()),
        Err(NotOpen::Closed(Some(Word::Released))) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

/// The legs whose `expires_at` becomes the later of its own and `now + ttl_ms`.
///
/// # Errors
///
/// [`NotOpen`]; a hold whose time is over is not extended, even where nobody has written that yet.
pub fn extend(legs: &[Known<'_>], now: TimeMs) -> Result<Vec<LegId>, NotOpen> {
    let live = if_open(legs)?;
    if live.iter().any(|leg| leg.hub.expires_at <= now) {
        return Err(NotOpen::Expired);
    }
    Ok(live.into_iter().map(|leg| leg.id).collect())
}

/// The legs that become `expired` at `now`, by the hub's clock: all of the hold's that live, where the time of all of
/// them is over. Where the buyer has the piece, those that it was to come through and whose shops never said that it
/// left: a shop that was put back to before it sent the piece keeps it for nobody.
pub fn expire(legs: &[Known<'_>], now: TimeMs) -> Vec<LegId> {
    let is_left = |known: &Known<'_>| {
        let has_left =
            matches!(known.0.shop, ShopSide::Moved { .. }) && known.1.movement != Merged::Void;
        is_live(known, legs) && !is_bought(known) && !has_left
    };
    let live = if_open(legs).unwrap_or_else(|_| {
        let left = legs.iter().filter(|known| is_left(known));
        left.map(|(leg, _)| *leg).collect()
    });
    if live.iter().all(|leg| leg.hub.expires_at <= now) {
        live.into_iter().map(|leg| leg.id).collect()
    } else {
        Vec::new()
    }
}
