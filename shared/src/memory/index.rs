//! Which dots of a shop count, kept while movements come and go: the rules of [`crate::voids`], applied to what a
//! movement touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::logs::Held;
use crate::hold::{Facts, Leg, Merged};
use crate::voids::{Standing, counting, statement_rank};
use crate::{Barcode, Condition, Dot, HoldId, Kind, Movement, MovementId, TimeMs};

type Row = (Barcode, Condition);

/// The dots of one id.
#[derive(Clone, Debug, Default)]
struct Twins {
    dots: BTreeMap<Dot, Arc<Held>>,
    counts: Option<Dot>,
}

/// The index of a shop's movements.
#[derive(Clone, Debug, Default)]
pub struct Index {
    ids: BTreeMap<MovementId, Twins>,
    /// How many void movements name an id.
    named: BTreeMap<MovementId, usize>,
    statements: BTreeMap<Row, BTreeSet<(TimeMs, MovementId)>>,
    units: BTreeMap<Row, i64>,
    /// What came in for a hold.
    arrivals: BTreeMap<HoldId, BTreeSet<MovementId>>,
    /// Rows whose units changed since somebody asked.
    touched: BTreeSet<Barcode>,
}

impl Index {
    /// Whether some dot has this id.
    pub fn has(&self, id: MovementId) -> bool {
        self.ids.contains_key(&id)
    }

    /// Whether a void names this id.
    pub fn is_named(&self, id: MovementId) -> bool {
        self.named.contains_key(&id)
    }

    /// The ids that count, each with the dot that does.
    pub fn counting(&self) -> impl Iterator<Item = (MovementId, Dot)> {
        let dots = |(id, twins): (&MovementId, &Twins)| Some((*id, twins.counts?));
        self.ids.iter().filter_map(dots)
    }

    /// Every id, with how many dots have it.
    pub fn ids(&self) -> impl Iterator<Item = (MovementId, usize)> {
        self.ids.iter().map(|(id, twins)| (*id, twins.dots.len()))
    }

    /// The movements of an id.
    pub fn twins(&self, id: MovementId) -> impl Iterator<Item = &Movement> {
        let twins = self.ids.get(&id).into_iter();
        twins.flat_map(|twins| twins.dots.values().map(|held| &held.entry.movement))
    }

    /// Units on hand of a barcode, both conditions.
    pub fn on_hand(&self, barcode: &Barcode) -> i64 {
        let of = |condition| self.units.get(&(barcode.clone(), condition)).copied();
        let units = |condition| of(condition).unwrap_or(0);
        units(Condition::Sellable) + units(Condition::Unavailable)
    }

    /// Units on hand of a barcode that can be sold.
    pub fn sellable(&self, barcode: &Barcode) -> i64 {
        let row = (barcode.clone(), Condition::Sellable);
        self.units.get(&row).copied().unwrap_or(0)
    }

    /// Whether a movement is there, and counts.
    pub fn merged(&self, id: MovementId) -> Merged {
        match self.ids.get(&id).map(|twins| twins.counts) {
            None => Merged::NotYet,
            Some(None) => Merged::Void,
            Some(Some(_)) => Merged::Counts,
        }
    }

    /// The dots of an id.
    pub(super) fn dots(&self, id: MovementId) -> impl Iterator<Item = Dot> {
        let twins = self.ids.get(&id).into_iter();
        twins.flat_map(|twins| twins.dots.keys().copied())
    }

    /// What the movements say about a leg of this shop.
    pub fn facts(&self, leg: &Leg) -> Facts {
        let movement = leg.shop.movement();
        let came = self.arrivals.get(&leg.terms.hold).into_iter().flatten();
        Facts {
            movement: movement.map_or(Merged::NotYet, |id| self.merged(id)),
            has_arrived: leg.terms.comes_from.is_some()
                && came
                    .into_iter()
                    .any(|id| self.merged(*id) == Merged::Counts),
        }
    }

    /// Every barcode that some movement named.
    pub fn barcodes(&self) -> BTreeSet<Barcode> {
        self.units
            .keys()
            .map(|(barcode, _)| barcode.clone())
            .collect()
    }

