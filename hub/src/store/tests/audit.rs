//! What the audit list promises: it is appended to, and what was taken out of it or changed in it is found.

use rusqlite::Connection;

use super::*;

/// What `audit verify` finds, as codes.
fn found(hub: &Hub, now: TimeMs) -> Vec<&'static str> {
    let checked = wait(hub.store.verify_audit(now)).unwrap();
    checked.problems.iter().map(|(code, _)| *code).collect()
}

fn file(hub: &Hub) -> Connection {
    Connection::open(hub.folder.path().join("hub.sqlite3")).unwrap()
}

/// The file, with nothing that keeps the list from being edited.
fn unguarded(hub: &Hub) -> Connection {
    let file = file(hub);
    file.execute_batch(
        "DROP TRIGGER audit_is_appended; DROP TRIGGER audit_stays; DROP TRIGGER audit_is_kept;",
    )
    .unwrap();
    file
}

fn now() -> TimeMs {
    TimeMs(vitrina_host::clock::now_ms())
}

#[test]
fn a_record_can_be_neither_changed_nor_taken_out_nor_put_in_between() {
    let hub = Hub::new();
    let file = file(&hub);

    for edit in [
        "UPDATE audit SET by = 'nobody' WHERE n = 1",
        "DELETE FROM audit WHERE n = (SELECT max(n) FROM audit)",
        "INSERT INTO audit (n, at, life, by, what, detail) VALUES (9, 0, 1, 'x', 'x', '{}')",
        "INSERT OR REPLACE INTO audit (n, at, life, by, what, detail) VALUES (1, 0, 1, 'x', 'x', '{}')",
    ] {
        let refused = file.execute(edit, []).unwrap_err().to_string();
        assert!(refused.contains("only appended to"), "{edit}: {refused}");
    }
    assert_eq!(found(&hub, now()), [""; 0]);
}

#[test]
fn what_was_taken_out_is_missed_even_at_the_end() {
    let hub = Hub::new();
    let unguarded = unguarded(&hub);
    assert_eq!(found(&hub, now()), ["guard"]);

    unguarded
        .execute("DELETE FROM audit WHERE n = 2", [])
        .unwrap();
    assert_eq!(found(&hub, now()), ["hole", "untold", "guard"]);

    unguarded
        .execute("DELETE FROM audit WHERE n > 1", [])
        .unwrap();
    assert_eq!(found(&hub, now()), ["untold", "untold", "guard"]);
}

#[test]
fn what_came_in_the_same_millisecond_as_the_first_record_is_missed_too() {
    let hub = Hub::new();
    let unguarded = unguarded(&hub);
    unguarded
        .execute_batch(
            "UPDATE shop SET added_at = (SELECT at FROM audit WHERE n = 1); DELETE FROM audit WHERE n = 2;",
        )
        .unwrap();
    assert_eq!(found(&hub, now()), ["hole", "untold", "guard"]);
}

#[test]
fn what_was_changed_is_found_where_it_contradicts_something() {
    for (edit, code) in [
        ("UPDATE audit SET at = 0 WHERE n = 3", "time"),
        ("UPDATE audit SET at = 1e15 WHERE n = 3", "time"),
        ("UPDATE audit SET detail = '{' WHERE n = 3", "detail"),
        ("UPDATE audit SET life = 7 WHERE n = 3", "reference"),
    ] {
        let hub = Hub::new();
        unguarded(&hub).execute(edit, []).unwrap();
        assert_eq!(found(&hub, now()), [code, "guard"], "{edit}");
    }
}

#[test]
fn a_write_that_fails_leaves_no_record() {
    let hub = Hub::new();
    let before = wait(hub.store.audit(all())).unwrap();

    let again = vec![(row("S3"), [3; 32]), (row("S1"), [4; 32])];
    let refused = wait(hub.store.add_shops(By::CommandLine, again, TimeMs(0))).unwrap();

    assert_eq!(refused, Err(shop("S1")));
    assert_eq!(wait(hub.store.audit(all())).unwrap(), before);
}

fn all() -> AuditFilter {
    AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    }
}
