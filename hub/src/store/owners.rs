//! The responsibility map as rows.

use rusqlite::{Connection, params};
use serde_json::json;
use vitrina_host::sign;

use super::sqlite::Txn;
use super::{Store, StoreError, audit, work};
use crate::audit::{By, What};
use crate::work::Level;
use crate::work::owner::{Owner, Rule};

const ALL: &str = "SELECT id, person, channel, level, kind, category, brand, city, shops FROM work_owner \
    ORDER BY added_at, id";
const ADD: &str = "INSERT INTO work_owner (id, added_at, person, channel, level, kind, category, brand, city, shops) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const REMOVE: &str = "DELETE FROM work_owner WHERE id = ?1";

/// Every rule, the first added first.
pub(super) fn rules(conn: &Connection) -> Result<Vec<Rule>, StoreError> {
    let mut statement = conn.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    let mut rules = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: Option<String> = row.get(4)?;
        let kind = match kind.map(|kind| kind.parse()) {
            None => None,
            Some(Ok(kind)) => Some(kind),
            // A rule for what a newer hub knows fits nothing here.
            Some(Err(_)) => continue,
        };
        let shops: String = row.get(8)?;
        rules.push(Rule {
            id: row.get(0)?,
            owner: Owner {
                person: row.get(1)?,
                channel: row.get(2)?,
            },
            level: Level::of_number(row.get(3)?),
            kind,
            category: row.get(5)?,
            brand: row.get(6)?,
            city: row.get(7)?,
            shops: serde_json::from_str(&shops)
                .map_err(|_| StoreError::Damaged("a rule of responsibility cannot be read"))?,
        });
    }
    Ok(rules)
}

/// Adds a rule; what is not resolved goes to whoever now is responsible.
pub(super) fn add(txn: &Txn<'_>, by: &By, rule: &Rule) -> Result<(), StoreError> {
    txn.conn.prepare_cached(ADD)?.execute(params![
        rule.id,
        txn.now.0,
        rule.owner.person,
        rule.owner.channel,
        rule.level.number(),
        rule.kind.map(crate::work::Kind::word),
        rule.category,
        rule.brand,
        rule.city,
        json!(rule.shops).to_string()
    ])?;
    let detail = json!({ "rule": sign::hex(&rule.id), "person": rule.owner.person });
    audit::add(txn, by, (What::AlertOwnerAdd, None), &detail)?;
    work::assign_all(txn, by)
}

/// Takes a rule away; false where there is none of that name.
pub(super) fn remove(txn: &Txn<'_>, by: &By, id: &[u8; 16]) -> Result<bool, StoreError> {
    if txn.conn.prepare_cached(REMOVE)?.execute([id])? == 0 {
        return Ok(false);
    }
    let detail = json!({ "rule": sign::hex(id) });
    audit::add(txn, by, (What::AlertOwnerRemove, None), &detail)?;
    work::assign_all(txn, by)?;
    Ok(true)
}

impl Store {
    /// The responsibility map, the first rule first.
    pub(crate) async fn owner_rules(&self) -> Result<Vec<Rule>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(rules).await,
        }
    }

    /// Adds a rule; what is not resolved goes to whoever now is responsible.
    pub(crate) async fn add_owner(&self, by: By, rule: Rule) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| add(txn, &by, &rule)).await,
        }
    }

    /// Takes a rule away; false where there is none of that name.
    pub(crate) async fn remove_owner(&self, by: By, id: [u8; 16]) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| remove(txn, &by, &id)).await,
        }
    }
}
