//! Legs of holds on the wire. A leg in a frame is of the frame's shop.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::barcode::MAX_BARCODE_BYTES;
use crate::hold::{
    DeclineReason, HubSide, HubState, Leg, MAX_CALLER_BYTES, MAX_ORDER_BYTES, Purpose, ShopSide,
    Terms,
};
use crate::wire::WireError;
use crate::{Barcode, HoldId, LegId, MovementId, Qty, ShopId, TimeMs};

/// The most legs of a frame.
pub const MAX_LEGS: usize = 500;

/// A leg: what never changes, and both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegV1 {
    /// Its name.
    pub id: [u8; 16],
    /// Its hold.
    pub hold: [u8; 16],
    /// The barcode that is asked for.
    pub barcode: String,
    /// What was ordered, where that is another barcode.
    pub ordered: Option<String>,
    /// How many, from 1 to 1,000,000.
    pub qty: u32,
    /// The order's number, at most 128 bytes.
    pub order: String,
    /// The id of the API key that placed the hold, at most 64 bytes.
    pub caller: String,
    /// 0 a basket, all else an order.
    pub purpose: u8,
    /// When the hub opened it.
    pub created_at: i64,
    /// Another barcode of the same article and size will do.
    pub allow_variant: bool,
    /// The leg whose piece travels here.
    pub comes_from: Option<[u8; 16]>,
    /// 0 requested, 1 ended, 2 expired, 3 released.
    pub hub: u8,
    /// When the hub lets it go by itself.
    pub expires_at: i64,
    /// What the shop says.
    pub shop: ShopSideV1,
}

/// What the shop says of a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopSideV1 {
    /// 0 none, 1 declined, 2 confirmed, 3 moved, 4 broken, 5 fulfilled.
    pub state: u8,
    /// When; 0 where it says nothing.
    pub at: i64,
    /// Of `declined`: 0 sold, 1 not found, 2 damaged, 3 showcase, all else other.
    pub reason: u8,
    /// Of `moved` and `fulfilled` the movement; nothing in other states.
    pub movement: Option<[u8; 16]>,
}

/// Legs that an agent brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegsV1 {
    /// The hub's legs are held up to here, in the life of the frame's `HELLO`.
    pub held: u64,
    /// Those of which the hub is not known to have both sides in that life; at most [`MAX_LEGS`].
    pub list: Vec<LegV1>,
    /// With these, and those of earlier frames, the hub has in that life all that the shop returns to it.
    pub all: bool,
}

/// Legs that a hub gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubLegsV1 {
    /// Those of the shop that changed after the place that the request named, in their order; at most [`MAX_LEGS`].
    pub list: Vec<LegV1>,
    /// The agent now holds them up to here.
    pub upto: u64,
    /// The legs of the request are committed.
    pub taken: bool,
}

impl LegV1 {
    /// A leg as it travels.
    pub fn of(leg: &Leg) -> Self {
        let terms = &leg.terms;
        Self {
            id: leg.id.0,
            hold: terms.hold.0,
            barcode: terms.barcode.as_str().to_owned(),
            ordered: terms.ordered.as_ref().map(|code| code.as_str().to_owned()),
            qty: u32::try_from(leg.units()).unwrap_or(0),
            order: terms.order.to_string(),
            caller: terms.caller.to_string(),
            purpose: terms.purpose.number(),
            created_at: terms.created_at.0,
            allow_variant: terms.allow_variant,
            comes_from: terms.comes_from.map(|leg| leg.0),
            hub: leg.hub.state.number(),
            expires_at: leg.hub.expires_at.0,
            shop: ShopSideV1::of(leg.shop),
        }
    }

    /// The leg of `shop`, whose frame it is.
    ///
    /// # Errors
    ///
    /// [`WireError::Malformed`]: something in it is out of its range.
    pub fn read(&self, shop: &ShopId) -> Result<Leg, WireError> {
        let barcode = |text: &String| -> Result<Barcode, WireError> {
            if text.len() > MAX_BARCODE_BYTES {
                return Err(WireError::Malformed);
            }
            Barcode::try_from(text.clone()).map_err(|_| WireError::Malformed)
        };
        let is_long = self.order.len() > MAX_ORDER_BYTES || self.caller.len() > MAX_CALLER_BYTES;
        let qty = Qty::new(i64::from(self.qty)).map_err(|_| WireError::Malformed)?;
        if is_long || qty == Qty::ZERO {
            return Err(WireError::Malformed);
        }
        let state = HubState::of_number(self.hub).ok_or(WireError::Malformed)?;
        Ok(Leg {
            id: LegId(self.id),
            terms: Arc::new(Terms {
                hold: HoldId(self.hold),
                shop: shop.clone(),
                barcode: barcode(&self.barcode)?,
                ordered: self.ordered.as_ref().map(barcode).transpose()?,
                qty,
                order: self.order.as_str().into(),
                caller: self.caller.as_str().into(),
                purpose: Purpose::of_number(self.purpose),
                created_at: time(self.created_at)?,
                allow_variant: self.allow_variant,
                comes_from: self.comes_from.map(LegId),
            }),
            hub: HubSide {
                state,
                expires_at: time(self.expires_at)?,
            },
            shop: self.shop.read()?,
        })
    }
}

impl ShopSideV1 {
    fn of(shop: ShopSide) -> Self {
        Self {
            state: shop.number(),
            at: shop.at().map_or(0, |at| at.0),
            reason: shop.reason().map_or(0, DeclineReason::number),
            movement: shop.movement().map(|movement| movement.0),
        }
    }

    fn read(&self) -> Result<ShopSide, WireError> {
        let (at, reason) = (time(self.at)?, DeclineReason::of_number(self.reason));
        let movement = self.movement.map(MovementId);
        ShopSide::of_number(self.state, at, reason, movement).ok_or(WireError::Malformed)
    }
}

fn time(ms: i64) -> Result<TimeMs, WireError> {
    let time = TimeMs(ms);
    if time.is_writable() {
        Ok(time)
    } else {
        Err(WireError::Malformed)
    }
}
