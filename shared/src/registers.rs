//! What the hub writes and every shop reads: settings, items, aliases, the other shops.
//!
//! A register travels as JSON behind its kind and key ([`crate::wire::v1::RegisterV1`]), so that a newer hub may add
//! fields. The last writer wins by (hub life, hub sequence); on a new hub life the agent replaces them all. A setting
//! is never a command, and never a path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hold::{Policy, Promise};
use crate::{Condition, Money};

/// The kinds of registers.
pub mod kind {
    /// [`super::Item`] by barcode.
    pub const ITEM: u8 = 1;
    /// A barcode by alias ([`super::Alias`]).
    pub const ALIAS: u8 = 2;
    /// [`super::Settings`] of the agent's own shop, by shop.
    pub const SETTINGS: u8 = 3;
    /// [`super::OtherShop`] by shop; the agent's own is among them, so that it knows how far the others are.
    pub const SHOP: u8 = 4;
}

/// Who keeps the books of a shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The agent's movements; balances files only verify.
    #[default]
    Movements,
    /// The shop's 1C; the agent turns its statements into movements.
    Balances,
}

impl Source {
    /// The word of commands and settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Movements => "movements",
            Self::Balances => "balances",
        }
    }
}

/// How the shop answers a web hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldPolicy {
    /// By stock, at once.
    Auto,
    /// After a person scanned the piece.
    #[default]
    Scan,
}

/// A place of the shop's 1C whose stock is this shop's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warehouse {
    /// The id that files name (CommerceML `Склад/Ид`, a CSV column).
    pub id: String,
    /// Whether what lies there can be sold.
    pub unavailable: bool,
}

impl Warehouse {
    /// The condition of what lies there.
    pub fn condition(&self) -> Condition {
        if self.unavailable {
            Condition::Unavailable
        } else {
            Condition::Sellable
        }
    }
}

/// The settings of one shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The name for people.
    pub name: String,
    /// The city.
    pub city: Option<String>,
    /// The IANA time zone in which the shop's days begin.
    pub tz: String,
    /// Opening hours such as `Mo-Su 10:00-22:00`; none: always open.
    pub hours: Option<String>,
    /// `shop` or `warehouse`.
    #[serde(rename = "type")]
    pub shop_type: String,
    /// Who keeps the books.
    pub source: Source,
    /// How often the shop's 1C proves itself, in milliseconds; none: it is never overdue.
    pub source_every_ms: Option<i64>,
    /// How holds are answered.
    pub holds: HoldPolicy,
    /// What is promised of the shop while it is silent; none: what the chain says.
    pub promise_stale: Option<Promise>,
    /// What is promised of it before it was heard from; none: what the chain says.
    pub promise_unknown: Option<Promise>,
    /// Codes that begin with one of these are keyed `CODE@SHOP`.
    pub local_prefixes: Vec<String>,
    /// The places of the shop's 1C that are this shop; none: files that name no warehouse, or only one.
    pub warehouses: Vec<Warehouse>,
    /// Off the website for good.
    pub closed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            city: None,
            tz: "Europe/Moscow".into(),
            hours: None,
            shop_type: "shop".into(),
            source: Source::default(),
            source_every_ms: None,
            holds: HoldPolicy::default(),
            promise_stale: None,
            promise_unknown: None,
            local_prefixes: Vec::new(),
            warehouses: Vec::new(),
            closed: false,
        }
    }
}

impl Settings {
    /// What is promised of the shop: its own word, else the chain's.
    pub fn policy(&self, chain: Policy) -> Policy {
        Policy {
            stale: self.promise_stale.unwrap_or(chain.stale),
            unknown: self.promise_unknown.unwrap_or(chain.unknown),
        }
    }
}

/// What the catalogue says of a barcode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<String>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Size, stone, metal, fineness, weight and whatever the catalogue has, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// The ERP's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether there is one physical piece only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
}

/// Which barcode another code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The chain-wide barcode.
    pub barcode: String,
}

/// Another shop, for "where else is it".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OtherShop {
    /// The name for people.
    pub name: String,
    /// The city.
    pub city: Option<String>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// No longer open.
    pub closed: bool,
}
