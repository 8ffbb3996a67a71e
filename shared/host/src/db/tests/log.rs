//! The write-ahead log: copied beside the writer, begun anew, never in a till's way.

use std::sync::atomic::AtomicBool;

use super::super::queue::{Job, Next};
use super::*;

const MB: u64 = 1_000_000;

fn open_for_blobs(fixture: &Fixture) -> Db {
    let db = fixture.open();
    db.write_blocking(|conn| {
        conn.execute_batch("CREATE TABLE big (x BLOB) STRICT")?;
        Ok::<_, DbError>(())
    })
    .unwrap();
    db
}

fn megabyte(conn: &Connection) -> Result<(), DbError> {
    conn.prepare_cached("INSERT INTO big VALUES (zeroblob(?1))")?
        .execute([1_000_000])?;
    Ok(())
}

#[test]
fn the_log_is_copied_into_the_file_beside_the_writer_and_begun_anew() {
    let fixture = Fixture::new();
    let db = open_for_blobs(&fixture);
    let file_bytes = || std::fs::metadata(db.path()).unwrap().len();

    for _ in 0..20 {
        db.write_blocking(megabyte).unwrap();
    }
    until(|| file_bytes() > 15 * MB);

    let mut longest = 0;
    for _ in 0..300 {
        db.write_blocking(megabyte).unwrap();
        longest = longest.max(db.wal_bytes());
    }
    assert!(longest < 200 * MB, "the log grew to {longest} bytes");
    db.close_blocking();
    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
}

#[test]
fn a_reader_keeps_its_snapshot_and_stops_no_write_when_the_log_is_long() {
    let fixture = Fixture::new();
    let db = open_for_blobs(&fixture);
    let (release, is_released) = mpsc::channel::<()>();
    let (entered, is_entered) = mpsc::channel();
    let reading = db.clone();
    let reader = thread::spawn(move || {
        reading.read_blocking(|conn| {
            let look = || conn.query_row("SELECT count(*) FROM big", [], |row| row.get(0));
            let before: i64 = look()?;
            entered.send(()).unwrap();
            let _ = is_released.recv();
            Ok::<(i64, i64), DbError>((before, look()?))
        })
    });
    is_entered.recv().unwrap();
    for _ in 0..80 {
        db.write_blocking(megabyte).unwrap();
    }
    assert!(db.wal_bytes() > 80 * MB);
    release.send(()).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), (0, 0));

    // The log ends where nobody needs it any more.
    db.write_blocking(megabyte).unwrap();
    db.write_blocking(megabyte).unwrap();
    until(|| {
        db.write_blocking(insert_any).unwrap();
        db.wal_bytes() < 70 * MB
    });
}

fn insert_any(conn: &Connection) -> Result<(), DbError> {
    conn.prepare_cached("INSERT INTO n DEFAULT VALUES")?
        .execute([])?;
    Ok(())
}

#[test]
fn an_import_waits_while_a_long_log_is_copied_and_a_till_keeps_selling() {
    let fixture = Fixture::new();
    let db = open_for_blobs(&fixture);
    let is_over = Arc::new(AtomicBool::new(false));
    let (importer, over) = (db.clone(), Arc::clone(&is_over));
    let import = thread::spawn(move || {
        for _ in 0..80 {
            importer.write_background_blocking(megabyte).unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });

    let mut longest = 0;
    while !is_over.load(Ordering::SeqCst) {
        db.write_blocking(insert_any).unwrap();
        longest = longest.max(db.wal_bytes());
    }

    import.join().unwrap();
    assert!(longest < 40 * MB, "the log grew to {longest} bytes");
}

#[test]
fn held_background_writes_have_no_turn_until_they_are_released_and_urgent_ones_have() {
    let shared = Arc::new(Shared::new(8, 8));
    assert!(!shared.hold_background(), "nobody writes in the background");
    let call = |lane| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || wait(shared.call(lane, |_| Ok::<_, DbError>(()), |()| {})))
    };
    let background = call(Lane::Background);
    until(|| shared.waiting() == (0, 1));

    assert!(shared.hold_background());
    let urgent = call(Lane::Urgent);
    until(|| shared.waiting() == (1, 1));
    refuse(shared.next(None));
    assert!(urgent.join().unwrap().is_err());
    assert_eq!(shared.waiting(), (0, 1));
    assert!(matches!(shared.next(Some(Instant::now())), Next::Tidy));

    shared.release_background();
    refuse(shared.next(None));
    assert!(background.join().unwrap().is_err());
}

#[test]
fn a_hold_ends_with_the_database() {
    let shared = Arc::new(Shared::new(8, 8));
    let waiting = Arc::clone(&shared);
    let background = thread::spawn(move || {
        wait(waiting.call(Lane::Background, |_| Ok::<_, DbError>(()), |()| {}))
    });
    until(|| shared.waiting() == (0, 1));
    assert!(shared.hold_background());

    shared.close();

    refuse(shared.next(None));
    assert!(background.join().unwrap().is_err());
    assert!(matches!(shared.next(None), Next::Stop));
}

/// Takes the job off the queue without a database to run it on.
fn refuse(next: Next) {
    match next {
        Next::Run(job) => Job::refuse(job, DbError::Closed),
        Next::Tidy | Next::Stop => panic!("no job was due"),
    }
}
