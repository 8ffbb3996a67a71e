//! Answers to idempotent calls, kept in the commit of what they tell of. Keys never expire.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_host::sign::Sha256;

use super::LedgerError;

const FIND: &str = "SELECT request, status, body FROM reply WHERE key = ?1";
const KEEP: &str =
    "INSERT OR IGNORE INTO reply (key, request, status, body) VALUES (?1, ?2, ?3, ?4)";

/// What a call is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyKey([u8; 16]);

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The hash of the request: another request under the same key is a mistake of the caller.
    pub(crate) request: [u8; 32],
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl ReplyKey {
    /// Of a call with an idempotency key.
    pub(crate) fn call(idempotency_key: &str) -> Self {
        Self::of("call", &[idempotency_key])
    }

    /// Of a call that is known by its content, such as (type, till, receipt, line, day).
    pub(crate) fn natural(parts: &[&str]) -> Self {
        Self::of("natural", parts)
    }

    fn of(domain: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(&domain).chain(parts) {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut half = [0; 16];
        half.copy_from_slice(hash.finish().split_at(16).0);
        Self(half)
    }
}

/// The answer that was given under this key.
pub(crate) fn find(conn: &Connection, key: &ReplyKey) -> Result<Option<Stored>, LedgerError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Stored {
            request: row.get(0)?,
            status: row.get(1)?,
            body: row.get(2)?,
        })
    };
    Ok(conn
        .prepare_cached(FIND)?
        .query_row([key.0], read)
        .optional()?)
}

/// Keeps an answer; an earlier one under this key stays.
pub(crate) fn keep(conn: &Connection, key: &ReplyKey, reply: &Stored) -> Result<(), LedgerError> {
    conn.prepare_cached(KEEP)?
        .execute(params![key.0, reply.request, reply.status, reply.body])?;
    Ok(())
}
