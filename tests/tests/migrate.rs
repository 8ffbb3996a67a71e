//! A schema that changes while the disk breaks: the old one or the new one, never half.

use vitrina_host::db::{Check, Db, DbError, Hooks, Settings};
use vitrina_host::migrate::Step;
use vitrina_tests::power::dump;
use vitrina_tests::sim::random::Random;
use vitrina_tests::vfs::image::{Cut, Replay};
use vitrina_tests::vfs::{self, Disk, Fault, Image, Plan};

const SALES_STEP: Step = Step {
    number: 1_000,
    name: "sales",
    sql: "CREATE TABLE sale (id INTEGER PRIMARY KEY, barcode TEXT NOT NULL, qty INTEGER NOT NULL) STRICT;",
};
const OLD: &[Step] = &[SALES_STEP];
/// What a new program brings: a step that rewrites every row, and one that adds an index and a table.
const NEW: &[Step] = &[
    SALES_STEP,
    Step {
        number: 1_001,
        name: "prices",
        sql: "ALTER TABLE sale ADD COLUMN price INTEGER; UPDATE sale SET price = qty * 100;",
    },
    Step {
        number: 1_002,
        name: "shifts",
        sql: "CREATE INDEX sale_barcode ON sale (barcode); CREATE TABLE shift (id INTEGER PRIMARY KEY) STRICT; \
              INSERT INTO shift SELECT DISTINCT qty FROM sale;",
    },
];
const SALES: i64 = 300;

fn settings(disk: &Disk) -> Settings {
    Settings {
        vfs: Some(vfs::VFS),
        ..Settings::new(disk.folder().join("books"))
    }
}

fn open(disk: &Disk, steps: &[Step]) -> Result<Db, String> {
    Db::open(settings(disk), steps, Hooks::none()).map_err(|error| format!("{error:?}"))
}

/// The books of an old program.
fn old_books(disk: &Disk) -> Image {
    let db = open(disk, OLD).expect("a disk that is well");
    db.write_blocking(|conn| {
        for id in 0..SALES {
            let row = (id, format!("20000189{:05}", id % 7), id % 5);
            conn.execute("INSERT INTO sale VALUES (?1, ?2, ?3)", row)?;
        }
        Ok::<_, DbError>(())
    })
    .expect("written");
    db.close_blocking();
    disk.image()
}

/// Opens what is left as the new program does; the books are whole, whatever step they were in.
fn goes_on(disk: &Disk) -> Result<(), String> {
    // What is there before anything is done to it.
    let path = disk.folder().join("books");
    let conn = dump::open(&path).map_err(|error| error.to_string())?;
    let version: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| error.to_string())?;
    let has = |sql: &str| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap_or(-1)
    };
    let has_price = has("SELECT count(*) FROM pragma_table_info('sale') WHERE name = 'price'") == 1;
    let has_shift =
        has("SELECT count(*) FROM sqlite_schema WHERE name IN ('shift', 'sale_barcode')") == 2;
    if (has_price, has_shift) != (version > 1_000, version > 1_001) {
        return Err(format!(
            "half of a step: {version}, {has_price}, {has_shift}"
        ));
    }
    let priced = has("SELECT count(*) FROM sale WHERE price = qty * 100");
    if has_price && priced != SALES {
        return Err(format!("{priced} rows of {SALES} have a price"));
    }
    drop(conn);
    let db = open(disk, NEW)?;
    let damage = db
        .check_blocking(Check::Full)
        .map_err(|error| error.to_string())?;
    let count = db.read_blocking(|conn| {
        let count = conn.query_row(
            "SELECT count(*) FROM sale WHERE price = qty * 100",
            [],
            |row| row.get::<_, i64>(0),
        );
        Ok::<_, DbError>(count?)
    });
    db.close_blocking();
    match (damage.as_slice(), count) {
        ([], Ok(SALES)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_cut_in_the_middle_of_a_migration_leaves_the_old_schema_or_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::mount(folder.path());
    let books = old_books(&disk);
    disk.record();
    open(&disk, NEW)
        .expect("a disk that is well")
        .close_blocking();
    let ops = disk.take_record();

    let mut replay = Replay::of(&books);
    let mut random = Random::new(6);
    let mut points = 0;
    for (number, op) in ops.iter().enumerate() {
        for cut in Cut::POWER.into_iter().chain([Cut::Killed]) {
            let mut during = replay.clone();
            during.step(op);
            let cut_in = if cut == Cut::Killed { &during } else { &replay };
            for of in [cut_in, &during] {
                disk.load(&of.cut(cut, &mut random));
                points += 1;
                if let Err(broken) = goes_on(&disk) {
                    panic!("{cut:?} in operation {number} ({op}): {broken}");
                }
            }
        }
        replay.step(op);
    }
    println!("{points} points");
    assert!(points > 400);
}

#[test]
fn a_migration_that_fails_at_any_call_leaves_a_whole_schema_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::mount(folder.path());
    let books = old_books(&disk);
    let mut refused = 0;
    for fault in [Fault::Error, Fault::Half, Fault::Full] {
        for at in 1.. {
            disk.load(&books);
            disk.plan(Plan {
                call: None,
                at,
                fault,
            });
            let opened = open(&disk, NEW);
            refused += u64::from(opened.is_err());
            if let Ok(db) = opened {
                db.close_blocking();
            }
            let Some(met) = disk.heal() else {
                break;
            };
            if let Err(broken) = goes_on(&disk) {
                panic!("{fault:?} of {met:?} {at}: {broken}");
            }
        }
    }
    println!("{refused} refused");
    assert!(refused > 100);
}
