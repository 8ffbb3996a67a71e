//! Web orders at a shop: the ledger against the hub in memory.

use vitrina_shared::hold::{DeclineReason, ShopSide, Word, WorkKind};
use vitrina_shared::{HoldId, MovementId};

use super::exchange::copy;
use super::hub::Hub;
use super::*;
use crate::ledger::hold::{self, Action, No, Whose};
use crate::ledger::{leg, promise, query};

const RING: &str = "2000018987155";

/// A shop that answers by this policy and has so many rings, and a hub that knows it.
fn shop_with(policy: &str, rings: i64) -> (Connection, Hub) {
    let (conn, mut hub) = (
        ledger_with(&format!(r#"{{"holds":"{policy}"}}"#)),
        Hub::new(),
    );
    book(&conn, &line(Kind::Receipt, RING, rings, ("in", NOW)));
    hub.settle(&conn);
    (conn, hub)
}

fn call(receipt: &str, hold: Option<HoldId>, way: Way) -> Booking {
    Booking {
        details: Details {
            hold,
            ..Details::default()
        },
        way,
        ..sale(RING, 1, receipt)
    }
}

fn side(conn: &Connection, hold: HoldId) -> ShopSide {
    let legs = leg::of_hold(conn, hold).unwrap();
    legs.first().expect("a leg").leg.shop
}

fn held(conn: &Connection) -> (i64, i64) {
    let level = promise::level(conn, &code(RING)).unwrap();
    (level.held, level.available())
}

fn sale_of(side: ShopSide) -> MovementId {
    match side {
        ShopSide::Fulfilled { movement, .. } => movement,
        other => panic!("not fulfilled: {other:?}"),
    }
}

#[test]
fn an_order_that_stock_covers_is_confirmed_at_once_where_the_shop_answers_by_stock() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");

    let taken = hub.exchange(&conn, true);

    assert_eq!(taken.legs.map(|legs| legs.said), Some(1));
    assert_eq!(side(&conn, hold), ShopSide::Confirmed { at: NOW });
    assert_eq!(held(&conn), (1, 0));
    hub.exchange(&conn, true);
    assert_eq!(hub.0.hold(hold), Some(Word::Confirmed));
    let asked = crate::ledger::ask::ask(&conn, &super::exchange::ALL).unwrap();
    assert!(asked.legs.legs.is_empty() && asked.legs.section.all);
}

#[test]
fn what_was_sold_meanwhile_is_declined_at_once() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    book(&conn, &sale(RING, 1, "7"));

    hub.settle(&conn);

    let declined = ShopSide::Declined {
        reason: DeclineReason::Sold,
        at: NOW,
    };
    assert_eq!(side(&conn, hold), declined);
    hub.exchange(&conn, true);
    assert_eq!(hub.0.hold(hold), Some(Word::Declined));
}

#[test]
fn a_person_scans_the_piece_and_only_this_one() {
    let (conn, mut hub) = shop_with("scan", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    assert_eq!(side(&conn, hold), ShopSide::None);

    let wrong = hold::confirm(&desk(&conn), hold.0, Some(&code("4"))).unwrap();
    assert!(matches!(wrong, Err(No::OtherPiece(_))), "{wrong:?}");
    for _ in 0..2 {
        let row = hold::confirm(&desk(&conn), hold.0, Some(&code(RING))).unwrap();
        assert_eq!(row.unwrap().word(), "confirmed");
    }

    hub.exchange(&conn, true);
    assert_eq!(hub.0.hold(hold), Some(Word::Confirmed));
}

#[test]
fn a_person_says_no_and_who_had_said_yes_breaks_his_word() {
    let (conn, mut hub) = shop_with("scan", 2);
    let (one, other) = (hub.place(RING, "1"), hub.place(RING, "2"));
    hub.exchange(&conn, true);
    hold::confirm(&desk(&conn), other.0, None).unwrap().unwrap();

    for hold in [one, other, one] {
        hold::decline(&conn, hold.0, DeclineReason::NotFound, NOW)
            .unwrap()
            .unwrap();
    }
    hub.exchange(&conn, true);

    assert_eq!(hub.0.hold(one), Some(Word::Declined));
    assert_eq!(hub.0.hold(other), Some(Word::Broken));
    let again = hold::confirm(&desk(&conn), one.0, None).unwrap();
    assert!(matches!(again, Err(No::NotOpen(_))), "{again:?}");
    let unknown = hold::decline(&conn, [9; 16], DeclineReason::Other, NOW).unwrap();
    assert_eq!(unknown, Err(No::Unknown));
}

#[test]
fn a_till_is_told_of_the_order_before_it_sells_and_may_insist() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    let Refusal::Held(rows) = refused(desk(&conn).book(&call("7", None, Way::Call)).unwrap())
    else {
        panic!("not held")
    };
    assert_eq!((rows.len(), rows[0].leg.terms.hold), (1, hold));
    assert_eq!(on_hand(&conn, RING), 1);
    book(&conn, &call("7", None, Way::Forced));

    assert_eq!(side(&conn, hold), ShopSide::Broken { at: NOW });
    hub.settle(&conn);
    hub.exchange(&conn, true);
    assert!(
        hub.0
            .work()
            .iter()
            .any(|(_, kind)| *kind == WorkKind::Broken)
    );
    is_sound(&conn);
}

