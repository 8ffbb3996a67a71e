//! A piece as the public interface shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use vitrina_host::when;
use vitrina_shared::{Barcode, Money};

use crate::ledger::others::Other;
use crate::ledger::query::StockRow;

/// What a shop has of a barcode.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StockJson {
    pub(crate) barcode: String,
    pub(crate) article: Option<String>,
    pub(crate) name: Option<String>,
    attributes: BTreeMap<String, String>,
    pub(crate) on_hand: i64,
    held: i64,
    unavailable: i64,
    pub(crate) available: i64,
    pub(crate) price: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<Vec<OtherJson>>,
}

/// What another shop has of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OtherJson {
    shop: String,
    name: String,
    city: Option<String>,
    on_hand: i64,
    available: i64,
    as_of: Option<String>,
    confidence: &'static str,
    distance_km: Option<f64>,
}

impl StockJson {
    /// What the ledger says.
    pub(crate) fn of(row: &StockRow, others: Option<Vec<OtherJson>>) -> Self {
        Self {
            barcode: row.barcode.to_string(),
            article: row.article.clone(),
            name: row.name.clone(),
            attributes: row.attributes.clone(),
            on_hand: row.level.on_hand,
            held: row.level.held,
            unavailable: row.level.unavailable,
            available: row.level.available(),
            price: row.price,
            others,
        }
    }

    /// A piece of which this shop knows nothing but its code.
    pub(crate) fn nothing(barcode: &Barcode, others: Option<Vec<OtherJson>>) -> Self {
        Self {
            barcode: barcode.to_string(),
            article: None,
            name: None,
            attributes: BTreeMap::new(),
            on_hand: 0,
            held: 0,
            unavailable: 0,
            available: 0,
            price: None,
            others,
        }
    }
}

impl OtherJson {
    /// What the hub last said of the other shop.
    pub(crate) fn of(other: &Other) -> Self {
        Self {
            shop: other.shop.clone(),
            name: other.about.name.clone(),
            city: other.about.city.clone(),
            on_hand: other.on_hand,
            available: other.available,
            as_of: other.as_of.map(|at| when::rfc3339_ms(at.0)),
            confidence: other.confidence.word(),
            // Metres are enough.
            distance_km: other.distance_km.map(|km| (km * 1_000.0).round() / 1_000.0),
        }
    }
}
