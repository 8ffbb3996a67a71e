use vitrina_shared::Money;

use super::*;
use crate::ledger::booking::AllOrNone;
use crate::ledger::query;
use crate::ledger::register;
use vitrina_shared::wire::v1::RegisterV1;

#[test]
fn a_sale_takes_one_away_and_the_number_may_turn_negative() {
    let conn = ledger();

    let booked = book(&conn, &sale("2000018987155", 1, "7"));

    assert_eq!((booked.qty, booked.seq.0, booked.counts), (-1, 1, true));
    assert_eq!((booked.level.on_hand, booked.level.available()), (-1, 0));
    is_sound(&conn);
}

#[test]
fn the_same_line_again_is_a_duplicate_and_counts_once() {
    let conn = ledger();
    let first = book(&conn, &sale("A", 1, "7"));

    let again = desk(&conn).book(&sale("A", 1, "7")).unwrap();

    let Outcome::Duplicate(same) = again else {
        panic!("{again:?}")
    };
    assert_eq!((same.id, same.seq), (first.id, first.seq));
    assert_eq!(on_hand(&conn, "A"), -1);
}

#[test]
fn the_same_key_with_other_content_is_a_conflict_and_is_not_booked() {
    let conn = ledger();
    book(&conn, &sale("A", 1, "7"));

    for other in [sale("B", 1, "7"), sale("A", 2, "7")] {
        let Refusal::Conflict(existing) = refused(desk(&conn).book(&other).unwrap()) else {
            panic!("no conflict")
        };
        assert_eq!((existing.scanned, existing.qty), (code("A"), -1));
    }
    assert_eq!((on_hand(&conn, "A"), on_hand(&conn, "B")), (-1, 0));
}

#[test]
fn a_return_may_carry_the_sales_number() {
    let conn = ledger();
    book(&conn, &sale("A", 1, "7"));

    book(&conn, &line(Kind::Return, "A", 1, ("7", NOW)));

    assert_eq!(on_hand(&conn, "A"), 0);
}

#[test]
fn a_cancelled_line_does_not_count_whatever_kind_it_was() {
    let conn = ledger();
    book(&conn, &sale("A", 2, "7"));

    let void = booked(desk(&conn).cancel(&cancel("7")).unwrap());

    assert_eq!(
        (void.kind, void.qty, void.level.on_hand),
        (Kind::Void, 0, 0)
    );
    let again = desk(&conn).cancel(&cancel("7")).unwrap();
    assert!(matches!(again, Outcome::Duplicate(_)), "{again:?}");
    assert_eq!(
        refused(desk(&conn).cancel(&cancel("8")).unwrap()),
        Refusal::NothingToCancel
    );
    is_sound(&conn);
}

#[test]
fn a_cancelled_line_brought_again_is_voided_before() {
    let conn = ledger();
    let sold = book(&conn, &sale("A", 1, "7"));
    desk(&conn).cancel(&cancel("7")).unwrap();

    let Refusal::VoidedBefore { held: Some(held) } =
        refused(desk(&conn).book(&sale("A", 1, "7")).unwrap())
    else {
        panic!("booked again")
    };

    assert_eq!(held.id, sold.id);
    assert_eq!(on_hand(&conn, "A"), 0);
}

#[test]
fn a_count_books_what_was_observed_less_what_was_there_at_its_time() {
    let conn = ledger();
    book(
        &conn,
        &line(Kind::Receipt, "A", 5, ("1", NOW.plus(-60_000))),
    );
    book(&conn, &line(Kind::Sale, "A", 1, ("2", NOW.plus(60_000))));

    let count = line(Kind::Count, "A", 4, ("3", NOW));
    let counted = book(&conn, &count);

    assert_eq!((counted.qty, counted.level.on_hand), (-1, 3));
    book(
        &conn,
        &line(Kind::Receipt, "A", 9, ("4", NOW.plus(-30_000))),
    );
    let again = desk(&conn).book(&count).unwrap();
    assert!(
        matches!(again, Outcome::Duplicate(_)),
        "the same observation: {again:?}"
    );
}

