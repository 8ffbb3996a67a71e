//! What a database says, whatever its pages look like.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::vfs;

/// A database of a mounted disk, to be read.
///
/// # Errors
///
/// Where SQLite cannot open it.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs(path, flags, vfs::NAME)
}

/// The tables that have the books of either side.
const BOOKS: [&str; 5] = ["barcode", "correction", "movement", "total", "voided"];

/// Their columns that are not: times of this machine, places in the feed, words.
const BESIDE: [&str; 5] = ["booked_at", "pos", "updated_at", "words", "words_at"];

/// What a database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The hash of every row of every table.
    pub hash: u64,
    /// The hash of the books alone: movements and what they add up to. The rest are words, prices, kept answers.
    pub books: u64,
    /// How many movements it holds.
    pub movements: u64,
}

/// The rows of a table, in words: for a message.
///
/// # Errors
///
/// Where SQLite cannot read them.
pub fn rows(conn: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = conn.prepare(&format!("SELECT * FROM \"{table}\""))?;
    let columns = query.column_count();
    let rows = query.query_map([], |row| {
        (0..columns)
            .map(|column| Ok(format!("{:?}", row.get_ref(column)?)))
            .collect::<rusqlite::Result<Vec<_>>>()
    })?;
    rows.map(|row| Ok(row?.join(", "))).collect()
}

/// The rows of the books of either side, by table.
///
/// # Errors
///
/// Where SQLite cannot read them.
pub fn books(conn: &Connection) -> Vec<String> {
    let tables = BOOKS.iter();
    tables
        .flat_map(|table| rows(conn, table).unwrap_or_default())
        .collect()
}

/// Reads every row of every table.
///
/// # Errors
///
/// Where SQLite cannot read them.
pub fn dump(conn: &Connection) -> rusqlite::Result<Dump> {
    let mut movements = 0;
    let mut books = Hash::new();
    let mut hash = Hash::new();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut names = conn.prepare(names)?;
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for name in names {
        hash.add(name.as_bytes());
        let mut rows = conn.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let is_booked: Vec<bool> = rows
            .column_names()
            .map(|column| BOOKS.contains(&name.as_str()) && !BESIDE.contains(&column))
            .collect();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            movements += u64::from(name == "movement");
            for (column, is_booked) in is_booked.iter().enumerate() {
                hash.value(row.get_ref(column)?);
                if *is_booked {
                    books.value(row.get_ref(column)?);
                }
            }
        }
    }
    Ok(Dump {
        hash: hash.0,
        books: books.0,
        movements,
    })
}

/// What SQLite's own full check says; empty where all is well.
///
/// # Errors
///
/// Where it cannot even look.
pub fn check(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut words = conn.prepare("PRAGMA integrity_check")?;
    let words: Vec<String> = words
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(words.into_iter().filter(|word| word != "ok").collect())
}

/// FNV-1a of 64 bits: nobody forges a row here.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.add(&[0]),
            ValueRef::Integer(number) => {
                self.add(&[1]);
                self.add(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                self.add(&[2]);
                self.add(&number.to_bits().to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                self.add(&[3]);
                self.add(&(bytes.len() as u64).to_le_bytes());
                self.add(bytes);
            }
        }
    }
}
