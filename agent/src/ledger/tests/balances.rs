use vitrina_shared::registers::Source;

use super::*;
use crate::ledger::disagreement::{self, Adopted};
use crate::ledger::guard::{self, Verdict, Wish};
use crate::ledger::source_change::{self, Changed};
use crate::ledger::stage::{self, BalancesFile, Begun, Doing, Scope, StageNo, Stated};
use crate::ledger::{balances, query};
use crate::source::Hold;

const WISH: Wish = Wish {
    opening: false,
    force: false,
    now: NOW,
};

fn staged(conn: &Connection, at: TimeMs, rows: &[(&str, i64)]) -> StageNo {
    staged_as(conn, at, rows, &Scope::Whole(vec![Condition::Sellable]))
}

fn staged_as(conn: &Connection, at: TimeMs, rows: &[(&str, i64)], scope: &Scope) -> StageNo {
    let key = vitrina_host::sign::sha256(format!("{at:?}{rows:?}{scope:?}").as_bytes());
    let file = BalancesFile {
        key,
        name: "rests.csv".into(),
        at,
        scope: scope.clone(),
    };
    let Begun::Fresh(no) = stage::begin(conn, &file).unwrap() else {
        panic!("staged before")
    };
    let lines: Vec<Stated> = rows
        .iter()
        .map(|(text, qty)| Stated {
            code: code(text),
            condition: Condition::Sellable,
            qty: Some(*qty).filter(|qty| *qty >= 0),
            price: None,
            words: vitrina_shared::movement::Words::default(),
        })
        .collect();
    stage::add(conn, no, &lines, NOW).unwrap();
    stage::finish(conn, no, scope, None).unwrap();
    no
}

fn judge(conn: &Connection, no: StageNo, wish: Wish) -> Verdict {
    let verdict = guard::judge(conn, no, wish).unwrap();
    let doing = match verdict {
        Verdict::Open => Doing::Open,
        Verdict::Verify => Doing::Verify,
        Verdict::State => Doing::State,
        _ => return verdict,
    };
    guard::begin(conn, no, doing).unwrap();
    verdict
}

/// Applies in jobs of two rows; what was written, agreed, disagrees.
fn apply(conn: &Connection, no: StageNo) -> (u64, u64, u64) {
    loop {
        let progress = balances::apply(conn, no, 2, NOW).unwrap();
        if progress.done {
            while !stage::forget(conn, no).unwrap() {}
            return (progress.written, progress.agreed, progress.disagreements);
        }
    }
}

fn say(conn: &Connection, at: TimeMs, rows: &[(&str, i64)]) -> (u64, u64, u64) {
    let no = staged(conn, at, rows);
    let verdict = judge(conn, no, Wish { now: at, ..WISH });
    assert!(
        matches!(verdict, Verdict::Open | Verdict::Verify | Verdict::State),
        "{verdict:?}"
    );
    apply(conn, no)
}

/// The hub has shown the current replica all it holds.
fn shown(conn: &Connection) {
    conn.execute("UPDATE state SET all_for = current", [])
        .unwrap();
}

fn opened(rows: &[(&str, i64)]) -> Connection {
    let conn = ledger();
    shown(&conn);
    say(&conn, NOW, rows);
    conn
}

#[test]
fn the_opening_waits_for_the_hub() {
    let conn = ledger();
    let no = staged(&conn, NOW, &[("A", 1)]);

    assert_eq!(judge(&conn, no, WISH), Verdict::WaitForHub);
    shown(&conn);
    assert_eq!(judge(&conn, no, WISH), Verdict::Open);
}

#[test]
fn an_opening_is_stated_less_what_is_there_and_what_it_does_not_list_is_nothing() {
    let conn = ledger();
    shown(&conn);
    book(&conn, &line(Kind::Receipt, "B", 2, ("1", NOW.plus(-1))));
    book(&conn, &line(Kind::Receipt, "C", 4, ("2", NOW.plus(-1))));
    book(&conn, &line(Kind::Sale, "A", 1, ("3", NOW.plus(1))));

    let done = say(&conn, NOW, &[("A", 5), ("B", 2), ("D", 3)]);

    assert_eq!(done, (3, 1, 0));
    let stock: Vec<i64> = ["A", "B", "C", "D"]
        .iter()
        .map(|barcode| on_hand(&conn, barcode))
        .collect();
    assert_eq!(stock, [4, 2, 0, 3]);
    is_sound(&conn);
}

