//! API keys, as hashes only.

use rusqlite::{Connection, params};
use serde_json::json;
use vitrina_shared::TimeMs;

use super::sqlite::Txn;
use super::{Store, StoreError, audit};
use crate::audit::{By, What};
use crate::keys::{KeyRow, NewKey};

const ALL: &str =
    "SELECT name, role, hash, created_at, revoked_at, stock FROM api_key ORDER BY name";
const ADD: &str = "INSERT INTO api_key (name, role, hash, created_at, stock) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT DO NOTHING";
const REVOKE: &str = "UPDATE api_key SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL";

/// Every key, revoked ones too.
pub(super) fn all(conn: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    let mut statement = conn.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let (role, stock): (String, String) = (row.get(1)?, row.get(5)?);
        keys.push(KeyRow {
            name: row.get(0)?,
            role: role
                .parse()
                .map_err(|_| StoreError::Damaged("a key has a role that is none"))?,
            channel: stock
                .parse()
                .map_err(|_| StoreError::Damaged("a key reads stock in a way that is none"))?,
            hash: row.get(2)?,
            created_at: TimeMs(row.get(3)?),
            revoked_at: row.get::<_, Option<i64>>(4)?.map(TimeMs),
        });
    }
    Ok(keys)
}

/// Adds a key; false where the name is taken.
pub(super) fn add(txn: &Txn<'_>, new: &NewKey, hash: &[u8; 32]) -> Result<bool, StoreError> {
    let mut statement = txn.conn.prepare_cached(ADD)?;
    let (role, stock) = (new.role.word(), new.channel.word());
    Ok(statement.execute(params![new.name, role, hash, txn.now.0, stock])? > 0)
}

/// Ends a key; false where there is none of that name that is still good.
pub(super) fn revoke(txn: &Txn<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(txn
        .conn
        .prepare_cached(REVOKE)?
        .execute(params![name, txn.now.0])?
        > 0)
}

impl Store {
    /// Every API key, revoked ones too.
    pub(crate) async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(all).await,
        }
    }

    /// Adds an API key by the hash of its secret; false where the name is taken, by a revoked one too.
    pub(crate) async fn add_key(
        &self,
        by: By,
        new: NewKey,
        hash: [u8; 32],
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let is_added = add(txn, &new, &hash)?;
                        if is_added {
                            let stock = new.channel.word();
                            let detail =
                                json!({ "key": new.name, "role": new.role, "stock": stock });
                            audit::add(txn, &by, (What::KeyAdd, None), &detail)?;
                        }
                        Ok(is_added)
                    })
                    .await
            }
        }
    }

    /// Ends an API key; false where there is none of that name that is still good.
    pub(crate) async fn revoke_key(&self, by: By, name: String) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let is_ended = revoke(txn, &name)?;
                        if is_ended {
                            let detail = json!({ "key": name });
                            audit::add(txn, &by, (What::KeyRevoke, None), &detail)?;
                        }
                        Ok(is_ended)
                    })
                    .await
            }
        }
    }
}
