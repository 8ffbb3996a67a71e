//! The demo's own books of one shop: what must be there after everything it sold and dropped.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;

/// What should be on hand, and what is on its way to the website.
#[derive(Debug)]
pub(super) struct Book {
    stock: BTreeMap<String, i64>,
    /// Pieces whose last change the website has not shown: they rest, so that each number it shows has one cause.
    busy: BTreeSet<String>,
    keys: Vec<String>,
    opened_with: i64,
}

impl Book {
    /// The books after the opening.
    pub(super) fn new(stock: BTreeMap<String, i64>) -> Self {
        let keys = stock.keys().cloned().collect();
        let opened_with = stock.values().sum();
        Self {
            stock,
            busy: BTreeSet::new(),
            keys,
            opened_with,
        }
    }

    /// All of it.
    pub(super) fn stock(&self) -> &BTreeMap<String, i64> {
        &self.stock
    }

    /// Units on hand.
    pub(super) fn units(&self) -> i64 {
        self.stock.values().sum()
    }

    /// Whether goods should come before more is sold.
    pub(super) fn is_low(&self) -> bool {
        self.units() * 10 < self.opened_with * 6
    }

    /// Picks a piece that rests and that there are enough of, changes it, and gives its key and the new on hand.
    pub(super) fn change(&mut self, by: i64, random: &mut Random) -> Option<(String, i64)> {
        let start = random.below(self.keys.len());
        let in_turn = self
            .keys
            .iter()
            .skip(start)
            .chain(self.keys.iter().take(start));
        let fits = |key: &&String| {
            !self.busy.contains(*key) && self.stock.get(*key).is_some_and(|qty| qty + by >= 0)
        };
        let key = in_turn.into_iter().find(fits)?.clone();
        let qty = self.stock.get_mut(&key)?;
        *qty += by;
        let on_hand = *qty;
        self.busy.insert(key.clone());
        Some((key, on_hand))
    }

    /// Takes one unit of a piece that rests, where there is one, and gives the new on hand.
    pub(super) fn take(&mut self, key: &str) -> Option<i64> {
        let qty = self.stock.get_mut(key).filter(|qty| **qty > 0)?;
        if !self.busy.insert(key.to_owned()) {
            return None;
        }
        *qty -= 1;
        Some(*qty)
    }

    /// What was taken last of a piece was not sold.
    pub(super) fn undo(&mut self, key: &str) {
        if let Some(qty) = self.stock.get_mut(key) {
            *qty += 1;
        }
        self.busy.remove(key);
    }

    /// The website has shown it.
    pub(super) fn rest(&mut self, key: &str) {
        self.busy.remove(key);
    }

    /// How many changes the website has not shown.
    pub(super) fn under_way(&self) -> usize {
        self.busy.len()
    }
}
