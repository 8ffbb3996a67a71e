use vitrina_shared::wire::Answer;
use vitrina_shared::wire::v1::{RegisterV1, RegistersV1, WelcomeV1};

use super::hub::Hub;
use super::*;
use crate::ledger::answer::{self, Heard, Via};
use crate::ledger::ask::{self, Ask, Show};
use crate::ledger::{numbers, register};

pub(super) const ALL: Ask = Ask {
    show: Show::All,
    movements: 5_000,
    bytes: 600_000,
    now: NOW,
};

/// A copy of a ledger as a backup or a copied disk has it.
pub(super) fn copy(conn: &Connection) -> Connection {
    let mut copy = Connection::open_in_memory().unwrap();
    let backup = rusqlite::backup::Backup::new(conn, &mut copy).unwrap();
    backup
        .run_to_completion(1_000, std::time::Duration::ZERO, None)
        .unwrap();
    drop(backup);
    copy
}

#[test]
fn what_is_acknowledged_is_not_sent_again() {
    let (conn, mut hub) = (ledger(), Hub::new());
    for receipt in 0..10 {
        book(&conn, &sale("A", 1, &receipt.to_string()));
    }
    let asked = ask::ask(&conn, &ALL).unwrap();
    assert_eq!(
        (asked.pending, asked.more, asked.deltas[0].totals[0].total.n),
        (10, false, 10)
    );
    let asked = ask::ask(
        &conn,
        &Ask {
            movements: 4,
            ..ALL
        },
    )
    .unwrap();
    assert_eq!(
        (asked.more, asked.deltas[0].totals[0].total.n),
        (true, 4),
        "totals after the frame's last movement"
    );

    hub.settle(&conn);

    let asked = ask::ask(&conn, &ALL).unwrap();
    assert_eq!((asked.pending, asked.deltas.len()), (0, 0));
    assert_eq!(numbers::numbers(&conn).unwrap().acked_seq.0, 10);
}

#[test]
fn a_lost_answer_costs_nothing() {
    let (conn, mut hub) = (ledger(), Hub::new());
    book(&conn, &sale("A", 1, "1"));

    hub.exchange(&conn, false);
    book(&conn, &sale("A", 1, "2"));
    hub.settle(&conn);

    assert_eq!(hub.count(), 2);
}

#[test]
fn a_restored_ledger_gets_back_what_it_forgot_and_writes_under_a_new_name() {
    let (conn, mut hub) = (ledger(), Hub::new());
    book(&conn, &sale("A", 1, "1"));
    let restored = copy(&conn);
    book(&conn, &sale("A", 1, "2"));
    hub.settle(&conn);

    hub.settle(&restored);

    assert_eq!(on_hand(&restored, "A"), -2);
    let old = numbers::numbers(&conn).unwrap().replica;
    assert_ne!(numbers::numbers(&restored).unwrap().replica, old);
    is_sound(&restored);
}

#[test]
fn a_restored_ledger_that_sold_before_it_asked_branches_and_counts_once() {
    let (conn, mut hub) = (ledger(), Hub::new());
    book(&conn, &sale("A", 1, "1"));
    let restored = copy(&conn);
    book(&conn, &sale("A", 1, "2"));
    book(&conn, &sale("A", 1, "3"));
    hub.settle(&conn);
    book(&restored, &sale("B", 1, "4"));
    book(&restored, &sale("A", 1, "3"));

    hub.settle(&restored);
    hub.settle(&conn);
    hub.settle(&restored);

    for side in [&conn, &restored] {
        assert_eq!((on_hand(side, "A"), on_hand(side, "B")), (-3, -1));
        is_sound(side);
    }
}

/// As a ledger that lies elsewhere than last time.
fn doubted(conn: &Connection) {
    conn.execute("UPDATE state SET doubt = 'path'", []).unwrap();
}

#[test]
fn a_copied_disk_with_a_doubt_mints_at_its_first_movement() {
    let conn = ledger();
    book(&conn, &sale("A", 1, "1"));
    let old = numbers::numbers(&conn).unwrap().replica.unwrap();
    doubted(&conn);
    assert_eq!(
        numbers::numbers(&conn).unwrap().replica,
        Some(old),
        "not before"
    );

    let sold = book(&conn, &sale("A", 1, "2"));

    assert_ne!(sold.replica, old);
    assert_eq!(
        (sold.seq.0, numbers::numbers(&conn).unwrap().pending),
        (1, 2)
    );
}

