//! What a commit changes for readers: the way from the store to the view.
//!
//! The store makes these, the view takes them; neither knows the other's insides.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vitrina_shared::freshness::{self, Confidence, Heard};
use vitrina_shared::hours::Hours;
use vitrina_shared::registers::{Item, Settings};
use vitrina_shared::safety::SafetyStock;
use vitrina_shared::{Barcode, HoldId, HubLife, Money, ReplicaId, ShopId, TimeMs};

/// What a shop's file says of a barcode, shown only where the catalogue is silent.
pub(crate) use vitrina_shared::movement::Words;

/// Where the feed stands after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedHead {
    /// The hub's life.
    pub(crate) life: HubLife,
    /// The last position given out.
    pub(crate) pos: u64,
    /// Random bits of the commit that ends there: a position with another tag is of another history.
    pub(crate) tag: u64,
}

/// One change that a commit made.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The new state of one level, with its new feed position.
    Level(LevelRow),
    /// What the catalogue now says of a barcode; its levels follow as [`Change::Level`] with new positions.
    Item {
        /// The barcode.
        barcode: Barcode,
        /// The item; nothing where the catalogue no longer knows it.
        item: Option<Item>,
    },
    /// Which barcode another code means: an alias, a UIN, the ERP's `external_id`.
    Alias {
        /// The other code.
        alias: String,
        /// The barcode; nothing where the code was taken away.
        barcode: Option<Barcode>,
    },
    /// A shop was added, set, published, closed or revoked; as an item of the feed it has a position.
    Shop(ShopRow),
    /// Other units are kept back from web orders; where that changes a level it follows as [`Change::Level`].
    Safety(Arc<SafetyStock>),
    /// A shop was heard from. Not an item of the feed.
    Heard {
        /// The shop's number in the store.
        shop: u32,
        /// How fresh it is.
        heard: Heard,
        /// How it is.
        status: ShopHealth,
    },
    /// Something changed of a transfer that concerns a shop. Not an item of the feed.
    Transfer {
        /// The shop.
        shop: ShopId,
    },
    /// Something changed of a leg. Not an item of the feed: the level that it holds is one.
    Leg {
        /// Its hold.
        hold: HoldId,
        /// The shop that it asks.
        shop: ShopId,
    },
}

/// One level: a barcode at a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LevelRow {
    /// The shop's number in the store.
    pub(crate) shop: u32,
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Units in the shop, both conditions, less the voids.
    pub(crate) on_hand: i64,
    /// Units that cannot be sold.
    pub(crate) unavailable: i64,
    /// Units promised to web orders.
    pub(crate) held: i64,
    /// Units on their way to the shop.
    pub(crate) in_transit: i64,
    /// The shop's own price; the catalogue's wins.
    pub(crate) price: Option<Money>,
    /// The shop's own words; the catalogue's win.
    pub(crate) words: Option<Arc<Words>>,
    /// When it last changed, by the hub's clock.
    pub(crate) updated_at: TimeMs,
    /// Its feed position.
    pub(crate) pos: u64,
}

/// What is known of a barcode beyond its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Goods {
    /// Its article.
    pub(crate) article: Option<Box<str>>,
    /// Its size.
    pub(crate) size: Option<Box<str>>,
    /// The other barcodes of that article and size.
    pub(crate) like: Vec<Barcode>,
}

/// One shop as head office set it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShopRow {
    /// Its number in the store: small, never used again, valid in this database only.
    pub(crate) index: u32,
    /// The shop.
    pub(crate) shop: ShopId,
    /// Its settings, which travel to it.
    pub(crate) settings: Settings,
    /// Where it is, for people.
    pub(crate) address: Option<String>,
    /// Degrees north.
    pub(crate) lat: Option<f64>,
    /// Degrees east.
    pub(crate) lon: Option<f64>,
    /// The ERP's id of it.
    pub(crate) external_id: Option<String>,
    /// Whether the website shows it. A closed shop (`settings.closed`) is off the website whatever this says.
    pub(crate) publish: bool,
    /// Its credentials were ended and it was not enrolled again.
    pub(crate) revoked: bool,
    /// A device was enrolled.
    pub(crate) enrolled: bool,
    /// Its feed position.
    pub(crate) pos: u64,
}

impl ShopRow {
    /// What head office said of it, as one object.
    pub(crate) fn told(&self) -> Value {
        let mut told = serde_json::to_value(&self.settings).unwrap_or_default();
        if let Value::Object(told) = &mut told {
            told.insert("address".into(), self.address.clone().into());
            told.insert("lat".into(), self.lat.into());
            told.insert("lon".into(), self.lon.into());
            told.insert("external_id".into(), self.external_id.clone().into());
            told.insert("publish".into(), self.publish.into());
        }
        told
    }

    /// Whether the website sees it.
    pub(crate) fn is_published(&self) -> bool {
        self.publish && !self.settings.closed
    }

    /// Its opening hours and its zone. Both were checked when the shop was set; a text of a newer version must not stop
    /// the hub.
    pub(crate) fn hours(&self) -> (Hours, TimeZone) {
        let hours = self.settings.hours.as_deref();
        let hours = hours.and_then(|hours| hours.parse().ok());
        let tz = TimeZone::get(&self.settings.tz).unwrap_or(TimeZone::UTC);
        (hours.unwrap_or_default(), tz)
    }

    /// How far its numbers can be relied on at `now`.
    pub(crate) fn confidence(&self, heard: &Heard, now: TimeMs) -> Confidence {
        if self.revoked {
            return Confidence::Unknown;
        }
        let (hours, tz) = self.hours();
        freshness::confidence(heard, &hours, now, offset_ms(&tz, now))
    }

    /// Until when it should answer what it is asked at `at`: within so long, the time when it is shut not counted.
    pub(crate) fn answer_by(&self, at: TimeMs, within_ms: i64) -> TimeMs {
        let (hours, tz) = self.hours();
        let offset_ms = offset_ms(&tz, at);
        let local = hours.after(at.plus(offset_ms), within_ms);
        local.plus(-offset_ms)
    }
}

/// A zone's offset from UTC at a moment.
pub(crate) fn offset_ms(tz: &TimeZone, at: TimeMs) -> i64 {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or(0, |at| i64::from(tz.to_offset(at).seconds()) * 1_000)
}

/// What a shop said of itself with its last exchange, as the office sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ShopHealth {
    /// The agent's version.
    pub(crate) version: String,
    /// The replica that the agent writes.
    pub(crate) replica: Option<ReplicaId>,
    /// Movements that the hub did not have after the exchange.
    pub(crate) pending: u64,
    /// Open records in quarantine.
    pub(crate) quarantined: u64,
    /// Barcodes on which the shop's 1C and its ledger disagree.
    pub(crate) disagreements: u64,
    /// The shop's clock less the hub's, in milliseconds.
    pub(crate) skew_ms: i64,
    /// Free bytes where the ledger lies.
    pub(crate) disk_free: Option<u64>,
    /// The agent said goodbye: it was stopped.
    pub(crate) goodbye: bool,
    /// What a person should know, as codes with words behind a colon.
    pub(crate) problems: Vec<String>,
}