#[test]
fn a_second_piece_is_sold_freely_beside_the_one_that_is_kept() {
    let (conn, mut hub) = shop_with("auto", 2);
    hub.place(RING, "1");
    hub.exchange(&conn, true);

    let booked = book(&conn, &call("7", None, Way::Call));

    assert_eq!((booked.level.on_hand, booked.level.held), (1, 1));
    assert_eq!(booked.level.available(), 0);
}

#[test]
fn the_orders_own_sale_fulfils_it_in_the_same_commit_however_often_it_comes() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    let booked = book(&conn, &call("7", Some(hold), Way::Call));
    assert_eq!((booked.level.on_hand, booked.level.held), (0, 0));
    let again = desk(&conn).book(&sale(RING, 1, "7")).unwrap();
    assert!(matches!(again, Outcome::Duplicate(_)), "{again:?}");
    let twice = refused(desk(&conn).book(&call("8", Some(hold), Way::Call)).unwrap());
    assert!(matches!(twice, Refusal::HoldNotOpen(_)), "{twice:?}");

    assert_eq!(sale_of(side(&conn, hold)), booked.id);
    hub.settle(&conn);
    hub.exchange(&conn, true);
    assert_eq!(hub.0.hold(hold), Some(Word::Fulfilled));
}

#[test]
fn a_call_that_names_a_hold_that_cannot_be_meant_is_refused() {
    let (conn, mut hub) = shop_with("auto", 3);
    book(&conn, &line(Kind::Receipt, "4", 1, ("in too", NOW)));
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    let strange = HoldId([9; 16]);
    let unknown = desk(&conn).book(&call("7", Some(strange), Way::Call));
    assert_eq!(refused(unknown.unwrap()), Refusal::UnknownHold);
    let other = Booking {
        code: code("4"),
        ..call("7", Some(hold), Way::Call)
    };
    let two = Booking {
        qty: 2,
        ..call("7", Some(hold), Way::Call)
    };
    for booking in [other, two] {
        let refusal = refused(desk(&conn).book(&booking).unwrap());
        assert!(matches!(refusal, Refusal::OtherPiece(_)), "{refusal:?}");
    }
    hub.release(hold);
    hub.settle(&conn);
    let over = refused(desk(&conn).book(&call("7", Some(hold), Way::Call)).unwrap());
    assert!(matches!(over, Refusal::HoldNotOpen(_)), "{over:?}");
}

#[test]
fn a_file_whose_receipt_names_the_order_fulfils_it() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "77");
    hub.exchange(&conn, true);

    let named = Booking {
        details: Details {
            reference: Some("заказ W-77, самовывоз".into()),
            ..Details::default()
        },
        ..sale(RING, 1, "7")
    };
    let booked = book(&conn, &named);

    assert_eq!(sale_of(side(&conn, hold)), booked.id);
    let sales = query::sales(&conn, None, 10).unwrap();
    assert_eq!(sales[0].details.hold, Some(hold));
    assert!(hold::questions(&conn).unwrap().is_empty());
}

#[test]
fn a_file_behind_the_tills_call_links_the_sale_that_is_here() {
    let (conn, mut hub) = shop_with("scan", 2);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    let booked = book(&conn, &call("W-1", None, Way::Call));

    let again = desk(&conn).book(&sale(RING, 1, "W-1")).unwrap();

    assert!(matches!(again, Outcome::Duplicate(_)), "{again:?}");
    assert_eq!(sale_of(side(&conn, hold)), booked.id);
}