#[test]
fn a_doubt_ends_with_the_hubs_answer() {
    let (conn, mut hub) = (ledger(), Hub::new());
    doubted(&conn);

    let taken = hub.exchange(&conn, true);
    assert!(
        taken.minted.is_some() && !taken.ready_to_open,
        "it was another replica that was shown everything"
    );

    assert!(hub.exchange(&conn, true).ready_to_open);
}

#[test]
fn a_new_life_of_the_hub_is_filled_again_with_everything() {
    let (conn, mut hub) = (ledger(), Hub::new());
    for receipt in 0..6 {
        book(&conn, &sale("A", 1, &receipt.to_string()));
    }
    hub.settle(&conn);
    let full = hub.hash();

    hub.begin_empty(HubLife {
        ordinal: 2,
        random: [8; 16],
    });
    let taken = hub.exchange(&conn, true);
    assert!(taken.life_changed && taken.show_all);
    hub.settle(&conn);

    assert_eq!(hub.hash(), full);
}

fn empty_answer(life: HubLife) -> Answer {
    Answer {
        welcome: WelcomeV1 {
            life: (life.ordinal, life.random),
            ..WelcomeV1::default()
        },
        hash: [0; 32],
        positions: Vec::new(),
        replies: Vec::new(),
        deltas: Vec::new(),
        token: None,
        registers: None,
        others: None,
        decisions: Vec::new(),
        digest: None,
        legs: None,
        transfers: None,
    }
}

fn item(key: &str, seq: u64) -> RegisterV1 {
    RegisterV1 {
        kind: 1,
        key: key.into(),
        value: br#"{"name":"x","external_id":"e"}"#.into(),
        seq,
    }
}

#[test]
fn a_new_life_replaces_all_registers() {
    let conn = ledger();
    let apply = |life, list: Vec<RegisterV1>, via| {
        let sent = ask::ask(&conn, &ALL).unwrap().sent;
        let registers = Some(RegistersV1 {
            upto: list.len() as u64,
            list,
        });
        let answer = Answer {
            registers,
            ..empty_answer(life)
        };
        answer::apply(
            &conn,
            &answer,
            &sent,
            via,
            Heard {
                now: NOW,
                skew_ms: None,
            },
        )
        .unwrap()
    };
    apply(LIFE, vec![item("A", 1), item("B", 2)], Via::Line);
    assert_eq!(register::by_external_id(&conn, "e").unwrap().len(), 2);
    let next = HubLife {
        ordinal: 2,
        random: [9; 16],
    };

    apply(next, vec![], Via::Line);
    assert!(
        register::tidy(&conn).unwrap(),
        "nothing is taken away before all has come"
    );
    assert_eq!(register::by_external_id(&conn, "e").unwrap().len(), 2);
    apply(next, vec![item("B", 1)], Via::Line);
    while !register::tidy(&conn).unwrap() {}

    assert_eq!(register::by_external_id(&conn, "e").unwrap(), [code("B")]);
    assert!(apply(LIFE, vec![item("C", 9)], Via::Stick(99)).older);
    assert!(register::item(&conn, &code("C")).unwrap().is_none());
}

#[test]
fn settings_change_the_source_only_while_nothing_is_booked() {
    let conn = ledger();
    let apply = |json: &str, seq| {
        let sent = ask::ask(&conn, &ALL).unwrap().sent;
        let settings = RegisterV1 {
            kind: 3,
            key: "S017".into(),
            value: json.into(),
            seq,
        };
        let registers = Some(RegistersV1 {
            upto: seq,
            list: vec![settings],
        });
        let answer = Answer {
            registers,
            ..empty_answer(LIFE)
        };
        answer::apply(
            &conn,
            &answer,
            &sent,
            Via::Line,
            Heard {
                now: NOW,
                skew_ms: None,
            },
        )
        .unwrap();
        state::source(&conn).unwrap()
    };
    let source = apply(r#"{"source":"balances"}"#, 1);
    assert_eq!(source.effective, source.wanted);
    apply(r#"{"source":"movements"}"#, 2);
    book(&conn, &sale("A", 1, "1"));

    let source = apply(r#"{"source":"balances"}"#, 3);

    assert_ne!(source.effective, source.wanted);
}
