//! What the database thread costs: one caller's writes of two rows, against a plain loop of BEGIN IMMEDIATE … COMMIT.
//!
//! `cargo bench -p vitrina-host --bench write_latency` prints both medians and their ratio; at most 1.15 is wanted.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use vitrina_host::db::{Db, DbError, Hooks, Settings};
use vitrina_host::migrate::Step;

const STEPS: &[Step] = &[Step {
    number: 1_000,
    name: "ledger",
    sql: "CREATE TABLE movement (seq INTEGER PRIMARY KEY, barcode TEXT NOT NULL, qty INTEGER NOT NULL) STRICT;
          CREATE TABLE total (barcode TEXT PRIMARY KEY, qty INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
}];
const MOVEMENT: &str = "INSERT INTO movement (barcode, qty) VALUES (?1, -1)";
const TOTAL: &str = "INSERT INTO total VALUES (?1, -1) ON CONFLICT DO UPDATE SET qty = qty - 1";
/// Long enough for the disk's mood to even out, turn by turn.
const ROUNDS: usize = 20;
const WRITES: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = Db::open(
        Settings::new(dir.path().join("thread.sqlite3")),
        STEPS,
        Hooks::none(),
    )?;
    let raw = raw_connection(&dir.path().join("raw.sqlite3"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let (mut raw_times, mut blocking_times, mut async_times) = (Vec::new(), Vec::new(), Vec::new());

    for _ in 0..ROUNDS {
        for number in 0..WRITES {
            raw_times.push(timed(|| raw_write(&raw, number))?);
        }
        for number in 0..WRITES {
            let write = || db.write_blocking(move |conn| sell(conn, number));
            blocking_times.push(timed(write)?);
        }
        let of_task = db.clone();
        async_times.extend(runtime.block_on(runtime.spawn(async move {
            let mut times = Vec::new();
            for number in 0..WRITES {
                let started = Instant::now();
                of_task.write(move |conn| sell(conn, number)).await?;
                times.push(started.elapsed());
            }
            Ok::<_, DbError>(times)
        }))??);
    }

    let raw = median(raw_times);
    let mut out = std::io::stdout();
    writeln!(out, "raw loop        {raw:?}")?;
    for (name, times) in [("write_blocking", blocking_times), ("write", async_times)] {
        let median = median(times);
        let ratio = median.as_secs_f64() / raw.as_secs_f64();
        writeln!(out, "{name:<15} {median:?}, {ratio:.3} times the raw loop")?;
    }
    Ok(())
}

fn raw_connection(path: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    Db::open(Settings::new(path), STEPS, Hooks::none())?.close_blocking();
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -2000")?;
    Ok(conn)
}

fn raw_write(conn: &Connection, number: usize) -> Result<(), DbError> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    sell(conn, number)?;
    conn.execute_batch("COMMIT")?;
    Ok(())
}

fn sell(conn: &Connection, number: usize) -> Result<(), DbError> {
    let barcode = format!("20000{number:08}");
    conn.prepare_cached(MOVEMENT)?.execute([&barcode])?;
    conn.prepare_cached(TOTAL)?.execute([&barcode])?;
    Ok(())
}

fn timed<E>(work: impl FnOnce() -> Result<(), E>) -> Result<Duration, E> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
