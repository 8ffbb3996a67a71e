//! What websites do about holds, and everything that the hub has of them.

use std::collections::{BTreeMap, BTreeSet};

use vitrina_shared::hold::{Caps, Facts, Leg, NotOpen, Purpose, Refusal, Word, WorkKind};
use vitrina_shared::memory::Order;
use vitrina_shared::registers::Item;
use vitrina_shared::safety::Scope;
use vitrina_shared::{Barcode, HoldId, LegId, ShopId, TimeMs};

use super::Lab;
use crate::audit::By;
use crate::store::{CatalogueRow, Ending, HoldFilter, HoldRow, NewHold, Placing};

/// The most holds that are read at once.
const HOLDS: usize = 1_000_000;

impl Lab {
    /// From now on the hub's clock shows this.
    pub fn set_clock(&self, now: TimeMs) {
        self.clock.set(Some(now));
        self.core().store.set_clock(now);
    }

    /// The catalogue knows a barcode.
    pub fn add_item(&self, barcode: &Barcode, article: &str, size: &str) {
        let item = Item {
            article: Some(article.to_owned()),
            attributes: BTreeMap::from([("size".to_owned(), size.to_owned())]),
            ..Item::default()
        };
        let row = CatalogueRow::Item {
            barcodes: vec![barcode.clone()],
            says: item,
        };
        let written = self.core().store.write_catalogue(vec![row]);
        self.runtime.block_on(written).expect("its store");
    }

    /// So much is kept back of what a scope names; of a shop that an empty hub does not know nothing is said.
    pub fn keep_back(&self, scope: &Scope, units: u32) {
        let store = &self.core().store;
        self.runtime.block_on(async {
            let set = store.set_safety(By::CommandLine, scope.clone(), Some(units));
            set.await.expect("its store");
            while store.tell_safety().await.expect("its store") {}
        });
    }

    /// A website asks for a hold.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing was opened.
    pub fn place(&self, order: &Order) -> Result<HoldId, Refusal> {
        let new = NewHold {
            caller: order.caller.clone(),
            idempotency_key: order.idempotency_key.clone(),
            barcode: order.barcode.clone(),
            shop: order.shop.clone(),
            qty: order.qty,
            order: order.order.clone(),
            purpose: Purpose::Order,
            ttl_ms: order.ttl_ms,
            allow_variant: order.allow_variant,
            caps: Caps::default(),
            destination: None,
            // Now this way, now that one: nobody is to see a difference.
            looks_gone: HoldId::of(&order.caller, &order.idempotency_key).0[0].is_multiple_of(2),
        };
        let placed = self
            .runtime
            .block_on(self.core().store.place_hold(None, new));
        match placed.expect("its store") {
            Placing::Placed(row) | Placing::Again(row) => Ok(row.id),
            Placing::Refused(refused) => Err(refused.why),
            Placing::UnknownShop => Err(Refusal::NotPublished),
            Placing::Mismatch => panic!("one key for two orders"),
        }
    }

    /// The website lets a hold go.
    ///
    /// # Errors
    ///
    /// [`NotOpen`]; a hold that is not known has no state.
    pub fn release(&self, id: HoldId) -> Result<(), NotOpen> {
        let ending = self
            .runtime
            .block_on(self.core().store.release_hold(None, id));
        ended(&ending.expect("its store"))
    }

    /// The website keeps a hold for longer.
    ///
    /// # Errors
    ///
    /// [`NotOpen`]; a hold that is not known has no state.
    pub fn extend(&self, id: HoldId, ttl_ms: i64) -> Result<(), NotOpen> {
        let store = &self.core().store;
        let ending = self.runtime.block_on(store.extend_hold(None, id, ttl_ms));
        ended(&ending.expect("its store"))
    }

    /// Lets go what is over, and asks other shops for what nobody answers.
    pub fn expire(&self) {
        let store = &self.core().store;
        let expired = self.runtime.block_on(store.keep_time(HOLDS));
        expired.expect("its store");
    }

    /// The state of a hold; nothing where there is none.
    pub fn hold(&self, id: HoldId) -> Option<Word> {
        let row = self.runtime.block_on(self.core().store.hold(id));
        row.expect("its store").map(|row| row.word)
    }

    fn holds(&self) -> Vec<HoldRow> {
        let filter = HoldFilter {
            limit: HOLDS,
            ..HoldFilter::default()
        };
        let page = self.runtime.block_on(self.core().store.holds(filter));
        page.expect("its store").holds
    }

    /// Every leg with what the merged movements say about it.
    pub fn legs(&self) -> Vec<(Leg, Facts)> {
        let legs = self.holds().into_iter().flat_map(|row| row.legs);
        legs.map(|row| (row.leg, row.facts)).collect()
    }

    /// Everything that people were told of holds.
    pub fn work(&self) -> BTreeSet<(LegId, WorkKind)> {
        let legs = self.holds().into_iter().flat_map(|row| row.legs);
        legs.flat_map(|row| {
            let id = row.leg.id;
            row.work.into_iter().map(move |(kind, _)| (id, kind))
        })
        .collect()
    }

    /// The units of a barcode that are held at a shop, as the tables and as readers see them; the second is none where
    /// the shop never had the piece.
    pub fn held(&self, shop: &ShopId, barcode: &Barcode) -> (i64, Option<i64>) {
        let names = self.names();
        let index = names.iter().find(|(_, name)| *name == shop);
        let Some((index, _)) = index else {
            return (0, None);
        };
        let of_legs = self.holds().into_iter().flat_map(|row| row.legs);
        let is_there = |leg: &Leg| leg.terms.shop == *shop && leg.terms.barcode == *barcode;
        let held = of_legs.filter(|row| is_there(&row.leg)).map(|row| row.held);
        let mut seen = None;
        if let Some(item) = self.view().item(barcode.as_str()) {
            item.with_level_alone(*index, |level, _| {
                seen = Some(level.numbers.held);
            });
        }
        (held.sum(), seen)
    }
}

fn ended(ending: &Ending) -> Result<(), NotOpen> {
    match ending {
        Ending::Done(_) => Ok(()),
        Ending::NotOpen(why) => Err(*why),
        Ending::Unknown => Err(NotOpen::Closed(None)),
    }
}