#[test]
fn a_file_that_sells_what_is_kept_is_a_question_and_the_order_keeps_its_piece_until_it_is_answered()
{
    for whose in [Whose::Order(None), Whose::Other] {
        let (conn, mut hub) = shop_with("auto", 1);
        let hold = hub.place(RING, "1");
        hub.exchange(&conn, true);
        let sold = book(&conn, &sale(RING, 1, "7"));

        let asked = hold::questions(&conn).unwrap();
        assert_eq!((asked.len(), asked[0].question.sale), (1, sold.id));
        assert_eq!(asked[0].holds.len(), 1);
        hub.settle(&conn);
        assert_eq!(side(&conn, hold), ShopSide::Confirmed { at: NOW });
        assert_eq!(hold::counts(&conn).unwrap().questions, 1);

        for _ in 0..2 {
            hold::settle(&conn, sold.id, whose, NOW).unwrap().unwrap();
        }
        let other = match whose {
            Whose::Other => Whose::Order(None),
            Whose::Order(_) => Whose::Other,
        };
        assert!(hold::settle(&conn, sold.id, other, NOW).unwrap().is_err());

        match whose {
            Whose::Order(_) => assert_eq!(sale_of(side(&conn, hold)), sold.id),
            Whose::Other => assert_eq!(side(&conn, hold), ShopSide::Broken { at: NOW }),
        }
        assert_eq!(hold::counts(&conn).unwrap().questions, 0);
    }
}

#[test]
fn the_buyer_takes_it_without_a_receipt_and_the_sale_of_the_file_is_his() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    let sold = book(&conn, &sale(RING, 1, "7"));

    let buys = Booking {
        key: Key::call("fulfil"),
        ..call("-", Some(hold), Way::Call)
    };
    let (row, booked) = hold::fulfil(&mut desk(&conn), hold.0, &buys)
        .unwrap()
        .unwrap();

    assert_eq!((row.word(), booked.unwrap().id), ("fulfilled", sold.id));
    assert_eq!(on_hand(&conn, RING), 0, "it is sold once");
    assert!(hold::questions(&conn).unwrap().is_empty());
}

#[test]
fn the_buyer_takes_it_and_the_file_that_comes_later_is_the_same_sale() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    for _ in 0..2 {
        let buys = call("7", Some(hold), Way::Call);
        let (row, _) = hold::fulfil(&mut desk(&conn), hold.0, &buys)
            .unwrap()
            .unwrap();
        assert_eq!(row.word(), "fulfilled");
    }
    let again = desk(&conn).book(&sale(RING, 1, "7")).unwrap();

    assert!(matches!(again, Outcome::Duplicate(_)), "{again:?}");
    assert_eq!(on_hand(&conn, RING), 0);
}

#[test]
fn a_sale_that_is_cancelled_leaves_the_piece_with_the_order() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    book(&conn, &call("7", Some(hold), Way::Call));

    booked(desk(&conn).cancel(&cancel("7")).unwrap());

    assert_eq!(held(&conn), (1, 0));
    let refusal = refused(desk(&conn).book(&call("8", None, Way::Call)).unwrap());
    assert!(matches!(refusal, Refusal::Held(_)), "{refusal:?}");
    book(&conn, &call("9", Some(hold), Way::File));
}

#[test]
fn a_piece_that_is_written_off_breaks_the_promise() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    book(&conn, &line(Kind::WriteOff, RING, 1, ("off", NOW)));

    assert_eq!(side(&conn, hold), ShopSide::Broken { at: NOW });
}

#[test]
fn what_expired_ten_minutes_ago_by_the_hubs_clock_binds_no_till() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    let over = NOW.plus(3_600_000 + 600_000);

    let at = |now: TimeMs| {
        let mut desk = Desk::open(&conn, now).unwrap();
        desk.book(&call("7", None, Way::Call)).unwrap()
    };
    assert!(matches!(refused(at(over)), Refusal::Held(_)));
    booked(at(over.plus(1)));

    assert_eq!(side(&conn, hold), ShopSide::Broken { at: over.plus(1) });
}