#[test]
fn a_line_inside_the_opening_is_booked_by_force_only() {
    let conn = opened(&[("A", 5)]);
    let late = line(Kind::Sale, "A", 1, ("7", NOW));

    let refusal = refused(desk(&conn).book(&late).unwrap());
    assert_eq!(refusal, Refusal::BeforeOpening { opened: NOW });
    let forced = desk(&conn)
        .book(&Booking {
            force: Force::Anyway,
            ..late
        })
        .unwrap();
    assert_eq!(booked(forced).level.on_hand, 4);
    let now = Booking {
        at: At::Now(NOW),
        ..sale("A", 1, "8")
    };
    assert_eq!(
        book(&conn, &now).level.on_hand,
        3,
        "what happens now is in no file"
    );
}

#[test]
fn a_later_file_verifies_and_movements_settle_the_list() {
    let conn = opened(&[("A", 5), ("B", 1)]);
    let later = NOW.plus(3_600_000);

    assert_eq!(say(&conn, later, &[("A", 4), ("B", 1)]), (0, 1, 1));
    let list = disagreement::list(&conn, None, 10).unwrap();
    assert_eq!(
        (list[0].stated, list[0].on_hand, list[0].uncertain),
        (4, 5, false)
    );
    assert_eq!(on_hand(&conn, "A"), 5, "nothing was written");

    book(&conn, &line(Kind::Sale, "A", 1, ("9", later.plus(-1_000))));
    assert_eq!(
        disagreement::count(&conn).unwrap(),
        0,
        "the till's line came late"
    );
    book(&conn, &line(Kind::Sale, "B", 1, ("10", later.plus(-1_000))));
    assert!(disagreement::list(&conn, None, 10).unwrap()[0].uncertain);
}

#[test]
fn an_adopted_disagreement_is_an_adjustment_of_its_time() {
    let conn = opened(&[("A", 5)]);
    let later = NOW.plus(3_600_000);
    say(&conn, later, &[("A", 3)]);
    book(&conn, &line(Kind::Sale, "A", 1, ("9", later.plus(300_000))));

    assert_eq!(
        disagreement::adopt(&mut desk(&conn), &code("A"), Some(NOW)).unwrap(),
        Adopted::Older
    );
    let adopted = disagreement::adopt(&mut desk(&conn), &code("A"), Some(later)).unwrap();

    let Adopted::Booked(booked) = adopted else {
        panic!("{adopted:?}")
    };
    assert_eq!(
        (booked[0].kind, booked[0].qty, booked[0].at),
        (Kind::Adjustment, -2, later)
    );
    assert_eq!(
        (on_hand(&conn, "A"), disagreement::count(&conn).unwrap()),
        (2, 0)
    );
    assert_eq!(
        disagreement::adopt(&mut desk(&conn), &code("A"), None).unwrap(),
        Adopted::Nothing
    );
}

#[test]
fn a_dismissed_disagreement_stays_away_until_a_file_states_it_anew() {
    let conn = opened(&[("A", 5), ("B", 1)]);
    say(&conn, NOW.plus(3_600_000), &[("A", 4)]);
    assert_eq!(disagreement::count(&conn).unwrap(), 2, "B is not listed: 0");

    assert!(disagreement::dismiss(&conn, &code("A"), None).unwrap());
    assert!(disagreement::dismiss(&conn, &code("B"), None).unwrap());
    assert_eq!(disagreement::count(&conn).unwrap(), 0);
    say(&conn, NOW.plus(7_200_000), &[("A", 4), ("B", 1)]);
    assert_eq!(disagreement::count(&conn).unwrap(), 1);
}

#[test]
fn a_file_of_changes_speaks_only_of_what_it_lists() {
    let conn = opened(&[("A", 5), ("B", 1)]);

    let no = staged_as(&conn, NOW.plus(3_600_000), &[("A", 4)], &Scope::Listed);
    let later = Wish {
        now: NOW.plus(3_600_000),
        ..WISH
    };
    assert_eq!(judge(&conn, no, later), Verdict::Verify);

    assert_eq!(apply(&conn, no), (0, 0, 1));
}

