//! What the other shops have.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use vitrina_shared::distance::distance_km;
use vitrina_shared::freshness::Confidence;
use vitrina_shared::registers::{OtherShop, kind};
use vitrina_shared::wire::v1::OthersV1;
use vitrina_shared::{Barcode, TimeMs};

use super::{LedgerError, int, register, state};

const SHOP: &str = "INSERT INTO other_shop (shop, as_of, confidence) VALUES (?1, ?2, ?3)
    ON CONFLICT (shop) DO UPDATE SET as_of = excluded.as_of, confidence = excluded.confidence RETURNING no";
const LEVEL: &str = "INSERT INTO other_level (barcode, shop, on_hand, available, generation) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand, available = excluded.available, generation = excluded.generation";
const UPTO: &str = "UPDATE state SET feed = ?1";
const OF_BARCODE: &str = "SELECT s.shop, l.on_hand, l.available, s.as_of, s.confidence
    FROM other_level l JOIN other_shop s ON s.no = l.shop WHERE l.barcode = ?1 ORDER BY s.shop";

/// The level of a barcode at another shop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Other {
    /// The shop.
    pub(crate) shop: String,
    /// What else the hub says of it.
    pub(crate) about: OtherShop,
    /// On hand there.
    pub(crate) on_hand: i64,
    /// Available there.
    pub(crate) available: i64,
    /// Known up to this moment.
    pub(crate) as_of: Option<TimeMs>,
    /// How far it can be relied on.
    pub(crate) confidence: Confidence,
    /// How far the shop is from here, in kilometres as the crow flies; where the hub has told where both are.
    pub(crate) distance_km: Option<f64>,
}

/// Applies levels that the hub sent; those up to a feed position that is held already change nothing.
pub(super) fn apply(
    conn: &Connection,
    others: &OthersV1,
    held: u64,
    generation: i64,
) -> Result<(), LedgerError> {
    let mut numbers: BTreeMap<usize, i64> = BTreeMap::new();
    for (place, shop) in others.shops.iter().enumerate() {
        let row = params![shop.shop, shop.as_of, shop.confidence];
        let no = conn
            .prepare_cached(SHOP)?
            .query_row(row, |row| row.get(0))?;
        numbers.insert(place, no);
    }
    if others.upto < held {
        return Ok(());
    }
    let mut level = conn.prepare_cached(LEVEL)?;
    for row in &others.rows {
        let Some(shop) = usize::try_from(row.shop)
            .ok()
            .and_then(|place| numbers.get(&place))
        else {
            continue;
        };
        level.execute(params![
            row.barcode,
            shop,
            row.on_hand,
            row.available,
            generation
        ])?;
    }
    conn.prepare_cached(UPTO)?.execute([int(others.upto)])?;
    Ok(())
}

/// What people call a shop, where the hub has told.
pub(crate) fn name(conn: &Connection, shop: &str) -> Result<Option<String>, LedgerError> {
    let about: Option<OtherShop> = register::value(conn, kind::SHOP, shop)?;
    Ok(about
        .map(|about| about.name)
        .filter(|name| !name.is_empty()))
}

/// What the other shops have of a barcode, the nearest first.
pub(crate) fn of(conn: &Connection, barcode: &Barcode) -> Result<Vec<Other>, LedgerError> {
    let mut query = conn.prepare_cached(OF_BARCODE)?;
    let rows = query.query_map([barcode.as_str()], |row| {
        Ok(Other {
            shop: row.get(0)?,
            about: OtherShop::default(),
            on_hand: row.get(1)?,
            available: row.get(2)?,
            as_of: row.get::<_, Option<i64>>(3)?.map(TimeMs),
            confidence: Confidence::of_number(row.get(4)?),
            distance_km: None,
        })
    })?;
    let own = match state::shop(conn)? {
        Some(shop) => register::value(conn, kind::SHOP, shop.as_str())?.unwrap_or_default(),
        None => OtherShop::default(),
    };
    let found = rows.map(|row| {
        let mut other = row?;
        other.about = register::value(conn, kind::SHOP, &other.shop)?.unwrap_or_default();
        other.distance_km = place(&own)
            .zip(place(&other.about))
            .map(|(here, there)| distance_km(here, there));
        Ok(other)
    });
    let mut found = found.collect::<Result<Vec<_>, LedgerError>>()?;
    // Who is not on the map comes last; the order by name stays among equals.
    let far = |other: &Other| other.distance_km.unwrap_or(f64::INFINITY);
    found.sort_by(|one, two| far(one).total_cmp(&far(two)));
    Ok(found)
}

fn place(shop: &OtherShop) -> Option<(f64, f64)> {
    shop.lat.zip(shop.lon)
}