#[test]
fn an_order_that_let_go_is_put_back_and_leaves_the_list_after_a_day() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    hub.exchange(&conn, true);
    hub.release(hold);
    hub.exchange(&conn, true);

    let open = |now| hold::list(&conn, hold::Which::Open, None, (10, now)).unwrap();
    let rows = open(NOW);
    assert_eq!(rows[0].word(), "released");
    assert_eq!(rows[0].actions(), [Action::PutBack]);
    assert_eq!(held(&conn), (0, 1));
    assert!(open(NOW.plus(25 * 3_600_000)).is_empty());
    assert_eq!(
        hold::list(&conn, hold::Which::All, None, (10, NOW))
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_new_life_of_the_hub_is_told_of_everything_that_was_promised() {
    let (conn, mut hub) = shop_with("auto", 5);
    let holds: Vec<HoldId> = (1..=5)
        .map(|key| hub.place(RING, &key.to_string()))
        .collect();
    hub.settle(&conn);
    hub.exchange(&conn, true);
    book(&conn, &call("7", Some(holds[0]), Way::Call));
    hub.settle(&conn);

    hub.begin_empty(HubLife {
        ordinal: 2,
        random: [8; 16],
    });
    hub.settle(&conn);
    hub.exchange(&conn, true);

    assert_eq!(hub.0.hold(holds[0]), Some(Word::Fulfilled));
    for hold in &holds[1..] {
        assert_eq!(hub.0.hold(*hold), Some(Word::Confirmed));
    }
    let ring = code(RING);
    assert!(hub.0.offer(&shop(), &ring).has_returned);
    assert_eq!(hub.0.offer(&shop(), &ring).level.held, 4);
}

#[test]
fn a_restored_ledger_gets_its_promises_back_and_brings_those_that_the_hub_never_heard() {
    let (conn, mut hub) = shop_with("scan", 2);
    let (one, other) = (hub.place(RING, "1"), hub.place(RING, "2"));
    hub.exchange(&conn, true);
    let restored = copy(&conn);
    hold::confirm(&desk(&conn), one.0, None).unwrap().unwrap();
    hub.settle(&conn);
    hold::confirm(&desk(&restored), other.0, None)
        .unwrap()
        .unwrap();

    hub.settle(&restored);
    hub.exchange(&restored, true);

    for hold in [one, other] {
        assert_eq!(side(&restored, hold), ShopSide::Confirmed { at: NOW });
        assert_eq!(hub.0.hold(hold), Some(Word::Confirmed));
    }
}

#[test]
fn a_fork_that_took_the_piece_breaks_the_promise_when_it_is_heard_of() {
    let (conn, mut hub) = shop_with("auto", 1);
    let other = copy(&conn);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    hub.exchange(&conn, true);
    book(&other, &sale(RING, 1, "7"));
    hub.settle(&other);

    hub.settle(&conn);
    hub.exchange(&conn, true);

    assert_eq!(side(&conn, hold), ShopSide::Broken { at: NOW });
}

#[test]
fn a_program_that_knew_no_holds_went_into_a_new_life_and_all_is_brought_again() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);
    hub.exchange(&conn, true);

    conn.execute("UPDATE state SET generation = generation + 1", [])
        .unwrap();

    let asked = crate::ledger::ask::ask(&conn, &super::exchange::ALL).unwrap();
    assert_eq!(asked.legs.section.held, 0);
    assert_eq!(asked.legs.legs[0].terms.hold, hold);
}

#[test]
fn a_transfer_for_an_order_moves_its_piece_and_what_comes_in_for_one_has_come() {
    let (conn, mut hub) = shop_with("auto", 1);
    let hold = hub.place(RING, "1");
    hub.exchange(&conn, true);

    let away = Booking {
        kind: Kind::TransferOut,
        details: Details {
            hold: Some(hold),
            to: Some("S900".into()),
            ..Details::default()
        },
        ..call("out", None, Way::Call)
    };
    let booked = book(&conn, &away);

    let moved = ShopSide::Moved {
        movement: booked.id,
        at: NOW,
    };
    assert_eq!(side(&conn, hold), moved);
    let back = Booking {
        kind: Kind::TransferIn,
        ..away
    };
    book(&conn, &back);
    let came: i64 = conn
        .query_row("SELECT count(*) FROM arrival", [], |row| row.get(0))
        .unwrap();
    assert_eq!(came, 1);
}
