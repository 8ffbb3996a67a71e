//! Receivers of webhooks, and what is to be delivered to them.

use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};
use vitrina_host::sign;
use vitrina_shared::TimeMs;

use super::sqlite::Txn;
use super::{Store, StoreError, audit};
use crate::audit::{By, What};
use crate::webhook::{Hook, Outcome, Parcel, body, host_of, key_of};
use crate::work::WorkItem;

const HOOKS: &str = "SELECT name, url, salt, kinds, only_owned, internal, added_at, delivered_at, failing_since, error, dropped, \
    (SELECT count(*) FROM outbox WHERE webhook = name) FROM webhook ORDER BY name";
const ADD: &str = "INSERT INTO webhook (name, url, salt, kinds, only_owned, internal, added_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM outbox WHERE webhook = ?1";
const REMOVE: &str = "DELETE FROM webhook WHERE name = ?1";
const WAITING: &str = "SELECT count(*) FROM outbox WHERE webhook = ?1";
const PUT: &str =
    "INSERT INTO outbox (id, webhook, key, body, made_at) VALUES (?1, ?2, ?3, ?4, ?5)";
const DROPPED: &str = "UPDATE webhook SET dropped = dropped + 1 WHERE name = ?1";
// The first of each key: those behind it wait until it is delivered.
const DUE: &str = "SELECT o.n, o.id, o.body, o.attempts, o.next_at FROM outbox AS o WHERE o.webhook = ?1 \
    AND NOT EXISTS (SELECT 1 FROM outbox AS e WHERE e.webhook = ?1 AND e.key = o.key AND e.n < o.n) \
    ORDER BY o.next_at, o.n LIMIT ?2";
const DELIVERED: &str = "DELETE FROM outbox WHERE n = ?1";
const TOOK: &str =
    "UPDATE webhook SET delivered_at = ?2, failing_since = NULL, error = NULL WHERE name = ?1";
const AGAIN: &str = "UPDATE outbox SET attempts = attempts + 1, next_at = ?2 WHERE n = ?1";
const FAILED: &str =
    "UPDATE webhook SET failing_since = coalesce(failing_since, ?2), error = ?3 WHERE name = ?1";

/// So much waits for one receiver at most; what comes then is counted and not kept.
const MAX_WAITING: i64 = 100_000;
/// The most parcels of one look.
const MAX_DUE: usize = 100;

fn hook(row: &Row<'_>) -> Result<Hook, StoreError> {
    let kinds: String = row.get(3)?;
    let kinds: Vec<String> = serde_json::from_str(&kinds)
        .map_err(|_| StoreError::Damaged("a webhook cannot be read"))?;
    let at = |i| row.get::<_, Option<i64>>(i).map(|at| at.map(TimeMs));
    Ok(Hook {
        name: row.get(0)?,
        url: row.get(1)?,
        salt: row.get(2)?,
        kinds: kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
        only_owned: row.get(4)?,
        internal: row.get(5)?,
        added_at: TimeMs(row.get(6)?),
        delivered_at: at(7)?,
        failing_since: at(8)?,
        error: row.get(9)?,
        dropped: row.get::<_, i64>(10)?.cast_unsigned(),
        waiting: row.get::<_, i64>(11)?.cast_unsigned(),
    })
}

/// Every receiver, by name.
pub(super) fn hooks(conn: &Connection) -> Result<Vec<Hook>, StoreError> {
    let mut statement = conn.prepare_cached(HOOKS)?;
    let mut rows = statement.query([])?;
    let mut hooks = Vec::new();
    while let Some(row) = rows.next()? {
        hooks.push(hook(row)?);
    }
    Ok(hooks)
}

/// Adds a receiver; false where the name is taken.
pub(super) fn add(txn: &Txn<'_>, by: &By, hook: &Hook) -> Result<bool, StoreError> {
    let kinds: Vec<&str> = hook.kinds.iter().map(|kind| kind.word()).collect();
    let added = txn.conn.prepare_cached(ADD)?.execute(params![
        hook.name,
        hook.url,
        hook.salt,
        json!(kinds).to_string(),
        hook.only_owned,
        hook.internal,
        txn.now.0
    ])?;
    if added > 0 {
        // The rest of an address may be a secret.
        let detail = json!({ "webhook": hook.name, "host": host_of(&hook.url) });
        audit::add(txn, by, (What::WebhookAdd, None), &detail)?;
    }
    Ok(added > 0)
}

