//! The state of one shop as a CRDT, on the `crdts` types: the model, and the oracle of the stores' SQL.
//!
//! Stock is a PN-counter per (barcode, condition) with replicas as actors; history is a grow-only log per replica,
//! its positions a version vector. The stores keep rows and do the bulk joins in SQL; tests hold them against this.

use std::collections::{BTreeMap, BTreeSet};

use crdts::pncounter::{Dir, Op};
use crdts::{CmRDT, CvRDT, PNCounter, VClock};

use crate::delta::Entry;
use crate::totals::Overflow;
use crate::voids::{Fact, void_dots};
use crate::{Barcode, Condition, Dot, Movement, ReplicaId, Seq, ShopId, Total};

/// One PN-counter: the units of a barcode and condition at a shop, by replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(PNCounter<ReplicaId>);

impl Cell {
    /// Joins one replica's total. An operation of the counter is not "+5" but "this replica's total is now 47", so
    /// repeating and reordering it is harmless.
    pub fn join(&mut self, replica: ReplicaId, total: Total) {
        if total.p > 0 {
            self.0.apply(Op {
                dot: crdts::Dot::new(replica, total.p),
                dir: Dir::Pos,
            });
        }
        if total.n > 0 {
            self.0.apply(Op {
                dot: crdts::Dot::new(replica, total.n),
                dir: Dir::Neg,
            });
        }
    }

    /// One replica's total.
    pub fn total(&self, replica: ReplicaId) -> Total {
        Total {
            p: self.0.inc_many(replica, 0).dot.counter,
            n: self.0.dec_many(replica, 0).dot.counter,
        }
    }

    /// Σp − Σn over all replicas; `None` beyond 64 bits.
    pub fn value(&self) -> Option<i64> {
        i64::try_from(self.0.read()).ok()
    }

    /// Joins another state of the same cell.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

/// Everything known of one shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopModel {
    shop: ShopId,
    logs: BTreeMap<ReplicaId, Vec<Entry>>,
    positions: VClock<ReplicaId>,
    cells: BTreeMap<(Barcode, Condition), Cell>,
}

impl ShopModel {
    /// A shop of which nothing is known.
    pub fn new(shop: ShopId) -> Self {
        Self {
            shop,
            logs: BTreeMap::new(),
            positions: VClock::new(),
            cells: BTreeMap::new(),
        }
    }

    /// Appends one movement to a replica's log and moves its row with it.
    ///
    /// # Errors
    ///
    /// [`Overflow`] when the total would not fit; nothing is appended.
    pub fn append(&mut self, replica: ReplicaId, movement: Movement) -> Result<Dot, Overflow> {
        let cell = self
            .cells
            .entry((movement.barcode.clone(), movement.condition))
            .or_default();
        let total = cell.total(replica).after(movement.qty)?;
        cell.join(replica, total);
        let log = self.logs.entry(replica).or_default();
        log.push(Entry::new(movement));
        let dot = Dot {
            replica,
            seq: Seq(log.len() as u64),
        };
        self.positions.apply(crdts::Dot::new(replica, dot.seq.0));
        Ok(dot)
    }

    /// The join: everything either side knows. Logs of a replica are prefixes of each other (a fork is under its
    /// branch), so the longer one is the join.
    pub fn merge(&mut self, other: &Self) {
        for (replica, theirs) in &other.logs {
            let ours = self.logs.entry(*replica).or_default();
            if let Some(more) = theirs.get(ours.len()..) {
                ours.extend_from_slice(more);
            }
        }
        self.positions.merge(other.positions.clone());
        for (key, cell) in &other.cells {
            self.cells
                .entry(key.clone())
                .or_default()
                .merge(cell.clone());
        }
    }

    /// The last place of a replica's log.
    pub fn seq(&self, replica: ReplicaId) -> Seq {
        Seq(self.positions.get(&replica))
    }

    /// A replica's log.
    pub fn log(&self, replica: ReplicaId) -> &[Entry] {
        self.logs.get(&replica).map_or(&[], Vec::as_slice)
    }

    /// Every replica with a log.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.logs.keys().copied()
    }

    /// A replica's total of a row.
    pub fn total(&self, barcode: &Barcode, condition: Condition, replica: ReplicaId) -> Total {
        self.cells
            .get(&(barcode.clone(), condition))
            .map_or(Total::default(), |cell| cell.total(replica))
    }

    /// Every dot that does not count.
    pub fn voided(&self) -> BTreeSet<Dot> {
        let facts: Vec<Fact> = self
            .entries()
            .map(|(dot, entry)| Fact::of(&self.shop, dot, &entry.movement))
            .collect();
        void_dots(&facts)
    }

    /// Units on hand of every barcode, both conditions: Σp − Σn, less the voids. `None` beyond 64 bits.
    pub fn stock(&self) -> Option<BTreeMap<&Barcode, i64>> {
        self.stock_without(&self.voided())
    }

    /// The same, where [`ShopModel::voided`] is known.
    pub fn stock_without(&self, voided: &BTreeSet<Dot>) -> Option<BTreeMap<&Barcode, i64>> {
        let mut stock: BTreeMap<&Barcode, i64> = BTreeMap::new();
        for ((barcode, _), cell) in &self.cells {
            let units = stock.entry(barcode).or_default();
            *units = units.checked_add(cell.value()?)?;
        }
        for (_, entry) in self.entries().filter(|(dot, _)| voided.contains(dot)) {
            let Movement { barcode, qty, .. } = &entry.movement;
            let units = stock.entry(barcode).or_default();
            *units = units.checked_sub(qty.units())?;
        }
        Some(stock)
    }

    /// Units on hand of one barcode, as [`ShopModel::stock`] has them.
    pub fn on_hand(&self, barcode: &Barcode) -> Option<i64> {
        Some(self.stock()?.get(barcode).copied().unwrap_or(0))
    }

    fn entries(&self) -> impl Iterator<Item = (Dot, &Entry)> {
        self.logs.iter().flat_map(|(replica, log)| {
            log.iter().zip(1..).map(|(entry, seq)| {
                (
                    Dot {
                        replica: *replica,
                        seq: Seq(seq),
                    },
                    entry,
                )
            })
        })
    }
}
