//! The words of the ERP's classifier as rows.

use rusqlite::{Connection, params};

use super::sqlite::Txn;
use super::{Store, StoreError};

const ALL: &str = "SELECT kind, id, word FROM word";
const SET: &str = "INSERT INTO word (kind, id, word) VALUES (?1, ?2, ?3) \
    ON CONFLICT (kind, id) DO UPDATE SET word = excluded.word WHERE word <> excluded.word";

/// What a word is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WordKind {
    /// A group of goods.
    Group = 1,
    /// A property of goods.
    Property = 2,
    /// A value that a property may have.
    Value = 3,
    /// A price type; its word is the currency.
    Currency = 4,
}

impl WordKind {
    fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Group),
            2 => Some(Self::Property),
            3 => Some(Self::Value),
            4 => Some(Self::Currency),
            _ => None,
        }
    }
}

/// What the classifier calls an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What has the id.
    pub(crate) kind: WordKind,
    /// The id: a GUID.
    pub(crate) id: String,
    /// The word.
    pub(crate) text: String,
}

/// Writes a word; whether it is a new one.
pub(super) fn set(txn: &Txn<'_>, word: &Word) -> Result<bool, StoreError> {
    let values = params![word.kind as u8, word.id, word.text];
    Ok(txn.conn.prepare_cached(SET)?.execute(values)? > 0)
}

fn all(conn: &Connection) -> Result<Vec<Word>, StoreError> {
    let mut statement = conn.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    let mut words = Vec::new();
    while let Some(row) = rows.next()? {
        // What a newer hub knows names nothing here.
        let Some(kind) = WordKind::of_number(row.get(0)?) else {
            continue;
        };
        words.push(Word {
            kind,
            id: row.get(1)?,
            text: row.get(2)?,
        });
    }
    Ok(words)
}

impl Store {
    /// Every word of the classifier, in no order. They are written as a part of the catalogue.
    pub(crate) async fn words(&self) -> Result<Vec<Word>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(all).await,
        }
    }
}