    /// Barcodes whose units may have changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<Barcode> {
        std::mem::take(&mut self.touched)
    }

    /// A movement is there.
    pub(super) fn add(&mut self, dot: Dot, held: &Arc<Held>) {
        let (id, movement) = (held.id, &held.entry.movement);
        let row = (movement.barcode.clone(), movement.condition);
        self.units.entry(row.clone()).or_default();
        let twins = self.ids.entry(id).or_default();
        twins.dots.insert(dot, Arc::clone(held));
        if movement.kind == Kind::TransferIn
            && let Some(hold) = movement.details().hold
        {
            self.arrivals.entry(hold).or_default().insert(id);
        }
        if let Some(target) = movement.target {
            *self.named.entry(target).or_default() += 1;
            self.settle_target(target);
        }
        if movement.kind == Kind::Balance {
            let rank = statement_rank(movement.at, id);
            self.statements.entry(row.clone()).or_default().insert(rank);
            self.settle_row(&row);
        }
        self.settle(id);
    }

    /// A movement is gone: it moves to a branch.
    pub(super) fn remove(&mut self, dot: Dot, held: &Held) {
        let (id, movement) = (held.id, &held.entry.movement);
        let row = (movement.barcode.clone(), movement.condition);
        if self.ids[&id].counts == Some(dot) {
            self.count(held, -1);
        }
        let twins = self.ids.get_mut(&id).expect("an id that is held");
        twins.counts = twins.counts.filter(|counts| *counts != dot);
        twins.dots.remove(&dot);
        let is_last = twins.dots.is_empty();
        if is_last {
            self.ids.remove(&id);
        }
        if let Some(target) = movement.target {
            let left = self.named.remove(&target).unwrap_or(0).saturating_sub(1);
            if left > 0 {
                self.named.insert(target, left);
            }
            self.settle_target(target);
        }
        if movement.kind == Kind::Balance {
            if is_last {
                let rank = statement_rank(movement.at, id);
                self.statements.get_mut(&row).map(|all| all.remove(&rank));
            }
            self.settle_row(&row);
        }
        self.settle(id);
    }

    fn count(&mut self, held: &Held, sign: i64) {
        let movement = &held.entry.movement;
        let row = (movement.barcode.clone(), movement.condition);
        *self.units.entry(row).or_default() += sign * movement.qty.units();
        self.touched.insert(movement.barcode.clone());
    }

    fn settle_target(&mut self, target: MovementId) {
        let twins = self.ids.get(&target);
        let stated = twins.and_then(|twins| twins.dots.values().next());
        if let Some(held) = stated.filter(|held| held.entry.movement.kind == Kind::Balance) {
            let movement = &held.entry.movement;
            self.settle_row(&(movement.barcode.clone(), movement.condition));
        }
        self.settle(target);
    }

    fn settle_row(&mut self, row: &Row) {
        let all = self.statements.get(row).cloned().unwrap_or_default();
        for (_, id) in all {
            self.settle(id);
        }
    }

    fn standing(&self, id: MovementId, twins: &Twins) -> Standing {
        let is_void = |held: &Arc<Held>| held.entry.movement.kind == Kind::Void;
        if self.is_named(id) && !twins.dots.values().any(is_void) {
            return Standing::Named;
        }
        let Some(first) = twins.dots.values().next() else {
            return Standing::Stands;
        };
        let movement = &first.entry.movement;
        if movement.kind != Kind::Balance {
            return Standing::Stands;
        }
        let row = (movement.barcode.clone(), movement.condition);
        let latest = self.statements.get(&row).and_then(|all| {
            let stands = |(_, id): &&(TimeMs, MovementId)| !self.is_named(*id);
            all.iter().rev().find(stands)
        });
        match latest {
            Some((_, latest)) if *latest != id => Standing::Superseded,
            _ => Standing::Stands,
        }
    }

    /// Decides anew which dot of an id counts.
    fn settle(&mut self, id: MovementId) {
        let Some(twins) = self.ids.get(&id) else {
            return;
        };
        let counts = counting(twins.dots.keys().copied(), self.standing(id, twins));
        let before = twins.counts;
        if counts == before {
            return;
        }
        let held = |dot: Option<Dot>| dot.map(|dot| Arc::clone(&twins.dots[&dot]));
        let (old, new) = (held(before), held(counts));
        if let Some(old) = old {
            self.count(&old, -1);
        }
        if let Some(new) = new {
            self.count(&new, 1);
        }
        if let Some(twins) = self.ids.get_mut(&id) {
            twins.counts = counts;
        }
    }
}
