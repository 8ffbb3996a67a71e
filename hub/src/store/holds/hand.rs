//! What writes legs: it knows which levels and which holds a transaction changes, and tells readers at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vitrina_shared::freshness::Confidence;
use vitrina_shared::hold::{HubSide, HubState, Leg, Merged, ShopSide, Terms, WorkKind};
use vitrina_shared::{Barcode, HoldId, LegId, ShopId, TimeMs};

use super::row::{self, Stored};
use super::{facts, work};
use crate::change::{Change, Goods, ShopRow};
use crate::store::sqlite::Txn;
use crate::store::work as list;
use crate::store::{StoreError, heard, lives, shops, totals};

const ADD_HOLD: &str =
    "INSERT INTO hold (id, asked, pos) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";

/// Who knows what a barcode is.
pub(in crate::store) type GoodsOf = Box<dyn Fn(&Barcode) -> Goods + Send + Sync>;

/// A shop as this transaction sees it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) row: ShopRow,
    pub(super) confidence: Confidence,
    /// It has returned its legs to this life of the hub.
    pub(super) has_returned: bool,
}

/// Writes legs in one transaction.
pub(super) struct Hand<'h, 't> {
    pub(super) txn: &'h mut Txn<'t>,
    /// The life that the transaction is in.
    pub(super) life: u64,
    known: BTreeMap<u32, Arc<Known>>,
    /// Levels of which another number is held now.
    dirty: BTreeSet<(u32, i64)>,
    /// Holds of which something changed, and the shops of the legs.
    changed: BTreeSet<(HoldId, ShopId)>,
}

impl<'h, 't> Hand<'h, 't> {
    pub(super) fn new(txn: &'h mut Txn<'t>) -> Result<Self, StoreError> {
        let life = lives::current(txn.conn)?.map_or(0, |life| life.ordinal);
        Ok(Self {
            txn,
            life,
            known: BTreeMap::new(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
        })
    }

    pub(super) fn now(&self) -> TimeMs {
        self.txn.now
    }

    /// The holds of which something was changed so far.
    pub(super) fn holds(&self) -> BTreeSet<HoldId> {
        self.changed.iter().map(|(hold, _)| *hold).collect()
    }

    /// A shop by its number.
    pub(super) fn shop(&mut self, index: u32) -> Result<Arc<Known>, StoreError> {
        if let Some(known) = self.known.get(&index) {
            return Ok(Arc::clone(known));
        }
        let row = shops::of_index(self.txn.conn, index)?;
        let (heard, _) = heard::of(self.txn.conn, &row)?;
        let known = Arc::new(Known {
            confidence: row.confidence(&heard, self.txn.now),
            has_returned: super::has_returned(self.txn.conn, index, self.life)?,
            row,
        });
        self.known.insert(index, Arc::clone(&known));
        Ok(known)
    }

    /// A hold is heard of; `asked` is what was asked for, where that is known.
    pub(super) fn add_hold(&self, id: HoldId, asked: Option<[u8; 32]>) -> Result<(), StoreError> {
        let pos = self.txn.next_pos().cast_signed();
        let mut statement = self.txn.conn.prepare_cached(ADD_HOLD)?;
        statement.execute(rusqlite::params![id.0, asked, pos])?;
        Ok(())
    }

    /// Writes a leg of which a side changed: it has a new place.
    pub(super) fn put(&mut self, stored: &mut Stored) -> Result<(), StoreError> {
        stored.pos = self.txn.next_pos();
        self.keep(stored)
    }

    /// Writes a leg whose sides are as they were.
    pub(super) fn keep(&mut self, stored: &mut Stored) -> Result<(), StoreError> {
        let held = stored.held_now();
        if held != stored.held {
            self.dirty.insert((stored.shop, stored.barcode));
            stored.held = held;
        }
        let terms = &stored.leg.terms;
        self.changed.insert((terms.hold, terms.shop.clone()));
        row::write(self.txn.conn, stored)
    }

    /// Writes a leg that is heard of for the first time.
    pub(super) fn add(
        &mut self,
        leg: Leg,
        shop: u32,
        rejected: Option<String>,
    ) -> Result<Stored, StoreError> {
        let barcode = self.txn.barcode_id(leg.terms.barcode.as_str())?;
        if let Some(ordered) = &leg.terms.ordered {
            self.txn.barcode_id(ordered.as_str())?;
        }
        let within_ms = self.txn.answer_within_ms();
        let place = self.shop(shop)?;
        let mut stored = Stored {
            answer_by: Some(place.row.answer_by(leg.terms.created_at, within_ms)),
            leg,
            shop,
            barcode,
            merged: Merged::NotYet,
            arrival: None,
            held: 0,
            opened: self.txn.next_pos(),
            pos: 0,
            unchecked: None,
            rejected,
        };
        facts::look(self.txn.conn, &mut stored)?;
        self.put(&mut stored)?;
        Ok(stored)
    }

    /// Opens a leg at a shop, as this one is or as the first of its hold.
    pub(super) fn open(
        &mut self,
        like: &Terms,
        (shop, barcode): (&Known, Barcode),
        comes_from: Option<LegId>,
        expires_at: TimeMs,
        rejected: Option<String>,
    ) -> Result<Stored, StoreError> {
        let id = self.txn.random()?;
        let ordered = like.ordered();
        let leg = Leg {
            id: LegId(id),
            terms: Arc::new(Terms {
                shop: shop.row.shop.clone(),
                ordered: (*ordered != barcode).then(|| ordered.clone()),
                barcode,
                created_at: self.now(),
                comes_from,
                ..like.clone()
            }),
            hub: HubSide {
                state: HubState::Requested,
                expires_at,
            },
            shop: ShopSide::None,
        };
        self.add(leg, shop.row.index, rejected)
    }

    /// Writes the hub's side of a leg, which only goes forward.
    pub(super) fn write_hub(&mut self, id: LegId, state: HubState) -> Result<(), StoreError> {
        let mut stored = row::the(self.txn.conn, id)?;
        stored.leg.hub.state = stored.leg.hub.state.max(state);
        self.put(&mut stored)
    }

    /// Tells a person, once; and again where it was over meanwhile.
    pub(super) fn raise(&self, leg: LegId, kind: WorkKind) -> Result<(), StoreError> {
        let is_news = work::add(self.txn.conn, leg, kind, self.txn.now)?;
        if !is_news && !work::may_end(kind) {
            return Ok(());
        }
        let stored = row::the(self.txn.conn, leg)?;
        let raised = work::raised(&stored.leg, kind);
        if is_news {
            list::raise(self.txn, &raised)?;
        } else {
            list::raise_again(self.txn, &raised)?;
        }
        Ok(())
    }

    /// Tells readers what changed.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        for (shop, barcode) in self.dirty {
            totals::publish(self.txn, shop, barcode)?;
        }
        for (hold, shop) in self.changed {
            self.txn.change(Change::Leg { hold, shop });
        }
        Ok(())
    }
}
