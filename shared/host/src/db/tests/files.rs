//! The file: what is refused, made, copied, recovered.

use super::*;
use crate::migrate::MigrateError;

#[test]
fn a_backup_is_a_whole_database_beside_writes() {
    let fixture = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    let target = fixture.dir.path().join("copy.sqlite3");

    db.backup_into_blocking(&target).unwrap();
    db.write_blocking(insert(2)).unwrap();
    db.backup_into_blocking(&target).unwrap();

    let copy = Db::open(Settings::new(&target), STEPS, Hooks::none()).unwrap();
    assert_eq!(count(&copy), 2);
    assert!(copy.check_blocking(Check::Full).unwrap().is_empty());
    assert_eq!(
        fixture
            .names()
            .iter()
            .filter(|name| name.contains("tmp"))
            .count(),
        0
    );
}

#[test]
fn a_deleted_file_is_noticed() {
    let fixture = Fixture::new();
    let db = fixture.open();
    assert!(db.is_in_place());
    std::fs::rename(fixture.path(), fixture.dir.path().join("elsewhere")).unwrap();
    assert!(!db.is_in_place());
}

#[test]
fn the_wal_has_a_size() {
    let fixture = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    assert!(db.wal_bytes() > 0);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    for (bytes, words) in [
        (&b""[..], "is empty"),
        (&b"hello"[..], "is not a database"),
        (&[7; 4096][..], "is not a database"),
    ] {
        std::fs::write(fixture.path(), bytes).unwrap();

        let refused = fixture.refused();

        assert!(refused.to_string().contains(words), "{refused}");
        assert!(refused.to_string().contains("ledger.sqlite3"), "{refused}");
        assert_eq!(std::fs::read(fixture.path()).unwrap(), bytes);
    }
}

#[test]
fn a_truncated_database_is_refused() {
    let fixture = Fixture::new();
    fixture.open().close_blocking();
    let bytes = std::fs::read(fixture.path()).unwrap();
    std::fs::write(fixture.path(), bytes.get(..bytes.len() - 4096).unwrap()).unwrap();
    assert!(matches!(fixture.refused(), OpenError::Truncated { .. }));
}

#[test]
fn a_lost_database_is_not_made_anew_over_its_log() {
    let fixture = Fixture::new();
    std::fs::write(beside_wal(&fixture), b"frames").unwrap();
    assert!(matches!(fixture.refused(), OpenError::Gone { .. }));

    let mut settings = Settings::new(fixture.dir.path().join("other.sqlite3"));
    settings.missing = Missing::Refuse;
    let refused = Db::open(settings, STEPS, Hooks::none());
    assert!(matches!(refused, Err(OpenError::Missing { .. })));
}

fn beside_wal(fixture: &Fixture) -> PathBuf {
    open::beside(&fixture.path(), "-wal")
}

#[test]
fn a_half_made_database_of_an_earlier_crash_is_made_again() {
    let fixture = Fixture::new();
    std::fs::write(open::beside(&fixture.path(), ".new"), b"").unwrap();
    let db = fixture.open();
    assert!(db.opened().created);
    db.close_blocking();
    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
}

#[test]
fn a_newer_major_is_refused_and_the_file_is_as_before() {
    let fixture = Fixture::new();
    let newer = [Step {
        number: 2_000,
        ..STEPS[0]
    }];
    Db::open(Settings::new(fixture.path()), &newer, Hooks::none())
        .unwrap()
        .close_blocking();
    let before = std::fs::read(fixture.path()).unwrap();

    let refused = fixture.refused();

    assert!(matches!(
        refused,
        OpenError::Migrate {
            source: MigrateError::TooNew { found: 2_000, .. },
            ..
        }
    ));
    assert_eq!(std::fs::read(fixture.path()).unwrap(), before);
    assert_eq!(fixture.names(), ["ledger.sqlite3"]);
}

#[test]
fn a_newer_major_that_is_only_in_the_log_is_refused_too() {
    let fixture = Fixture::new();
    fixture.open().close_blocking();
    let conn = Connection::open(fixture.path()).unwrap();
    conn.pragma_update(None, "user_version", 2_000).unwrap();
    let before = std::fs::read(fixture.path()).unwrap();

    let refused = fixture.refused();

    assert!(matches!(refused, OpenError::Migrate { .. }), "{refused:?}");
    assert_eq!(std::fs::read(fixture.path()).unwrap(), before);
    drop(conn);
}

#[test]
fn a_copy_is_kept_before_the_schema_changes() {
    let fixture = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    db.close_blocking();

    let db = Db::open(Settings::new(fixture.path()), MORE_STEPS, Hooks::none()).unwrap();

    let copy = db.opened().kept_copy.clone().unwrap();
    assert_eq!(db.opened().migrated.to, 1_001);
    let copy = Db::open(Settings::new(copy), STEPS, Hooks::none()).unwrap();
    assert_eq!(copy.opened().migrated.from, 1_000);
    assert_eq!(count(&copy), 1);
}

#[test]
fn a_log_that_was_left_is_recovered_and_said() {
    let fixture = Fixture::new();
    let crashed = Fixture::new();
    let db = fixture.open();
    db.write_blocking(insert(1)).unwrap();
    for ending in ["", "-wal"] {
        let from = open::beside(&fixture.path(), ending);
        std::fs::copy(from, open::beside(&crashed.path(), ending)).unwrap();
    }
    let log = beside_wal(&crashed);
    let (bytes, file) = (std::fs::read(&log).unwrap(), FileId::at(&log).unwrap());

    let recovered = crashed.open();

    assert!(recovered.opened().unclean);
    assert_eq!(count(&recovered), 1);
    // A copy that was flushed: of the file itself nobody knows what of it is on the disk.
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
    assert_ne!(FileId::at(&log).unwrap(), file);
}

#[test]
fn every_connection_has_the_settings() {
    let fixture = Fixture::new();
    let db = fixture.open();
    let pragma = |conn: &Connection, name: &str| -> String {
        conn.pragma_query_value(None, name, |row| {
            row.get::<_, rusqlite::types::Value>(0)
                .map(|value| format!("{value:?}"))
        })
        .unwrap()
    };
    let writer = db
        .write_blocking(move |conn| {
            Ok::<_, DbError>(
                [
                    "journal_mode",
                    "synchronous",
                    "foreign_keys",
                    "trusted_schema",
                    "cell_size_check",
                    "cache_size",
                ]
                .map(|name| pragma(conn, name)),
            )
        })
        .unwrap();
    let reader = db
        .read_blocking(|conn| {
            Ok::<_, DbError>(
                ["query_only", "trusted_schema", "temp_store"].map(|name| pragma(conn, name)),
            )
        })
        .unwrap();

    assert_eq!(
        writer,
        [
            "Text(\"wal\")",
            "Integer(2)",
            "Integer(1)",
            "Integer(0)",
            "Integer(1)",
            "Integer(-2000)"
        ]
    );
    assert_eq!(reader, ["Integer(1)", "Integer(0)", "Integer(2)"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_file_is_refused_with_the_account() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fixture.open().close_blocking();
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
    // The administrator may write it all the same.
    if std::fs::OpenOptions::new()
        .write(true)
        .open(fixture.path())
        .is_err()
    {
        let refused = fixture.refused();
        assert!(matches!(refused, OpenError::ReadOnly { .. }));
        assert!(refused.to_string().contains("user "), "{refused}");
    }
}
