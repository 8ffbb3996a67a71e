mod files;
mod log;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::*;

const STEPS: &[Step] = &[Step {
    number: 1_000,
    name: "numbers",
    sql: "CREATE TABLE n (x INTEGER PRIMARY KEY) STRICT; CREATE TABLE commits (jobs INTEGER NOT NULL) STRICT;",
}];
const MORE_STEPS: &[Step] = &[
    STEPS[0],
    Step {
        number: 1_001,
        name: "more",
        sql: "CREATE TABLE m (x INTEGER) STRICT;",
    },
];

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ledger.sqlite3")
    }

    fn open(&self) -> Db {
        self.open_with(Hooks::none())
    }

    fn open_with(&self, hooks: Hooks) -> Db {
        Db::open(Settings::new(self.path()), STEPS, hooks).unwrap()
    }

    fn refused(&self) -> OpenError {
        match Db::open(Settings::new(self.path()), STEPS, Hooks::none()) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn insert(x: i64) -> impl FnOnce(&Connection) -> Result<i64, DbError> + Send {
    move |conn| {
        conn.prepare_cached("INSERT INTO n VALUES (?1)")?
            .execute([x])?;
        Ok(x)
    }
}

fn count(db: &Db) -> i64 {
    db.read_blocking(|conn| {
        let count = conn.query_row("SELECT count(*) FROM n", [], |row| row.get(0))?;
        Ok::<_, DbError>(count)
    })
    .unwrap()
}

/// Holds the database thread until the returned sender is used, so that writes gather behind it.
fn hold(db: &Db) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (go, wait_for_go) = mpsc::channel::<()>();
    let (entered, is_entered) = mpsc::channel();
    let db = db.clone();
    let thread = thread::spawn(move || {
        db.write_blocking(move |_| {
            entered.send(()).unwrap();
            let _ = wait_for_go.recv();
            Ok::<_, DbError>(())
        })
        .unwrap();
    });
    is_entered.recv().unwrap();
    (go, thread)
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to that");
        thread::yield_now();
    }
}

#[test]
fn a_write_is_seen_by_the_next_read_and_by_the_next_life() {
    let fixture = Fixture::new();
    let db = fixture.open();
    assert!(db.opened().created);

    assert_eq!(db.write_blocking(insert(7)).unwrap(), 7);
    assert_eq!(count(&db), 1);
    db.close_blocking();

    let db = fixture.open();
    assert!(!db.opened().created);
    assert!(!db.opened().unclean);
    assert_eq!(count(&db), 1);
}

#[test]
fn a_clean_stop_leaves_the_one_file() {
    let fixture = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    assert_eq!(count(&db), 1);
    let clone = db.clone();

    db.close_blocking();
    db.close_blocking();

    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
    assert!(matches!(
        clone.write_blocking(insert(2)),
        Err(DbError::Closed)
    ));
    assert!(matches!(
        clone.read_blocking(|_| Ok::<_, DbError>(())),
        Err(DbError::Closed)
    ));
}

#[test]
fn dropping_the_last_handle_closes_too() {
    let fixture = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    drop(db);
    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
}

#[test]
fn waiting_writes_share_a_commit_and_a_bad_one_is_rolled_back_alone() {
    let fixture = Fixture::new();
    let groups = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&groups);
    let db = fixture.open_with(Hooks {
        before_commit: Some(Box::new(|conn, group| {
            let jobs = i64::try_from(group.jobs).unwrap();
            conn.execute("INSERT INTO commits VALUES (?1)", [jobs])
                .map(|_| ())
        })),
        after_commit: Some(Box::new(move |group| seen.lock().unwrap().push(group.jobs))),
        reopened: None,
    });
    let (go, holder) = hold(&db);

    let writers: Vec<_> = [1, 2, 1, 3]
        .into_iter()
        .enumerate()
        .map(|(place, x)| {
            let of_thread = db.clone();
            let thread = thread::spawn(move || of_thread.write_blocking(insert(x)).is_ok());
            until(|| db.waiting().0 == place + 1);
            thread
        })
        .collect();
    go.send(()).unwrap();
    holder.join().unwrap();
    let kept: Vec<bool> = writers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();

    assert_eq!(kept, [true, true, false, true]);
    assert_eq!(count(&db), 3);
    assert_eq!(*groups.lock().unwrap(), [4]);
    let jobs: i64 = db
        .read_blocking(|conn| {
            Ok::<_, DbError>(conn.query_row("SELECT jobs FROM commits", [], |row| row.get(0))?)
        })
        .unwrap();
    assert_eq!(jobs, 4);
}

