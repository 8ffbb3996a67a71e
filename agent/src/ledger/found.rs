//! Finding movements by what they are known by.

use rusqlite::{Connection, Row};
use vitrina_shared::movement::KeyHash;
use vitrina_shared::{Movement, MovementId, ReplicaId, Seq};

use super::booking::{Booked, Existing};
use super::{LedgerError, log, promise, uint};

const BY_KEY: &str =
    "SELECT m.body, m.id, r.id, m.seq, m.counts FROM movement m JOIN replica r ON r.no = m.replica
    WHERE m.key_hash = ?1 ORDER BY m.counts DESC, r.id, m.seq";
const BY_ID: &str =
    "SELECT m.body, m.id, r.id, m.seq, m.counts FROM movement m JOIN replica r ON r.no = m.replica
    WHERE m.id = ?1 ORDER BY m.counts DESC, r.id, m.seq";

/// A movement found in the log.
pub(super) struct Found {
    pub(super) movement: Movement,
    pub(super) id: MovementId,
    pub(super) replica: ReplicaId,
    pub(super) seq: Seq,
    pub(super) counts: bool,
}

impl Found {
    pub(super) fn existing(&self) -> Existing {
        Existing {
            id: self.id,
            kind: self.movement.kind,
            scanned: self.movement.scanned_text().clone(),
            qty: self.movement.qty.units(),
            at: self.movement.at,
        }
    }

    pub(super) fn booked(&self, conn: &Connection) -> Result<Booked, LedgerError> {
        Ok(Booked {
            id: self.id,
            replica: self.replica,
            seq: self.seq,
            kind: self.movement.kind,
            barcode: self.movement.barcode.clone(),
            condition: self.movement.condition,
            qty: self.movement.qty.units(),
            at: self.movement.at,
            counts: self.counts,
            level: promise::level(conn, &self.movement.barcode)?,
        })
    }
}

/// The movements of a key, those that count first.
pub(super) fn by_key(conn: &Connection, key: KeyHash) -> Result<Vec<Found>, LedgerError> {
    found(conn, BY_KEY, &key.0)
}

/// The dots of an id, the one that counts first.
pub(super) fn by_id(conn: &Connection, id: MovementId) -> Result<Vec<Found>, LedgerError> {
    found(conn, BY_ID, &id.0)
}

fn found(conn: &Connection, sql: &str, name: &[u8; 16]) -> Result<Vec<Found>, LedgerError> {
    let mut query = conn.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        let body: Vec<u8> = row.get(0)?;
        let (id, replica) = (MovementId(row.get(1)?), ReplicaId(row.get(2)?));
        Ok((
            body,
            id,
            replica,
            Seq(uint(row.get(3)?)),
            row.get::<_, bool>(4)?,
        ))
    };
    let rows = query.query_map([name], read)?;
    rows.map(|row| {
        let (body, id, replica, seq, counts) = row?;
        Ok(Found {
            movement: log::entry(&body)?.movement,
            id,
            replica,
            seq,
            counts,
        })
    })
    .collect()
}
