use super::*;
use crate::ledger::file::{self, Counts};
use crate::ledger::quarantine::{self, New, Origin, Put, State};
use crate::ledger::reply::{self, ReplyKey, Stored};
use crate::ledger::terminal;

fn bad_line(line: u64) -> New {
    New {
        origin: Origin::Line {
            file: [1; 32],
            line,
        },
        reason: "bad_barcode",
        message: "the barcode is empty".into(),
        file: Some("sales.csv".into()),
        line: Some(line),
        record: "sale;7;1;;1".into(),
        retry: "{}".into(),
    }
}

#[test]
fn the_same_line_set_aside_again_is_the_same_entry() {
    let conn = ledger();

    let Put::New(id) = quarantine::put(&conn, &bad_line(3), NOW).unwrap() else {
        panic!("known")
    };
    quarantine::put(&conn, &bad_line(4), NOW).unwrap();
    assert_eq!(
        quarantine::put(&conn, &bad_line(3), NOW).unwrap(),
        Put::Known(id)
    );

    assert!(quarantine::set_state(&conn, &id, State::Dropped).unwrap());
    assert_eq!(
        quarantine::put(&conn, &bad_line(3), NOW).unwrap(),
        Put::Known(id),
        "dropped stays dropped"
    );
    assert_eq!(quarantine::count_open(&conn).unwrap(), 1);
}

#[test]
fn every_change_of_an_entry_is_sent_until_the_hub_has_it() {
    let conn = ledger();
    let Put::New(id) = quarantine::put(&conn, &bad_line(3), NOW).unwrap() else {
        panic!("known")
    };
    quarantine::put(&conn, &bad_line(4), NOW).unwrap();
    let (entries, upto) = quarantine::unsent(&conn).unwrap();
    assert_eq!((entries.len(), upto), (2, Some(2)));
    conn.execute("UPDATE state SET quarantine_acked = 2", [])
        .unwrap();

    quarantine::set_state(&conn, &id, State::Booked).unwrap();

    let (entries, upto) = quarantine::unsent(&conn).unwrap();
    assert_eq!((entries[0].id, entries[0].state, upto), (id, 1, Some(3)));
}

#[test]
fn a_reply_is_kept_for_ever_and_the_first_one_stays() {
    let conn = ledger();
    let key = ReplyKey::call("k-1");
    let first = Stored {
        request: [1; 32],
        status: 201,
        body: b"{}".into(),
    };
    assert_eq!(reply::find(&conn, &key).unwrap(), None);

    reply::keep(&conn, &key, &first).unwrap();
    reply::keep(
        &conn,
        &key,
        &Stored {
            status: 500,
            ..first.clone()
        },
    )
    .unwrap();

    assert_eq!(reply::find(&conn, &key).unwrap(), Some(first));
    assert_ne!(
        ReplyKey::natural(&["a", "bc"]),
        ReplyKey::natural(&["ab", "c"])
    );
}

#[test]
fn a_file_goes_on_where_it_was_left() {
    let conn = ledger();
    let counts = Counts {
        imported: 2,
        duplicates: 1,
        quarantined: 0,
    };
    file::advance(&conn, &[1; 32], "sales.csv", (3, &counts), NOW).unwrap();
    file::advance(&conn, &[1; 32], "sales.csv", (6, &counts), NOW).unwrap();

    let known = file::known(&conn, &[1; 32]).unwrap().unwrap();
    assert_eq!(
        (known.position, known.counts.imported, known.done),
        (6, 4, false)
    );
    file::finish(&conn, &[1; 32], NOW).unwrap();
    assert!(file::known(&conn, &[1; 32]).unwrap().unwrap().done);
}

#[test]
fn a_pairing_code_is_taken_once_and_in_time() {
    let conn = ledger();
    terminal::add(&conn, "till", &[1; 32], NOW).unwrap();
    terminal::offer_pairing(&conn, "till", &[2; 32], (NOW, NOW.plus(600_000))).unwrap();

    assert_eq!(
        terminal::take_pairing(&conn, &[2; 32], NOW)
            .unwrap()
            .as_deref(),
        Some("till")
    );
    assert_eq!(terminal::take_pairing(&conn, &[2; 32], NOW).unwrap(), None);
    terminal::offer_pairing(&conn, "till", &[2; 32], (NOW, NOW)).unwrap();
    assert_eq!(
        terminal::take_pairing(&conn, &[2; 32], NOW).unwrap(),
        None,
        "too late"
    );

    assert_eq!(
        terminal::find(&conn, &[1; 32]).unwrap().as_deref(),
        Some("till")
    );
    assert!(terminal::revoke(&conn, "till", NOW).unwrap());
    assert_eq!(terminal::find(&conn, &[1; 32]).unwrap(), None);
}
