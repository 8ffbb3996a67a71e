//! The ledger against its rules, by name, and against the model.

mod balances;
mod booking;
mod converge;
mod exchange;
mod holds;
mod hub;
mod lives;
mod quarantine;

use rusqlite::Connection;
use vitrina_host::migrate::migrate;
use vitrina_shared::hold::Way;
use vitrina_shared::time::Day;
use vitrina_shared::{Barcode, Condition, Details, HubLife, Key, Kind, ShopId, TimeMs};

use super::booking::{At, Booked, Booking, Force, Outcome, Refusal};
use super::cancel::Cancel;
use super::state::Enrolled;
use super::{Desk, replica, schema, state};

/// 2026-11-22 09:00 UTC.
const NOW: TimeMs = TimeMs(1_795_338_000_000);
const DAY: Day = Day(20_261_122);
const LIFE: HubLife = HubLife {
    ordinal: 1,
    random: [7; 16],
};

fn shop() -> ShopId {
    "S017".parse().unwrap()
}

fn code(text: &str) -> Barcode {
    text.parse().unwrap()
}

/// An enrolled ledger in memory.
fn ledger() -> Connection {
    ledger_with("{}")
}

fn ledger_with(settings: &str) -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn, schema::STEPS).unwrap();
    replica::mint(&conn, NOW).unwrap();
    let enrolled = state::enrol(&conn, &shop(), settings.as_bytes(), LIFE, NOW).unwrap();
    assert_eq!(enrolled, Enrolled::Done);
    conn
}

fn desk(conn: &Connection) -> Desk<'_> {
    Desk::open(conn, NOW).unwrap()
}

/// A line of receipt `receipt` at `at`.
fn line(kind: Kind, barcode: &str, qty: i64, (receipt, at): (&str, TimeMs)) -> Booking {
    Booking {
        kind,
        condition: Condition::Sellable,
        key: Key::Receipt {
            till: "1".into(),
            receipt: receipt.into(),
            line: 1,
            day: DAY,
        },
        code: code(barcode),
        qty,
        at: At::Said(at),
        details: Details::default(),
        force: Force::Rules,
        way: Way::File,
    }
}

fn sale(barcode: &str, qty: i64, receipt: &str) -> Booking {
    line(Kind::Sale, barcode, qty, (receipt, NOW))
}

fn cancel(receipt: &str) -> Cancel {
    Cancel {
        till: "1".into(),
        receipt: receipt.into(),
        line: 1,
        day: DAY,
        code: None,
        at: NOW,
        details: Details::default(),
    }
}

fn booked(outcome: Outcome) -> Booked {
    match outcome {
        Outcome::Booked(booked) => booked,
        other => panic!("not booked: {other:?}"),
    }
}

fn book(conn: &Connection, booking: &Booking) -> Booked {
    booked(desk(conn).book(booking).unwrap())
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn on_hand(conn: &Connection, barcode: &str) -> i64 {
    super::log::level(conn, &code(barcode)).unwrap().on_hand
}

fn is_sound(conn: &Connection) {
    let verified = super::verify::verify(conn).unwrap();
    assert!(verified.ok, "{:?}", verified.problems);
}
