//! What stands in one shop.

use std::sync::Arc;

use vitrina_shared::stock::{Channel, Level as Numbers};
use vitrina_shared::{Money, TimeMs};

use crate::board::ShopCell;
use crate::change::{LevelRow, Words};
use crate::view::json;

/// What stands in one shop.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// The shop.
    pub(crate) shop: Arc<ShopCell>,
    /// The numbers.
    pub(crate) numbers: Numbers,
    /// Units on their way.
    pub(crate) in_transit: i64,
    /// When it last changed.
    pub(crate) updated_at: TimeMs,
    /// Its feed position.
    pub(crate) pos: u64,
    /// The price by the shop's own word.
    pub(super) own_price: Option<Money>,
    /// The shop's own words.
    pub(super) words: Option<Arc<Words>>,
}

impl Level {
    /// A row of the store, at its shop.
    pub(super) fn of(shop: Arc<ShopCell>, row: LevelRow) -> Self {
        Self {
            shop,
            numbers: Numbers {
                on_hand: row.on_hand,
                held: row.held,
                unavailable: row.unavailable,
                // The rules say, by what the item is called then.
                safety_stock: 0,
            },
            in_transit: row.in_transit,
            updated_at: row.updated_at,
            pos: row.pos,
            own_price: row.price,
            words: row.words,
        }
    }

    /// The units that are promised: what is available, as far as the shop's freshness allows.
    pub(crate) fn promised(&self, channel: Channel) -> i64 {
        let available = self.numbers.available_to(channel);
        self.shop.promise().of(available)
    }

    /// Appends the members of the level's object, from `shop` to `confidence`; returns where `as_of` was written.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        (price, channel): (Option<Money>, Channel),
        stamp: &mut json::Stamp,
    ) -> usize {
        out.extend_from_slice(br#""shop":"#);
        json::text(out, self.shop.shop.as_str());
        out.push(b',');
        json::members(
            out,
            &[
                ("on_hand", self.numbers.on_hand),
                ("held", self.numbers.held),
                ("unavailable", self.numbers.unavailable),
                ("safety_stock", self.numbers.safety_stock),
                ("available", self.numbers.available_to(channel)),
                ("promised", self.promised(channel)),
                ("in_transit", self.in_transit),
            ],
        );
        out.extend_from_slice(br#","price":"#);
        json::price(out, price);
        out.extend_from_slice(br#","updated_at":"#);
        json::time_or_null(out, Some(self.updated_at));
        out.extend_from_slice(br#","as_of":"#);
        let at = out.len();
        match self.shop.as_of_minute() {
            Some(minute) => out.extend_from_slice(stamp.of(minute)),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","confidence":"#);
        json::text(out, self.shop.confidence().word());
        at
    }
}