#[test]
fn urgent_writes_go_before_background_ones_of_which_one_a_commit() {
    let fixture = Fixture::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let groups = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&groups);
    let db = fixture.open_with(Hooks {
        after_commit: Some(Box::new(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        })),
        ..Hooks::none()
    });
    let (go, holder) = hold(&db);
    let mut threads = Vec::new();
    for (place, name) in ["import 1", "import 2", "till"].into_iter().enumerate() {
        let (of_thread, order) = (db.clone(), Arc::clone(&order));
        let work = move |_: &Connection| {
            order.lock().unwrap().push(name);
            Ok::<_, DbError>(())
        };
        threads.push(thread::spawn(move || {
            if name == "till" {
                of_thread.write_blocking(work).unwrap();
            } else {
                of_thread.write_background_blocking(work).unwrap();
            }
        }));
        until(|| db.waiting().0 + db.waiting().1 == place + 1);
    }

    go.send(()).unwrap();
    holder.join().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }

    assert_eq!(*order.lock().unwrap(), ["till", "import 1", "import 2"]);
    // The holder with the till, then one for each import.
    assert_eq!(groups.load(Ordering::SeqCst), 3);
}

#[test]
fn what_follows_a_commit_runs_in_order_before_the_answers() {
    let fixture = Fixture::new();
    let db = fixture.open();
    let view = Arc::new(Mutex::new(Vec::new()));

    for x in 1..=3 {
        let view = Arc::clone(&view);
        let seen = Arc::clone(&view);
        db.write_with_blocking(insert(x), move |x| view.lock().unwrap().push(*x))
            .unwrap();
        assert_eq!(seen.lock().unwrap().last(), Some(&x));
    }
    let not = Arc::clone(&view);
    let refused = db.write_with_blocking(insert(1), move |_| not.lock().unwrap().push(99));

    assert!(refused.is_err());
    assert_eq!(*view.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn a_panic_in_a_job_is_an_error_and_the_next_write_is_fine() {
    let fixture = Fixture::new();
    let db = fixture.open();

    let panicked = db.write_blocking(|conn| -> Result<(), DbError> {
        conn.execute("INSERT INTO n VALUES (1)", [])?;
        panic!("a bug");
    });
    let after = db.write_with_blocking(insert(2), |_| panic!("a bug"));
    let read = db.read_blocking(|_| -> Result<(), DbError> { panic!("a bug") });

    assert!(matches!(panicked, Err(DbError::Panicked)));
    assert!(matches!(after, Err(DbError::AfterCommit)));
    assert!(matches!(read, Err(DbError::Panicked)));
    db.write_blocking(insert(1)).unwrap();
    assert_eq!(count(&db), 2);
}

#[test]
fn a_failing_group_hook_keeps_nothing_of_the_group() {
    let fixture = Fixture::new();
    let db = fixture.open_with(Hooks {
        before_commit: Some(Box::new(|conn, _| {
            conn.execute("INSERT INTO nowhere VALUES (1)", [])
                .map(|_| ())
        })),
        ..Hooks::none()
    });

    let refused = db.write_blocking(insert(1));

    assert!(matches!(refused, Err(DbError::Commit(_))));
    assert_eq!(count(&db), 0);
}

#[test]
fn a_job_that_ends_the_shared_transaction_is_an_error_and_the_next_write_is_fine() {
    let fixture = Fixture::new();
    let reopened = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&reopened);
    let db = fixture.open_with(Hooks {
        reopened: Some(Box::new(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        })),
        ..Hooks::none()
    });

    let refused = db.write_blocking(|conn| {
        conn.execute_batch("ROLLBACK")?;
        Ok::<_, DbError>(())
    });

    assert!(matches!(refused, Err(DbError::RolledBack)));
    db.write_blocking(insert(1)).unwrap();
    assert_eq!(count(&db), 1);
    assert_eq!(reopened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_full_disk_refuses_the_write_that_does_not_fit_and_recovers_alone() {
    let fixture = Fixture::new();
    let db = fixture.open();
    // As many pages as there are: SQLite says "full" as on a full disk.
    db.write_blocking(|conn| {
        let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok::<_, DbError>(())
    })
    .unwrap();
    let (go, holder) = hold(&db);
    let small = thread::spawn({
        let db = db.clone();
        move || db.write_blocking(insert(1))
    });
    until(|| db.waiting().0 == 1);
    let large = thread::spawn({
        let db = db.clone();
        move || {
            db.write_blocking(|conn| {
                let sql = "WITH RECURSIVE c(x) AS (SELECT 10 UNION ALL SELECT x + 1 FROM c LIMIT 5000) INSERT INTO n SELECT x FROM c";
                Ok::<_, DbError>(conn.execute(sql, [])?)
            })
        }
    });
    until(|| db.waiting().0 == 2);

    go.send(()).unwrap();
    holder.join().unwrap();

    let refused = large.join().unwrap().unwrap_err();
    assert!(refused.is_disk_full(), "{refused:?}");
    let small = small.join().unwrap();
    assert_eq!(count(&db), i64::from(small.is_ok()));
    if let Err(error) = small {
        assert!(error.is_transient(), "{error:?}");
    }
    db.write_blocking(insert(2)).unwrap();
}

#[test]
fn a_reader_cannot_write_and_is_interrupted_when_it_is_too_long() {
    let fixture = Fixture::new();
    let mut settings = Settings::new(fixture.path());
    settings.read_timeout = Duration::from_millis(20);
    let db = Db::open(settings, STEPS, Hooks::none()).unwrap();

    let wrote = db.read_blocking(|conn| {
        conn.execute("INSERT INTO n VALUES (1)", [])?;
        Ok::<_, DbError>(())
    });
    let endless = db.read_blocking(|conn| {
        let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
        Ok::<i64, DbError>(conn.query_row(sql, [], |row| row.get(0))?)
    });

    assert!(wrote.is_err());
    let Err(DbError::Sqlite(error)) = endless else {
        panic!("it ended: {endless:?}");
    };
    assert!(is_read_timeout(&error));
    assert_eq!(count(&db), 0);
}

#[test]
fn reads_of_tasks_and_of_threads_never_wait_for_each_other_in_a_ring() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let fixture = Fixture::new();
    let mut settings = Settings::new(fixture.path());
    settings.readers = 1;
    let db = Db::open(settings, STEPS, Hooks::none()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (entered, is_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let long = db.clone();
    let long = thread::spawn(move || {
        long.read_blocking(move |_| {
            entered.send(()).unwrap();
            may_go.recv().unwrap();
            Ok::<_, DbError>(())
        })
    });
    is_entered.recv().unwrap();

    // A task waits for the only reader, and behind it the only thread for blocking work does.
    let (of_task, of_thread) = (db.clone(), db.clone());
    let task = runtime.spawn(async move { of_task.read(|_| Ok::<_, DbError>(1)).await });
    runtime.block_on(runtime.spawn(async {})).unwrap();
    let thread = runtime.spawn_blocking(move || of_thread.read_blocking(|_| Ok::<_, DbError>(2)));
    go.send(()).unwrap();

    let read = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async { (task.await, thread.await) }).await
    });
    runtime.shutdown_background();
    let (one, two) = read.expect("each waits for the other");
    assert_eq!((one.unwrap().unwrap(), two.unwrap().unwrap()), (1, 2));
    long.join().unwrap().unwrap();
}

