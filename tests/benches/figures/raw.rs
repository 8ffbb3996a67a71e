//! The limit: what SQLite alone takes for the same rows, on the same file system, with the same settings.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::stats::Random;

/// The settings of both programs' databases (WAL, `synchronous = FULL`, checkpoint every 1,000 pages).
fn open(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 1_000).unwrap();
    db.pragma_update(None, "cache_size", -16_384).unwrap();
    db.pragma_update(None, "temp_store", "MEMORY").unwrap();
    db.set_prepared_statement_cache_capacity(32);
    db
}

/// The agent's own tables: what a sale writes is the same rows in the same indexes.
const LEDGER: &str = include_str!("../../../agent/migrations/0001_ledger.sql");
const MOVEMENT: &str =
    "INSERT INTO movement (replica, seq, id, key_hash, barcode, condition, kind, qty, at, counts,
    booked_at, body, chain) VALUES (1, ?1, ?2, NULL, ?3, 0, 2, -1, ?4, 1, ?4, ?5, ?6)";
const TOTAL: &str = "INSERT INTO total (barcode, condition, replica, p, n) VALUES (?1, 0, 1, 0, 1)
    ON CONFLICT DO UPDATE SET n = n + excluded.n";
const REPLY: &str = "INSERT INTO reply (key, request, status, body) VALUES (?1, ?2, 201, ?3)";

/// One sale as bare rows.
///
/// [`RawLedger::sell`] is `BEGIN IMMEDIATE`; one INSERT of a movement (64 bytes of body) with its entries in the indexes
/// of ids, of barcodes and of sales; one upsert of the row of totals; one INSERT of the answer that is kept for its
/// idempotency key (160 bytes); `COMMIT`. No check, no look-up, no hash, no HTTP. The database holds 2,000 rows of
/// totals, as the shop's does.
pub(crate) struct RawLedger {
    db: Connection,
    seq: i64,
    random: Random,
}

impl RawLedger {
    /// A new file with a row of totals for each barcode.
    pub(crate) fn new(path: &Path, barcodes: &[String]) -> Self {
        let db = open(path);
        db.execute_batch(LEDGER).unwrap();
        let replica = "INSERT INTO replica (no, id, minted_at) VALUES (1, zeroblob(16), 0)";
        db.execute_batch(replica).unwrap();
        let mut ledger = Self {
            db,
            seq: 0,
            random: Random::new(1),
        };
        for barcode in barcodes {
            ledger.sell(barcode);
        }
        ledger
    }

    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_le_bytes());
        id[8..].copy_from_slice(&self.random.next().to_le_bytes());
        id
    }

    /// Commits one sale; how long that took.
    pub(crate) fn sell(&mut self, barcode: &str) -> Duration {
        self.seq += 1;
        let (id, key, at) = (self.id(), self.id(), 1_790_000_000_000 + self.seq);
        let run = |sql: &str, with: &[&dyn rusqlite::ToSql]| {
            self.db.prepare_cached(sql).unwrap().execute(with).unwrap();
        };
        let begun = Instant::now();
        run("BEGIN IMMEDIATE", &[]);
        let row = params![self.seq, id, barcode, at, [7_u8; 64], [9_u8; 32]];
        run(MOVEMENT, row);
        run(TOTAL, params![barcode]);
        run(REPLY, params![key, [5_u8; 32], [6_u8; 160]]);
        run("COMMIT", &[]);
        begun.elapsed()
    }
}

/// The hub's own tables.
const STORE: &str = include_str!("../../../hub/migrations/1000_hub.sql");
const NAME: &str = "INSERT INTO barcode (id, text) VALUES (?1, ?2)";
const INSERT: &str =
    "INSERT INTO movement (replica, seq, barcode, prev, body) VALUES (?1, ?2, ?3, 0, ?4)";
const UPSERT: &str = "INSERT INTO total (shop, barcode, condition, replica, p, n, last, pos, updated_at)
    VALUES (?1, ?2, 0, ?1, ?3, 0, ?4, ?4, ?5)
    ON CONFLICT DO UPDATE SET p = max(p, excluded.p), n = max(n, excluded.n), last = excluded.last, pos = excluded.pos,
    updated_at = excluded.updated_at WHERE excluded.last > last";

/// A shop's rows, ready to be written: small integers instead of texts, in key order.
pub(crate) struct ShopRows {
    /// Barcodes that no shop before had.
    pub(crate) new_barcodes: Vec<(i64, String)>,
    /// In the order of the log: the barcode and the canonical bytes.
    pub(crate) movements: Vec<(i64, Vec<u8>)>,
    /// In the order of the barcodes' integers: units added.
    pub(crate) totals: Vec<(i64, i64)>,
}

/// Writes openings of many shops as the hub's rows: one INSERT a movement (its canonical bytes), one upsert a row of
/// totals, in key order, prepared statements, so many commits; the barcodes' integers are known beforehand and inserted
/// where they are new. No decoding, no check, no chain, no feed, no view. How long that took.
pub(crate) fn merge(path: &Path, shops: &[ShopRows], commits: usize) -> Duration {
    let db = open(path);
    db.pragma_update(None, "cache_size", -65_536).unwrap();
    db.execute_batch(STORE).unwrap();
    let per_commit = shops.len().div_ceil(commits.max(1));
    let begun = Instant::now();
    for (group, chunk) in shops.chunks(per_commit).enumerate() {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut name = db.prepare_cached(NAME).unwrap();
        let mut insert = db.prepare_cached(INSERT).unwrap();
        let mut upsert = db.prepare_cached(UPSERT).unwrap();
        for (place, rows) in chunk.iter().enumerate() {
            let shop = i64::try_from(group * per_commit + place).unwrap();
            for (id, text) in &rows.new_barcodes {
                name.execute(params![id, text]).unwrap();
            }
            for ((barcode, units), last) in rows.totals.iter().zip(1_i64..) {
                let row = params![shop, barcode, units, last, 1_790_000_000_000_i64];
                upsert.execute(row).unwrap();
            }
            for ((barcode, body), seq) in rows.movements.iter().zip(1_i64..) {
                insert.execute(params![shop, seq, barcode, body]).unwrap();
            }
        }
        drop((name, insert, upsert));
        db.execute_batch("COMMIT").unwrap();
    }
    begun.elapsed()
}
