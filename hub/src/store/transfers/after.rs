//! The transfers that a shop's agent lacks.

use rusqlite::{Connection, params};
use vitrina_shared::transfer::{Line, Way};
use vitrina_shared::wire::v1::{
    HubTransfersV1, MAX_TRANSFER_LINES, MAX_TRANSFERS, TransferLineV1, TransferV1,
};
use vitrina_shared::{Barcode, TransferId};

use super::{Stored, read};
use crate::change::ShopRow;
use crate::store::{StoreError, holds};

// Who knows nothing yet needs nothing that is over.
const AFTER: &str = "SELECT t.id, p.pos FROM transfer_place AS p JOIN transfer AS t ON t.id = p.transfer \
    WHERE p.shop = ?1 AND p.pos > ?2 AND (?2 > 0 OR t.open = 1) ORDER BY p.pos LIMIT ?3";
const HEAD: &str = "SELECT coalesce(max(pos), 0) FROM transfer_place WHERE shop = ?1";

/// What of the transfers that concern a shop changed after a place; whether there is more.
pub(in crate::store) fn after(
    conn: &Connection,
    shop: &ShopRow,
    place: u64,
) -> Result<(HubTransfersV1, bool), StoreError> {
    let (ship, last_ship, is_more_to_ship) = holds::to_ship(conn, shop.index, place)?;
    let head: i64 = conn
        .prepare_cached(HEAD)?
        .query_row([shop.index], |row| row.get(0))?;
    let head = head.cast_unsigned().max(place);
    let mut told = HubTransfersV1 {
        upto: head.max(last_ship),
        ship,
        ..HubTransfersV1::default()
    };
    if is_more_to_ship {
        // The rest of both is behind the last of these.
        told.upto = last_ship;
    }
    if head == place {
        return Ok((told, is_more_to_ship));
    }
    let most = i64::try_from(MAX_TRANSFERS).unwrap_or(i64::MAX);
    let found: Vec<(TransferId, u64)> = conn
        .prepare_cached(AFTER)?
        .query_map(params![shop.index, place.cast_signed(), most + 1], |row| {
            Ok((
                TransferId(row.get(0)?),
                row.get::<_, i64>(1)?.cast_unsigned(),
            ))
        })?
        .collect::<Result<_, _>>()?;
    let (mut lines, mut last) = (0, place);
    for (id, pos) in found {
        let Some(stored) = read(conn, id)? else {
            continue;
        };
        let transfer = wire(id, &stored, shop);
        lines += transfer.lines.len();
        let is_full = told.list.len() == MAX_TRANSFERS || lines > MAX_TRANSFER_LINES;
        if is_full && !told.list.is_empty() {
            told.upto = last.min(told.upto);
            return Ok((told, true));
        }
        told.list.push(transfer);
        last = pos;
    }
    Ok((told, is_more_to_ship))
}

/// A transfer as the shop needs it.
fn wire(id: TransferId, stored: &Stored, shop: &ShopRow) -> TransferV1 {
    let transfer = &stored.transfer;
    let here = |barcode: &Barcode| {
        let of_shop = stored.parts.iter().filter(|part| {
            part.counts && part.way == Way::In && part.shop == shop.shop && part.barcode == *barcode
        });
        of_shop.fold(0_i64, |sum, part| sum.saturating_add(part.units))
    };
    let line = |(barcode, line): (&Barcode, &Line)| {
        let place = (shop.shop.clone(), barcode.clone());
        TransferLineV1 {
            barcode: barcode.as_str().to_owned(),
            sent: line.sent,
            received: line.received,
            here: here(barcode),
            awaited: transfer.incoming.get(&place).copied().unwrap_or(0),
        }
    };
    let lines = transfer.lines.iter().take(MAX_TRANSFER_LINES).map(line);
    let is_to = transfer.to.contains(&shop.shop).then_some(&shop.shop);
    let to = is_to.or_else(|| transfer.to.first());
    TransferV1 {
        id: id.0,
        document: stored.document.as_deref().map(str::to_owned),
        from: stored.sender.as_deref().map(str::to_owned),
        to: to.map(ToString::to_string),
        state: transfer.state.number(),
        since: stored.since.0,
        hold: transfer.holds.first().map(|hold| hold.0),
        lines: lines.collect(),
        is_cut: transfer.lines.len() > MAX_TRANSFER_LINES,
    }
}
