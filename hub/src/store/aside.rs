//! What readers see of a level beside its totals: what is held of it, and what is on its way to it.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{StoreError, holds, transfers};

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aside {
    /// Units promised to web orders.
    pub(super) held: i64,
    /// Units on their way to the shop.
    pub(super) in_transit: i64,
}

/// Those of one level.
pub(super) fn of(conn: &Connection, shop: u32, barcode: i64) -> Result<Aside, StoreError> {
    Ok(Aside {
        held: holds::held(conn, shop, barcode)?,
        in_transit: transfers::units(conn, shop, barcode)?,
    })
}

/// Those of a shop's levels that have any.
pub(super) fn of_shop(conn: &Connection, shop: u32) -> Result<HashMap<i64, Aside>, StoreError> {
    Ok(together(
        holds::held_of_shop(conn, shop)?,
        transfers::units_of_shop(conn, shop)?,
    ))
}

/// Those of all levels that have any.
pub(super) fn everywhere(conn: &Connection) -> Result<HashMap<(u32, i64), Aside>, StoreError> {
    Ok(together(
        holds::held_everywhere(conn)?,
        transfers::units_everywhere(conn)?,
    ))
}

fn together<K: Eq + std::hash::Hash>(
    held: HashMap<K, i64>,
    in_transit: HashMap<K, i64>,
) -> HashMap<K, Aside> {
    let mut asides: HashMap<K, Aside> = HashMap::with_capacity(held.len() + in_transit.len());
    for (key, units) in held {
        asides.entry(key).or_default().held = units;
    }
    for (key, units) in in_transit {
        asides.entry(key).or_default().in_transit = units;
    }
    asides
}
