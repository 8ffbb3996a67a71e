//! The tills that may speak to the agent: hashes of their tokens, and short-lived codes by which a page gets one.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::TimeMs;

use super::LedgerError;

const ADD: &str = "INSERT OR IGNORE INTO terminal (token, name, made_at) VALUES (?1, ?2, ?3)";
const FIND: &str = "SELECT name FROM terminal WHERE token = ?1 AND revoked_at IS NULL";
const LIST: &str = "SELECT name, min(made_at), count(*) FROM terminal WHERE revoked_at IS NULL GROUP BY name ORDER BY name";
const REVOKE: &str = "UPDATE terminal SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL";
const DROP_OFFERS: &str = "DELETE FROM pairing WHERE name = ?1 OR expires <= ?2";
const OFFER: &str = "INSERT OR REPLACE INTO pairing (code, name, expires) VALUES (?1, ?2, ?3)";
const TAKE: &str = "DELETE FROM pairing WHERE code = ?1 RETURNING name, expires";

/// A till.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Its name.
    pub(crate) name: String,
    /// When its first token was made.
    pub(crate) made_at: TimeMs,
    /// How many tokens it has.
    pub(crate) tokens: u64,
}

/// Gives a till one more token.
pub(crate) fn add(
    conn: &Connection,
    name: &str,
    token: &[u8; 32],
    now: TimeMs,
) -> Result<(), LedgerError> {
    conn.prepare_cached(ADD)?
        .execute(params![token, name, now.0])?;
    Ok(())
}

/// The till of a token, by the token's hash.
pub(crate) fn find(conn: &Connection, token: &[u8; 32]) -> Result<Option<String>, LedgerError> {
    Ok(conn
        .prepare_cached(FIND)?
        .query_row([token], |row| row.get(0))
        .optional()?)
}

/// The tills that have tokens.
pub(crate) fn list(conn: &Connection) -> Result<Vec<Terminal>, LedgerError> {
    let mut query = conn.prepare_cached(LIST)?;
    let rows = query.query_map([], |row| {
        let tokens: i64 = row.get(2)?;
        Ok(Terminal {
            name: row.get(0)?,
            made_at: TimeMs(row.get(1)?),
            tokens: super::uint(tokens),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ends all tokens and codes of a till. Whether it had any.
pub(crate) fn revoke(conn: &Connection, name: &str, now: TimeMs) -> Result<bool, LedgerError> {
    conn.prepare_cached(DROP_OFFERS)?
        .execute(params![name, now.0])?;
    Ok(conn.prepare_cached(REVOKE)?.execute(params![name, now.0])? > 0)
}

/// Offers a code, by its hash, under which a page may ask for a token of the till until `expires`. An older one ends.
pub(crate) fn offer_pairing(
    conn: &Connection,
    name: &str,
    code: &[u8; 32],
    (now, expires): (TimeMs, TimeMs),
) -> Result<(), LedgerError> {
    conn.prepare_cached(DROP_OFFERS)?
        .execute(params![name, now.0])?;
    conn.prepare_cached(OFFER)?
        .execute(params![code, name, expires.0])?;
    Ok(())
}

/// Takes an offered code, once: the till it is for.
pub(crate) fn take_pairing(
    conn: &Connection,
    code: &[u8; 32],
    now: TimeMs,
) -> Result<Option<String>, LedgerError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let taken = conn
        .prepare_cached(TAKE)?
        .query_row([code], read)
        .optional()?;
    Ok(taken
        .filter(|(_, expires)| now.0 < *expires)
        .map(|(name, _)| name))
}
