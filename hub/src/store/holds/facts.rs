//! What the merged movements say about a leg.
//!
//! A shop that needs no index of ids has none: there a movement is looked for among those of its barcode, the latest
//! first, which is where it mostly stands.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::hold::Merged;
use vitrina_shared::movement::Kind;
use vitrina_shared::{Movement, MovementId, ShopId};

use super::row::Stored;
use crate::store::{StoreError, log, shops};

const LASTS: &str = "SELECT replica, last FROM total WHERE shop = ?1 AND barcode = ?2";
const LINK: &str = "SELECT prev, counts, body FROM movement WHERE replica = ?1 AND seq = ?2";
const DOTS: &str = "SELECT m.counts, m.body FROM ident AS i JOIN movement AS m ON m.replica = i.replica AND m.seq = i.seq \
    WHERE i.shop = ?1 AND i.id = ?2 ORDER BY m.counts DESC LIMIT 1";

/// Reads anew what the movements say about a leg; whether it is another thing than before.
pub(super) fn look(conn: &Connection, stored: &mut Stored) -> Result<bool, StoreError> {
    let before = (stored.merged, stored.arrival);
    stored.merged = match stored.leg.shop.movement() {
        None => Merged::NotYet,
        Some(id) => movement(conn, stored, id)?.map_or(Merged::NotYet, |(counts, _)| {
            if counts { Merged::Counts } else { Merged::Void }
        }),
    };
    stored.arrival = match stored.leg.terms.comes_from {
        None => None,
        Some(_) => arrival(conn, stored)?,
    };
    Ok(before != (stored.merged, stored.arrival))
}

/// A movement of the leg's shop by its id, and whether it counts; of twins the one that does.
pub(super) fn movement(
    conn: &Connection,
    stored: &Stored,
    id: MovementId,
) -> Result<Option<(bool, Movement)>, StoreError> {
    if shops::flags(conn, stored.shop)?.indexed == shops::INDEXED {
        let found = conn
            .prepare_cached(DOTS)?
            .query_row(params![stored.shop, id.0], |row| {
                Ok((row.get::<_, bool>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        return found
            .map(|(counts, body)| Ok((counts, log::read_body(&body)?)))
            .transpose();
    }
    let shop = &stored.leg.terms.shop;
    walk(conn, stored, |counts, movement| {
        (movement.id(shop) == id).then_some((counts, movement))
    })
}

/// The movement that brought the piece of a leg here.
fn arrival(conn: &Connection, stored: &Stored) -> Result<Option<MovementId>, StoreError> {
    let (hold, shop): (_, &ShopId) = (stored.leg.terms.hold, &stored.leg.terms.shop);
    walk(conn, stored, |counts, movement| {
        let is_for_hold =
            counts && movement.kind == Kind::TransferIn && movement.details().hold == Some(hold);
        is_for_hold.then(|| movement.id(shop))
    })
}

/// The first thing that `take` finds among the movements of the leg's barcode, each replica's latest first.
fn walk<T>(
    conn: &Connection,
    stored: &Stored,
    mut take: impl FnMut(bool, Movement) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(LASTS)?;
    let lasts: Vec<(i64, i64)> = statement
        .query_map(params![stored.shop, stored.barcode], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut link = conn.prepare_cached(LINK)?;
    for (replica, last) in lasts {
        let mut seq = last;
        while seq > 0 {
            let (prev, counts, body): (i64, bool, Vec<u8>) = link
                .query_row(params![replica, seq], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
            if let Some(found) = take(counts, log::read_body(&body)?) {
                return Ok(Some(found));
            }
            if prev >= seq {
                return Err(StoreError::Damaged("a movement's link goes forward"));
            }
            seq = prev;
        }
    }
    Ok(None)
}