#[test]
fn closing_interrupts_a_long_read() {
    let fixture = Fixture::new();
    let db = fixture.open();
    let of_thread = db.clone();
    let (entered, is_entered) = mpsc::channel();
    let reader = thread::spawn(move || {
        of_thread.read_blocking(move |conn| {
            entered.send(()).unwrap();
            let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
            Ok::<i64, DbError>(conn.query_row(sql, [], |row| row.get(0))?)
        })
    });
    is_entered.recv().unwrap();

    let started = Instant::now();
    db.close_blocking();

    assert!(reader.join().unwrap().is_err());
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
}

#[test]
fn what_is_queued_is_written_before_it_closes() {
    let fixture = Fixture::new();
    let db = fixture.open();
    let (go, holder) = hold(&db);
    let of_thread = db.clone();
    let writer = thread::spawn(move || of_thread.write_blocking(insert(1)).is_ok());
    until(|| db.waiting().0 == 1);
    let of_thread = db.clone();
    let closer = thread::spawn(move || of_thread.close_blocking());

    go.send(()).unwrap();
    holder.join().unwrap();
    closer.join().unwrap();

    assert!(writer.join().unwrap());
    assert_eq!(count(&fixture.open()), 1);
}

#[test]
fn a_full_queue_makes_callers_wait_and_loses_none() {
    let fixture = Fixture::new();
    let mut settings = Settings::new(fixture.path());
    settings.urgent_max = 2;
    let db = Db::open(settings, STEPS, Hooks::none()).unwrap();

    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let db = db.clone();
            thread::spawn(move || {
                for x in 0..20 {
                    db.write_blocking(insert(writer * 100 + x)).unwrap();
                }
            })
        })
        .collect();
    for thread in writers {
        thread.join().unwrap();
    }

    assert_eq!(count(&db), 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_reads_are_awaited() {
    let fixture = Fixture::new();
    let db = fixture.open();

    db.write(insert(1)).await.unwrap();
    db.write_background(insert(2)).await.unwrap();
    db.write_with(insert(3), |_| {}).await.unwrap();
    let sum: i64 = db
        .read(|conn| {
            Ok::<_, DbError>(conn.query_row("SELECT sum(x) FROM n", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    let dropped = db.write(insert(4));
    drop(dropped);
    db.close().await;

    assert_eq!(sum, 6);
    assert!(matches!(db.write(insert(5)).await, Err(DbError::Closed)));
}

#[test]
fn a_locked_database_is_a_transient_error() {
    let error =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None);
    assert!(DbError::Sqlite(error).is_transient());
    let full =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    assert!(is_disk_full(&full));
    assert!(DbError::Commit(Arc::new(full)).is_disk_full());
}
