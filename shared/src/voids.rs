//! Which movements of a shop do not count: a pure function of the set of its movements.
//!
//! Three rules (DESIGN §1), none of which asks in which order anything came:
//!
//! 1. of several dots with one id the smallest counts;
//! 2. an id that a `void` movement names does not count (a void itself cannot be voided);
//! 3. of the statements (`balance`) of a barcode and condition only the one with the greatest `(at, id)` counts, of
//!    those that rule 2 leaves.
//!
//! A store keeps the index of ids and applies [`counting`] to what a new movement touches; [`void_dots`] says the
//! same of a whole set and is the oracle of both stores.

use std::collections::{BTreeMap, BTreeSet};

use crate::movement::{Condition, Kind, Movement};
use crate::{Barcode, Dot, MovementId, ShopId, TimeMs, planted};

/// What the rules need to know of one movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its place.
    pub dot: Dot,
    /// Its identity.
    pub id: MovementId,
    /// Its kind.
    pub kind: Kind,
    /// What it counts for.
    pub barcode: Barcode,
    /// Sellable or not.
    pub condition: Condition,
    /// Its time.
    pub at: TimeMs,
    /// Whom a void names.
    pub target: Option<MovementId>,
}

impl Fact {
    /// The fact of a movement at its dot.
    pub fn of(shop: &ShopId, dot: Dot, movement: &Movement) -> Self {
        Self {
            dot,
            id: movement.id(shop),
            kind: movement.kind,
            barcode: movement.barcode.clone(),
            condition: movement.condition,
            at: movement.at,
            target: movement.target,
        }
    }
}

/// How an id stands among the others of its shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it.
    Stands,
    /// A void names it.
    Named,
    /// It is a statement, and a later one stands.
    Superseded,
}

/// The dot of an id that counts: the smallest, if the id stands.
pub fn counting(dots: impl IntoIterator<Item = Dot>, standing: Standing) -> Option<Dot> {
    let dots = dots.into_iter();
    match standing {
        Standing::Stands if planted::is("largest_dot_counts") => dots.max(),
        Standing::Named if planted::is("voids_are_ignored") => dots.min(),
        Standing::Stands => dots.min(),
        Standing::Named | Standing::Superseded => None,
    }
}

/// The order of statements: the greatest counts. Statements of one time are ordered by id, so that all agree.
pub fn statement_rank(at: TimeMs, id: MovementId) -> (TimeMs, MovementId) {
    (at, id)
}

/// The dots of all movements of one shop that do not count.
pub fn void_dots(facts: &[Fact]) -> BTreeSet<Dot> {
    let voids: BTreeSet<MovementId> = facts
        .iter()
        .filter(|f| f.kind == Kind::Void)
        .map(|f| f.id)
        .collect();
    let named: BTreeSet<MovementId> = facts
        .iter()
        .filter_map(|f| f.target)
        .filter(|target| !voids.contains(target))
        .collect();
    let mut latest: BTreeMap<(&Barcode, Condition), (TimeMs, MovementId)> = BTreeMap::new();
    let mut smallest: BTreeMap<MovementId, Dot> = BTreeMap::new();
    for fact in facts {
        smallest
            .entry(fact.id)
            .and_modify(|dot| *dot = fact.dot.min(*dot))
            .or_insert(fact.dot);
        if fact.kind == Kind::Balance && !named.contains(&fact.id) {
            let rank = statement_rank(fact.at, fact.id);
            latest
                .entry((&fact.barcode, fact.condition))
                .and_modify(|best| *best = rank.max(*best))
                .or_insert(rank);
        }
    }
    let standing = |fact: &Fact| match latest.get(&(&fact.barcode, fact.condition)) {
        _ if named.contains(&fact.id) => Standing::Named,
        Some(best) if fact.kind == Kind::Balance && best.1 != fact.id => Standing::Superseded,
        _ => Standing::Stands,
    };
    facts
        .iter()
        .filter(|fact| {
            let first = if planted::is("ids_are_ignored") {
                Some(fact.dot)
            } else {
                smallest.get(&fact.id).copied()
            };
            counting(first, standing(fact)) != Some(fact.dot)
        })
        .map(|fact| fact.dot)
        .collect()
}
