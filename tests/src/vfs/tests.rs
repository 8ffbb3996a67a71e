use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::image::{Cut, Replay};
use super::*;
use crate::sim::random::Random;

struct Scene {
    disk: Disk,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            disk: Disk::mount(folder.path()),
            _folder: folder,
        }
    }

    fn open(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let path = self.disk.folder().join("books");
        let conn = Connection::open_with_flags_and_vfs(path, flags, NAME).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.pragma_update(None, "synchronous", "FULL").unwrap();
        conn
    }

    fn begun(&self) -> Connection {
        let conn = self.open();
        conn.execute_batch("CREATE TABLE sale (id INTEGER PRIMARY KEY) STRICT")
            .unwrap();
        conn
    }
}

fn sell(conn: &Connection, id: i64) -> rusqlite::Result<usize> {
    conn.execute("INSERT INTO sale VALUES (?1)", [id])
}

fn sold(conn: &Connection) -> i64 {
    let sql = "SELECT count(*) FROM sale";
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn connections_share_the_log_and_its_locks() {
    let scene = Scene::new();
    let (writer, reader) = (scene.begun(), scene.open());
    writer.busy_timeout(std::time::Duration::ZERO).unwrap();
    reader.busy_timeout(std::time::Duration::ZERO).unwrap();

    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    sell(&writer, 1).unwrap();
    let before = sold(&reader);
    let refused = sell(&reader, 2).unwrap_err();
    writer.execute_batch("COMMIT").unwrap();

    assert_eq!((before, sold(&reader)), (0, 1));
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    assert!(scene.disk.image().contains_key("books-wal"));
}

#[test]
fn what_was_flushed_survives_and_the_last_connection_leaves_one_file() {
    let scene = Scene::new();
    let conn = scene.begun();
    sell(&conn, 1).unwrap();

    let left = scene.disk.durable();
    drop(conn);
    let closed = scene.disk.image();
    scene.disk.load(&left);

    assert_eq!(sold(&scene.open()), 1);
    assert_eq!(closed.into_keys().collect::<Vec<_>>(), ["books"]);
}

#[test]
fn what_was_not_flushed_survives_in_part_and_never_outside_of_what_was_written() {
    let base = Image::from([("a".to_owned(), Arc::new(vec![1; 4_096]))]);
    let mut replay = Replay::of(&base);
    replay.step(&Op::Write {
        file: 1,
        at: 1_000,
        bytes: vec![2; 2_000].into(),
    });

    let mut random = Random::new(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        for cut in Cut::POWER {
            let left = replay.cut(cut, &mut random);
            let bytes = &left["a"];
            assert_eq!(bytes.len(), 4_096);
            assert!(
                bytes[..1_000]
                    .iter()
                    .chain(&bytes[3_000..])
                    .all(|byte| *byte == 1)
            );
            seen.insert(bytes[1_000..3_000].to_vec());
        }
    }
    replay.step(&Op::Sync { file: 1 });

    assert!(seen.len() > 20, "{} ways", seen.len());
    assert_eq!(replay.loose(), 0);
    assert_eq!(
        replay.cut(Cut::Garbage, &mut random)["a"][1_000..3_000],
        [2; 2_000]
    );
}

#[test]
fn a_new_file_is_there_once_it_was_flushed_and_a_deleted_one_may_come_back() {
    let base = Image::from([("old".to_owned(), Arc::new(vec![1]))]);
    let mut replay = Replay::of(&base);
    let mut random = Random::new(1);
    let delete = Op::Delete {
        name: "old".to_owned(),
    };
    let create = Op::Create {
        name: "new".to_owned(),
        file: 2,
    };

    replay.step(&delete);
    replay.step(&create);
    let before = replay.cut(Cut::Nothing, &mut random);
    replay.step(&Op::Sync { file: 2 });
    let after = replay.cut(Cut::Nothing, &mut random);

    assert_eq!(before.into_keys().collect::<Vec<_>>(), ["old"]);
    assert_eq!(after.into_keys().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn a_planned_call_fails_once_and_a_full_disk_until_there_is_room() {
    let scene = Scene::new();
    let conn = scene.begun();
    let plan = |fault| Plan {
        call: Some(Call::Write),
        at: 1,
        fault,
    };

    scene.disk.plan(plan(Fault::Error));
    let broken = sell(&conn, 1).unwrap_err();
    assert_eq!(scene.disk.heal(), Some(Call::Write));
    scene.disk.plan(plan(Fault::Full));
    let full = [sell(&conn, 1), sell(&conn, 1)].map(Result::unwrap_err);
    scene.disk.heal();

    assert_eq!(broken.sqlite_error_code(), Some(ErrorCode::SystemIoFailure));
    assert!(
        full.iter()
            .all(|error| error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    );
    assert_eq!((sell(&conn, 1).unwrap(), sold(&conn)), (1, 1));
}

#[test]
fn a_failed_flush_is_never_made_good() {
    let scene = Scene::new();
    let conn = scene.begun();
    let plan = Plan {
        call: Some(Call::Sync),
        at: 1,
        fault: Fault::Error,
    };

    scene.disk.plan(plan);
    let refused = sell(&conn, 1).unwrap_err();
    scene.disk.heal();
    let left = scene.disk.durable();
    drop(conn);
    scene.disk.load(&left);

    assert_eq!(
        refused.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure)
    );
    assert_eq!(sold(&scene.open()), 0);
}
