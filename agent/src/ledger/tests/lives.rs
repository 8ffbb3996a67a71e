use tempfile::TempDir;
use vitrina_host::db::Settings;

use super::*;
use crate::ledger::replica::Doubt;
use crate::ledger::{Greeting, HighWater, Home, Ledger, LedgerError, numbers};
use vitrina_shared::Seq;

fn home(path: &str) -> Home {
    Home {
        file: None,
        path: path.into(),
        machine: Some("m".into()),
        high_water: None,
    }
}

fn open(folder: &TempDir, name: &str, home: &Home) -> (Ledger, Greeting) {
    let settings = Settings::new(folder.path().join(name));
    Ledger::open(settings, home, NOW).unwrap()
}

fn sell(ledger: &Ledger, receipt: &'static str) -> Booked {
    let work = move |conn: &Connection| -> Result<Booked, LedgerError> {
        Ok(book(conn, &sale("A", 1, receipt)))
    };
    ledger.db().write_blocking(work).unwrap()
}

fn first_life(folder: &TempDir) -> Ledger {
    let (ledger, greeting) = open(folder, "ledger", &home("/a"));
    assert_eq!(greeting, Greeting::New);
    ledger
        .db()
        .write_blocking(|conn| state::enrol(conn, &shop(), b"{}", LIFE, NOW))
        .unwrap();
    ledger
}

#[test]
fn what_was_booked_is_there_after_a_restart_and_nothing_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = first_life(&folder);
    let sold = sell(&ledger, "1");
    ledger.close_blocking();

    let (ledger, greeting) = open(&folder, "ledger", &home("/a"));

    assert_eq!(greeting, Greeting::Same);
    assert_eq!(sell(&ledger, "2").replica, sold.replica);
    assert!(ledger.verify_blocking().unwrap().ok);
}

#[test]
fn another_place_machine_file_or_mark_is_a_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = first_life(&folder);
    let sold = sell(&ledger, "1");
    ledger.close_blocking();
    std::fs::copy(folder.path().join("ledger"), folder.path().join("copy")).unwrap();
    let mark = HighWater {
        replica: sold.replica,
        seq: Seq(2),
    };
    assert_eq!(HighWater::parse(&mark.to_string()), Some(mark));

    let doubt = |name: &str, home: &Home| {
        let (ledger, greeting) = open(&folder, name, home);
        ledger.close_blocking();
        greeting
    };

    assert_eq!(doubt("copy", &home("/a")), Greeting::Doubt(Doubt::File));
    let marked = Home {
        high_water: Some(HighWater {
            seq: Seq(1),
            ..mark
        }),
        ..home("/a")
    };
    assert_eq!(doubt("ledger", &marked), Greeting::Same);
    let elsewhere = Home {
        machine: Some("n".into()),
        ..home("/a")
    };
    assert_eq!(doubt("ledger", &elsewhere), Greeting::Doubt(Doubt::Machine));
    let (ledger, greeting) = open(&folder, "ledger", &elsewhere);
    assert_eq!(
        greeting,
        Greeting::Doubt(Doubt::Machine),
        "a doubt stays until it is answered"
    );
    assert_ne!(sell(&ledger, "2").replica, sold.replica);
    ledger.close_blocking();
    assert_eq!(
        doubt(
            "ledger",
            &Home {
                path: "/b".into(),
                ..elsewhere.clone()
            }
        ),
        Greeting::Doubt(Doubt::Path)
    );
    let above = Home {
        high_water: Some(mark),
        ..elsewhere
    };
    assert_eq!(doubt("copy", &above), Greeting::Doubt(Doubt::HighWater));
}

#[test]
fn a_mark_of_a_replica_that_the_ledger_never_had_is_a_doubt_also_before_its_first_movement() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = first_life(&folder);
    let sold = sell(&ledger, "1");
    ledger.close_blocking();
    // The ledger minted after this copy of it was made, and sold nothing since.
    let minted = HighWater {
        replica: vitrina_shared::ReplicaId([9; 16]),
        seq: Seq(0),
    };
    let marked = Home {
        high_water: Some(minted),
        ..home("/a")
    };

    let (ledger, greeting) = open(&folder, "ledger", &marked);

    assert_eq!(greeting, Greeting::Doubt(Doubt::HighWater));
    assert_ne!(sell(&ledger, "2").replica, sold.replica);
}

#[test]
fn a_backup_carries_the_movements_and_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = first_life(&folder);
    let sold = sell(&ledger, "1");

    ledger
        .backup_blocking(&folder.path().join("backup"))
        .unwrap();
    let (restored, greeting) = open(&folder, "backup", &home("/a"));

    assert_eq!(greeting, Greeting::New);
    let numbers = restored.db().read_blocking(numbers::numbers).unwrap();
    assert_eq!((numbers.movements, numbers.pending), (1, 1));
    assert_ne!(numbers.replica, Some(sold.replica));
    assert!(restored.verify_blocking().unwrap().ok);
}

#[test]
fn a_ledger_of_one_shop_is_not_given_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = first_life(&folder);

    let other = "S018".parse().unwrap();
    let enrolled = ledger
        .db()
        .write_blocking(move |conn| state::enrol(conn, &other, b"{}", LIFE, NOW))
        .unwrap();

    assert_eq!(enrolled, Enrolled::OtherShop(shop()));
}

#[test]
fn verify_finds_a_changed_byte_and_a_changed_number() {
    let tampers = [
        "UPDATE movement SET qty = -2 WHERE seq = 1",
        "UPDATE movement SET body = zeroblob(20) WHERE seq = 1",
        "UPDATE total SET n = 7 WHERE barcode = 'B'",
        "UPDATE movement SET counts = 0 WHERE seq = 2",
        "DELETE FROM movement WHERE seq = 1",
        "INSERT INTO total (barcode, condition, replica, p, n) VALUES ('C', 0, 1, 1, 0)",
        "INSERT INTO voided (barcode, condition, units) VALUES ('A', 0, 1)",
    ];
    for tamper in tampers {
        let conn = ledger();
        book(&conn, &sale("A", 1, "1"));
        book(&conn, &sale("B", 1, "2"));
        is_sound(&conn);

        conn.execute(tamper, []).unwrap();

        assert!(
            !crate::ledger::verify::verify(&conn).unwrap().ok,
            "{tamper}"
        );
    }
}