/// Takes a receiver away, and what waits for it; false where there is none of that name.
pub(super) fn remove(txn: &Txn<'_>, by: &By, name: &str) -> Result<bool, StoreError> {
    txn.conn.prepare_cached(FORGET)?.execute([name])?;
    let removed = txn.conn.prepare_cached(REMOVE)?.execute([name])?;
    if removed > 0 {
        let detail = json!({ "webhook": name });
        audit::add(txn, by, (What::WebhookRemove, None), &detail)?;
    }
    Ok(removed > 0)
}

/// Puts what happened to an entry into the outbox of each receiver that it concerns.
pub(super) fn put(
    txn: &Txn<'_>,
    item: &WorkItem,
    event: (&str, &str, &Value),
) -> Result<(), StoreError> {
    for hook in hooks(txn.conn)?.iter().filter(|hook| hook.takes(item)) {
        let waiting: i64 = txn
            .conn
            .prepare_cached(WAITING)?
            .query_row([&hook.name], |row| row.get(0))?;
        if waiting >= MAX_WAITING {
            txn.conn.prepare_cached(DROPPED)?.execute([&hook.name])?;
            continue;
        }
        let id = txn.random::<16>()?;
        txn.conn.prepare_cached(PUT)?.execute(params![
            format!("msg_{}", sign::hex(&id)),
            hook.name,
            key_of(item),
            body(item, event, txn.now, txn.lang()),
            txn.now.0
        ])?;
    }
    Ok(())
}

/// What may be delivered to a receiver: the first parcel of each key, those first that are due.
pub(super) fn due(conn: &Connection, name: &str) -> Result<Vec<Parcel>, StoreError> {
    let mut statement = conn.prepare_cached(DUE)?;
    let most = i64::try_from(MAX_DUE).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![name, most], |row| {
        Ok(Parcel {
            n: row.get(0)?,
            id: row.get(1)?,
            body: row.get(2)?,
            attempts: row.get(3)?,
            next_at: TimeMs(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down how a delivery ended.
pub(super) fn ended(
    txn: &Txn<'_>,
    name: &str,
    parcel: i64,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    match outcome {
        Outcome::Taken => {
            txn.conn.prepare_cached(DELIVERED)?.execute([parcel])?;
            txn.conn
                .prepare_cached(TOOK)?
                .execute(params![name, txn.now.0])?;
        }
        Outcome::Failed { error, again_at } => {
            txn.conn
                .prepare_cached(AGAIN)?
                .execute(params![parcel, again_at.0])?;
            txn.conn
                .prepare_cached(FAILED)?
                .execute(params![name, txn.now.0, error])?;
        }
    }
    Ok(())
}

impl Store {
    /// Every receiver of webhooks, by name.
    pub(crate) async fn webhooks(&self) -> Result<Vec<Hook>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(hooks).await,
        }
    }

    /// Adds a receiver; false where the name is taken.
    pub(crate) async fn add_webhook(&self, by: By, hook: Hook) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| add(txn, &by, &hook)).await,
        }
    }

    /// Takes a receiver away, and what waits for it; false where there is none of that name.
    pub(crate) async fn remove_webhook(&self, by: By, name: String) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| remove(txn, &by, &name)).await,
        }
    }

    /// What may be delivered to a receiver now: the first parcel of each key, those first that are due.
    pub(crate) async fn parcels(&self, name: String) -> Result<Vec<Parcel>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| due(conn, &name)).await,
        }
    }

    /// Writes down how a delivery ended, after everything urgent.
    pub(crate) async fn parcel_ended(
        &self,
        name: String,
        parcel: i64,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write_background(move |txn| ended(txn, &name, parcel, &outcome))
                    .await
            }
        }
    }
}
