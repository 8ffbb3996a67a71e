//! The view, as its readers and the store meet it.

mod feed;
mod item;
mod list;

use std::collections::BTreeMap;

use serde_json::Value;
use vitrina_shared::freshness::Heard;
use vitrina_shared::registers::Item as CatalogueItem;
use vitrina_shared::safety::{Goods, SafetyStock, Scope};
use vitrina_shared::stock::Channel;

use super::flat::Format;
use super::list::StockQuery;
use super::sample::{commit, head, level, ring, shop, view};
use super::snapshot::snapshot_to;
use super::*;
use crate::change::{ShopHealth, Words};

const NOON: TimeMs = TimeMs(1_763_812_800_000);

fn body(view: &View, id: &str) -> Value {
    let answer = view.answer(&view.find(id).unwrap(), Wanted::default());
    serde_json::from_slice(&answer.body.unwrap()).unwrap()
}

fn etag(view: &View, id: &str) -> String {
    let answer = view.answer(&view.find(id).unwrap(), Wanted::default());
    answer.tag.etag.to_str().unwrap().to_owned()
}

fn hear(view: &View, shop: u32, at: TimeMs) {
    let heard = Heard {
        exchange: Some(at),
        complete: Some(at),
        source: Some(at),
        source_every_ms: None,
    };
    view.apply(
        &view.head(),
        vec![Change::Heard {
            shop,
            heard,
            status: ShopHealth::default(),
        }],
    );
}

fn page(view: &View, since: u64, limit: usize) -> (Vec<Value>, u64, bool) {
    let page = view.changes(since, limit, Channel::NetOfHolds);
    let items = format!("[{}]", String::from_utf8(page.items).unwrap());
    (serde_json::from_str(&items).unwrap(), page.upto, page.more)
}
