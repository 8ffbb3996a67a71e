//! What happened to a shop's ledger and to the hub, as it can be read from what is kept.

use rusqlite::{Connection, params};
use vitrina_shared::{ReplicaId, TimeMs};

use super::{BooksRow, LifeRow, StoreError, digest, heard, lives};
use crate::change::{ShopHealth, ShopRow};

const OF_SHOP: &str = "SELECT name, seq,
    (SELECT received_at FROM history WHERE replica = r.id AND restated = 0 ORDER BY first_seq LIMIT 1),
    (SELECT received_at FROM history WHERE replica = r.id AND restated = 0 ORDER BY first_seq DESC LIMIT 1)
    FROM replica AS r WHERE shop = ?1 AND seq > 0 ORDER BY 3, name";

/// What there is to tell of a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// Under which names it wrote, the oldest first: a restored or copied ledger goes on under a new one.
    pub(crate) replicas: Vec<ReplicaRow>,
    /// What it said last of itself, in this life of the hub.
    pub(crate) health: ShopHealth,
    /// The life that the hub is in.
    pub(crate) life: LifeRow,
    /// Rows that were written anew from the movements, the latest first.
    pub(crate) repairs: Vec<BooksRow>,
    /// What of its books a person must look at.
    pub(crate) alert: Option<BooksRow>,
}

/// One name under which a shop wrote.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct ReplicaRow {
    /// The name.
    #[serde(serialize_with = "as_text")]
    pub(crate) replica: ReplicaId,
    /// How many movements it has.
    pub(crate) movements: u64,
    /// When the hub heard of the first of them, in this history of the hub.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) first_at: TimeMs,
    /// When it heard of the last.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) last_at: TimeMs,
}

fn as_text<S: serde::Serializer>(replica: &ReplicaId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(replica)
}

/// Tells it.
pub(super) fn tell(conn: &Connection, shop: &ShopRow) -> Result<Story, StoreError> {
    Ok(Story {
        replicas: replicas(conn, shop.index)?,
        health: heard::of(conn, shop)?.1,
        life: lives::newest(conn)?,
        repairs: digest::repairs(conn, shop.index)?,
        alert: digest::alert(conn, shop.index)?,
    })
}

fn replicas(conn: &Connection, shop: u32) -> Result<Vec<ReplicaRow>, StoreError> {
    let mut statement = conn.prepare_cached(OF_SHOP)?;
    let rows = statement.query_map(params![shop], |row| {
        let at = |column| {
            Ok::<_, rusqlite::Error>(TimeMs(row.get::<_, Option<i64>>(column)?.unwrap_or(0)))
        };
        Ok(ReplicaRow {
            replica: ReplicaId(row.get(0)?),
            movements: row.get::<_, i64>(1)?.cast_unsigned(),
            first_at: at(2)?,
            last_at: at(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