fn stating() -> Connection {
    let conn = ledger_with(r#"{"source":"balances"}"#);
    say(&conn, NOW, &[("A", 60), ("B", 1)]);
    conn
}

#[test]
fn where_the_1c_keeps_the_books_the_latest_statement_counts_alone() {
    let conn = stating();
    assert_eq!(
        say(&conn, NOW.plus(60_000), &[("A", 59), ("B", 1)]),
        (1, 1, 0)
    );
    assert_eq!(
        say(&conn, NOW.plus(30_000), &[("A", 7), ("B", 1)]).0,
        0,
        "an older time changes nothing"
    );
    assert_eq!(
        say(&conn, NOW.plus(120_000), &[("A", 59)]).0,
        1,
        "what is not listed is 0"
    );

    assert_eq!((on_hand(&conn, "A"), on_hand(&conn, "B")), (59, 0));
    assert_eq!(
        refused(desk(&conn).book(&sale("A", 1, "7")).unwrap()),
        Refusal::SourceIsBalances
    );
    is_sound(&conn);
}

#[test]
fn a_second_part_of_one_time_adds_what_the_first_did_not_list() {
    let conn = stating();
    say(&conn, NOW.plus(60_000), &[("A", 60)]);
    assert_eq!(on_hand(&conn, "B"), 0, "one of 61 is few");

    say(&conn, NOW.plus(60_000), &[("B", 1), ("C", 2)]);

    let stock: Vec<i64> = ["A", "B", "C"]
        .iter()
        .map(|barcode| on_hand(&conn, barcode))
        .collect();
    assert_eq!(stock, [60, 1, 2]);
    is_sound(&conn);
}

#[test]
fn a_file_that_takes_too_much_away_is_held_until_a_person_insists() {
    let conn = stating();
    let no = staged(&conn, NOW.plus(60_000), &[("A", 40), ("B", 1)]);

    assert_eq!(
        judge(&conn, no, WISH),
        Verdict::Hold(Hold::TakesAway { units: 20, of: 61 })
    );
    assert_eq!(
        judge(
            &conn,
            no,
            Wish {
                force: true,
                ..WISH
            }
        ),
        Verdict::State
    );
    apply(&conn, no);
    assert_eq!(on_hand(&conn, "A"), 40);

    let no = staged(&conn, NOW.plus(120_000), &[("A", 40), ("B", 1), ("C", 42)]);
    assert_eq!(
        judge(&conn, no, WISH),
        Verdict::Hold(Hold::Doubles { units: 42, of: 41 })
    );
    let no = staged(&conn, NOW.plus(660_000), &[("A", 40)]);
    assert_eq!(
        judge(&conn, no, WISH),
        Verdict::Hold(Hold::Ahead { ms: 660_000 })
    );
}

#[test]
fn a_listed_line_that_cannot_be_used_says_nothing_not_even_nought() {
    let conn = stating();

    say(&conn, NOW.plus(60_000), &[("A", -1), ("B", 2)]);

    assert_eq!((on_hand(&conn, "A"), on_hand(&conn, "B")), (60, 2));
}

#[test]
fn a_crash_in_the_middle_of_a_file_goes_on_where_it_was() {
    let conn = ledger();
    shown(&conn);
    let no = staged(&conn, NOW, &[("A", 1), ("B", 2), ("C", 3), ("D", 4)]);
    judge(&conn, no, WISH);

    assert!(!balances::apply(&conn, no, 3, NOW).unwrap().done);
    let done = apply(&conn, no);

    assert_eq!(done, (4, 0, 0));
    let rows = query::stock(&conn, "", 10).unwrap();
    assert_eq!(rows.iter().map(|row| row.level.on_hand).sum::<i64>(), 10);
}

#[test]
fn changing_the_source_keeps_what_is_on_hand() {
    let conn = opened(&[("A", 5), ("B", 0)]);
    book(&conn, &line(Kind::Sale, "A", 1, ("9", NOW.plus(1))));

    let pending = source_change::change(&mut desk(&conn), Source::Balances).unwrap();
    assert_eq!(pending, Changed::NotLevel { pending: 2 });
    conn.execute("UPDATE replica SET acked = 2", []).unwrap();
    let done = source_change::change(&mut desk(&conn), Source::Balances).unwrap();

    assert_eq!(done, Changed::Done { booked: 1 });
    assert_eq!(on_hand(&conn, "A"), 4);
    say(&conn, NOW.plus(60_000), &[("A", 3)]);
    assert_eq!(on_hand(&conn, "A"), 3);
    is_sound(&conn);
}