#[test]
fn what_is_unavailable_is_on_hand_and_not_available() {
    let conn = ledger();
    book(&conn, &line(Kind::Receipt, "A", 3, ("1", NOW)));
    let repair = Booking {
        condition: Condition::Unavailable,
        ..line(Kind::Receipt, "A", 2, ("2", NOW))
    };

    let booked = book(&conn, &repair);

    assert_eq!(
        (
            booked.level.on_hand,
            booked.level.unavailable,
            booked.level.available()
        ),
        (5, 2, 3)
    );
}

#[test]
fn quantities_that_a_kind_cannot_have_are_refused() {
    let conn = ledger();
    let tries = [
        (Kind::Sale, 0),
        (Kind::Sale, -1),
        (Kind::Adjustment, 0),
        (Kind::Count, -1),
        (Kind::Receipt, 1_000_001),
    ];
    for (kind, qty) in tries {
        assert_eq!(
            refused(desk(&conn).book(&line(kind, "A", qty, ("1", NOW))).unwrap()),
            Refusal::Qty,
            "{kind} {qty}"
        );
    }
    for kind in [Kind::Balance, Kind::Opening, Kind::Void] {
        let refusal = refused(desk(&conn).book(&line(kind, "A", 1, ("1", NOW))).unwrap());
        assert_eq!(refusal, Refusal::Internal(kind));
    }
}

#[test]
fn a_receipt_is_booked_whole_or_not_at_all() {
    let conn = ledger();
    book(&conn, &sale("A", 1, "7"));
    let lines = [sale("B", 1, "8"), sale("B", 1, "7")];

    let outcome = desk(&conn).book_all(&lines).unwrap();

    assert!(
        matches!(
            outcome,
            AllOrNone::Refused {
                line: 1,
                refusal: Refusal::Conflict(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(on_hand(&conn, "B"), 0);
    let mut one_desk = desk(&conn);
    one_desk.book_all(&lines).unwrap();
    assert_eq!(
        booked(one_desk.book(&sale("C", 1, "9")).unwrap()).seq.0,
        2,
        "the place that was given back is used"
    );
    is_sound(&conn);
}

#[test]
fn an_alias_and_a_local_prefix_are_resolved_and_the_scanned_text_stays() {
    let conn = ledger_with(r#"{"local_prefixes":["2"]}"#);
    let alias = RegisterV1 {
        kind: 2,
        key: "UIN".into(),
        value: br#"{"barcode":"4600"}"#.into(),
        seq: 1,
    };
    register::apply(&conn, &[alias], 1, 1).unwrap();

    let local = book(&conn, &sale("2000018987155", 1, "7"));
    let chain_wide = book(&conn, &sale("UIN", 1, "8"));

    assert_eq!(local.barcode, code("2000018987155").local_to(&shop()));
    assert_eq!(chain_wide.barcode, code("4600"));
    let sales = query::sales(&conn, None, 10).unwrap();
    let mut scanned: Vec<String> = sales.iter().map(|sale| sale.scanned.to_string()).collect();
    scanned.sort();
    assert_eq!(scanned, ["2000018987155", "UIN"]);
}

#[test]
fn the_shops_words_are_shown_where_the_catalogue_is_silent() {
    let conn = ledger();
    let mut received = line(Kind::Receipt, "A", 1, ("1", NOW));
    received.details.words.name = Some("Ring".into());
    received.details.words.size = Some("17".into());
    received.details.price = Some(Money::rub(4_590_000));
    book(&conn, &received);
    let item = br#"{"name":"Ring, gold","attributes":{"size":"17.5"}}"#;
    register::apply(
        &conn,
        &[RegisterV1 {
            kind: 1,
            key: "A".into(),
            value: item.into(),
            seq: 1,
        }],
        1,
        1,
    )
    .unwrap();

    let row = query::stock_one(&conn, &code("A")).unwrap().unwrap();

    assert_eq!(
        (row.name.as_deref(), row.attributes["size"].as_str()),
        (Some("Ring, gold"), "17.5")
    );
    assert_eq!(row.price, Some(Money::rub(4_590_000)));
    assert_eq!(query::stock_one(&conn, &code("B")).unwrap(), None);
}
