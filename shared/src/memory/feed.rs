//! The feed of a hub in memory: what changed, in the order of the positions that its commits gave out.

use std::collections::BTreeMap;

use crate::{Barcode, ShopId};

/// A place in the feed, as readers carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The ordinal of the hub's life.
    pub ordinal: u64,
    /// The position.
    pub pos: u64,
    /// The tag of the commit that the end belonged to when it was read.
    pub tag: u64,
    /// That end: what was overtaken up to there is not among what was read.
    pub end: u64,
}

/// Changes after a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What is on hand now of everything that changed, in the order of the changes.
    pub levels: Vec<(ShopId, Barcode, i64)>,
    /// Where it goes on.
    pub cursor: Cursor,
}

/// Positions, levels, commits.
#[derive(Clone, Debug, Default)]
pub(super) struct Feed {
    /// The last position.
    pub(super) pos: u64,
    /// The tag of each commit, by its last position.
    tags: BTreeMap<u64, u64>,
    levels: BTreeMap<(ShopId, Barcode), (u64, i64)>,
    order: BTreeMap<u64, (ShopId, Barcode)>,
}

impl Feed {
    /// A level as it stands now; one that says the same is no news.
    pub(super) fn say(&mut self, shop: &ShopId, barcode: &Barcode, on_hand: i64) {
        let key = (shop.clone(), barcode.clone());
        let before = self.levels.get(&key).copied();
        if before.is_some_and(|(_, told)| told == on_hand) {
            return;
        }
        self.pos += 1;
        if let Some((pos, _)) = before {
            self.order.remove(&pos);
        }
        self.order.insert(self.pos, key.clone());
        self.levels.insert(key, (self.pos, on_hand));
    }

    /// What was said since the last commit is committed.
    pub(super) fn commit(&mut self, tag: u64) {
        self.tags.insert(self.pos, tag);
    }

    /// The tag of the commit that a position belongs to.
    pub(super) fn tag(&self, pos: u64) -> u64 {
        let commit = self.tags.range(pos..).next();
        commit.map_or(0, |(_, tag)| *tag)
    }

    /// Whether a commit that ended here with this tag is of this history.
    pub(super) fn knows(&self, pos: u64, tag: u64) -> bool {
        pos == 0 || self.tags.get(&pos) == Some(&tag)
    }

    /// The cursor of a position in a life, of somebody who has just read.
    pub(super) fn cursor(&self, ordinal: u64, pos: u64) -> Cursor {
        Cursor {
            ordinal,
            pos,
            tag: self.tag(self.pos),
            end: self.pos,
        }
    }

    /// Everything.
    pub(super) fn all(&self) -> Vec<(ShopId, Barcode, i64)> {
        let level = |((shop, barcode), (_, on_hand)): (&(ShopId, Barcode), &(u64, i64))| {
            (shop.clone(), barcode.clone(), *on_hand)
        };
        self.levels.iter().map(level).collect()
    }

    /// At most `most` changes after a position, and where they end.
    pub(super) fn after(&self, pos: u64, most: usize) -> (Vec<(ShopId, Barcode, i64)>, u64) {
        let mut changed = self.order.range(pos + 1..);
        let mut levels = Vec::new();
        let mut upto = pos;
        for (at, key) in changed.by_ref().take(most) {
            upto = *at;
            levels.push((key.0.clone(), key.1.clone(), self.levels[key].1));
        }
        // What follows only takes place where nothing is left to read.
        if changed.next().is_none() {
            upto = self.pos;
        }
        (levels, upto)
    }
}
