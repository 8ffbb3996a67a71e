//! The schedules of faults that have a name, told step by step over the simulator's hub and machines.
//!
//! Every step looks at the promises; `peace` then demands that all hold the same and that every sale counts once.

use vitrina_shared::hold::{Word, WorkKind};
use vitrina_tests::sim::{Story, sale};

#[test]
fn restored_twice_with_snapshot_between() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let monday = story.copy(shop);
    story.sell(shop, sale("2", 1));
    story.exchange_all(shop);

    story.restore(shop, monday);
    story.sell(shop, sale("3", 1));
    let tuesday = story.copy(shop);
    story.sell(shop, sale("4", 1));
    story.exchange_all(shop);
    story.restore(shop, tuesday);
    story.sell(shop, sale("5", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -5);
}

#[test]
fn restore_noticed_offline_sells_at_once() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let copy = story.copy(shop);
    story.sell(shop, sale("2", 1));
    story.lose_the_answer(shop);

    story.restore(shop, copy);
    // Without a line: the doubt alone ends the old name (the step itself looks at that).
    story.sell(shop, sale("3", 1));
    story.sell(shop, sale("4", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -4);
    assert!(story.count("doubted") > 0);
}

#[test]
fn clone_says_hello_first() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let copy = story.copy(shop);
    let clone = story.second_machine(shop, copy);
    story.sell(clone, sale("2", 1));
    story.exchange_all(clone);

    story.sell(shop, sale("3", 1));
    story.exchange_all(shop);
    story.sell(clone, sale("4", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -4);
    assert!(story.count("branched") > 0);
}

#[test]
fn late_frame_after_restore() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let copy = story.copy(shop);
    story.sell(shop, sale("2", 1));
    let late = story.keep_frame(shop);

    story.revert(shop, copy);
    story.sell(shop, sale("3", 1));
    story.exchange_all(shop);
    story.arrive(&late);
    story.arrive(&late);
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -3, "the late sale happened too");
    assert!(story.count("fork") > 0);
}

#[test]
fn stick_of_a_forked_history() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let copy = story.copy(shop);
    let clone = story.second_machine(shop, copy);
    for receipt in ["2", "3", "4"] {
        story.sell(clone, sale(receipt, 2));
    }
    let stick = story.keep_frame(clone);
    for receipt in ["5", "6"] {
        story.sell(shop, sale(receipt, 1));
    }
    story.exchange_all(shop);

    story.arrive(&stick);
    story.exchange_all(clone);
    story.arrive(&stick);
    story.peace();

    assert_eq!((story.on_hand(shop, 1), story.on_hand(shop, 2)), (-3, -3));
}

#[test]
fn receipt_numbers_restart() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));

    story.sell(shop, sale("1", 1).a_day_later());
    story.sell(shop, sale("1", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -2, "the same number of another day");
    assert_eq!(story.count("sold_again"), 1);
}

#[test]
fn return_has_the_sales_key() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));

    story.sell(shop, sale("1", 1).returned());
    story.peace();

    assert_eq!(story.on_hand(shop, 1), 0);
    assert_eq!(story.count("conflict"), 0);
}

#[test]
fn one_receipt_in_two_ways_is_a_conflict_here_and_counts_twice_from_two_lives() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let copy = story.copy(shop);
    story.sell(shop, sale("1", 1));
    story.sell(shop, sale("1", 1).of(2));
    assert_eq!(story.count("conflict"), 1);
    story.exchange_all(shop);

    // The shop's 1C went back with the machine, and the receipt is entered anew under other content.
    story.revert(shop, copy);
    story.sell(shop, sale("1", 1).of(2));
    story.peace();

    assert_eq!(
        story.on_hand(shop, 1),
        -3,
        "both are shown, none is dropped"
    );
}

#[test]
fn done_folder_put_back() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let file = ["1", "2", "3"];
    for receipt in file {
        story.sell(shop, sale(receipt, 1));
    }
    story.exchange_all(shop);

    for receipt in file {
        story.sell(shop, sale(receipt, 1));
    }
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -3);
    assert_eq!(story.count("sold_again"), 3);
}

#[test]
fn two_agents_one_pos_file() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let empty = story.copy(shop);
    let other = story.second_machine(shop, empty);
    for receipt in ["1", "2", "3"] {
        story.sell(shop, sale(receipt, 1));
        story.sell(other, sale(receipt, 1));
    }
    story.sell(other, sale("4", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -4);
}

#[test]
fn idempotency_key_after_restore() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let copy = story.copy(shop);
    story.call(shop, "k-1", sale("", 1));
    story.exchange_all(shop);

    // The till never heard of it, and asks a machine that does not know of it any more.
    story.restore(shop, copy);
    story.call(shop, "k-1", sale("", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -1);
}

#[test]
fn unknown_kind_in_the_chain() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let copy = story.copy(shop);
    story.write_unknown(shop);
    story.sell(shop, sale("1", 1));
    story.exchange_all(shop);
    let clone = story.second_machine(shop, copy);
    story.exchange_all(clone);
    story.write_unknown(clone);
    story.peace();

    assert_eq!(story.count("unknown_kind"), 2);
}

#[test]
fn hub_file_copied_back_reader_at_old_head() {
    let mut story = Story::of_shops(2);
    let (shop, other) = (story.shop(0), story.shop(1));
    story.sell(shop, sale("1", 1));
    story.exchange_all(shop);
    let copy = story.copy_hub();
    story.sell(shop, sale("2", 1));
    story.exchange_all(shop);
    story.read();
    story.read();

    story.revert_hub(copy);
    // The place that the reader holds is given out again, for another change.
    for receipt in ["1", "2", "3", "4"] {
        story.sell(other, sale(receipt, 3));
        story.exchange_all(other);
    }
    story.read();
    assert_eq!(story.count("expired"), 1);
    story.peace();

    assert_eq!((story.on_hand(shop, 1), story.on_hand(other, 3)), (-2, -4));
}

#[test]
fn hub_rolled_back_after_fork_relay() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));
    let copy = story.copy(shop);
    let clone = story.second_machine(shop, copy);
    let before = story.copy_hub();
    story.sell(shop, sale("2", 1));
    story.sell(clone, sale("3", 1));
    story.exchange_all(shop);
    story.exchange_all(clone);
    story.exchange_all(shop);

    story.revert_hub(before);
    story.exchange_all(clone);
    story.sell(clone, sale("4", 1));
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -4);
    assert!(story.count("hub_behind") > 0);
}

#[test]
fn hub_empty_is_refilled_with_what_a_dead_machine_relayed() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let copy = story.copy(shop);
    let clone = story.second_machine(shop, copy);
    let empty = story.copy_hub();
    story.sell(clone, sale("1", 1));
    story.exchange_all(clone);
    story.exchange_all(shop);

    // The second machine forgets all, and so does the hub: the first one knows.
    story.revert(clone, copy);
    story.restore_hub(empty);
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -1);
}

#[test]
fn price_after_hub_rollback() {
    let mut story = Story::of_shops(2);
    let shop = story.shop(0);
    for _ in 0..4 {
        story.set_price();
    }
    let copy = story.copy_hub();
    for _ in 0..6 {
        story.set_price();
    }
    story.exchange_all(shop);

    story.restore_hub(copy);
    // Fewer were written in the new life than the shop has seen in the old one.
    story.set_price();
    story.exchange_all(shop);
    story.peace();
}

#[test]
fn same_balances_bytes_later() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.state(shop, 1, 5, 0);
    story.state(shop, 1, 3, 10);

    story.state(shop, 1, 5, 20);
    story.state(shop, 1, 5, 0);
    story.peace();

    assert_eq!(
        story.on_hand(shop, 1),
        5,
        "the latest counts, not the last that came"
    );
}

#[test]
fn restored_agent_applies_balances() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.state(shop, 1, 5, 0);
    let copy = story.copy(shop);
    story.state(shop, 1, 4, 10);
    story.exchange_all(shop);

    story.restore(shop, copy);
    // It looks at an older file once more before it hears of the newer.
    story.state(shop, 1, 5, 5);
    story.peace();

    assert_eq!(story.on_hand(shop, 1), 4);
}

#[test]
fn offline_100_days() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    let keys: Vec<String> = (0..500).map(|number| format!("k{number}")).collect();
    for key in &keys {
        story.call(shop, key, sale("", 1));
    }
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -500);
}

#[test]
fn row_too_high() {
    let mut story = Story::of_shops(1);
    let shop = story.shop(0);
    story.sell(shop, sale("1", 1));

    story.arrive_with_a_row_too_high(shop);
    story.peace();

    assert_eq!(story.on_hand(shop, 1), -1, "what a row says is never taken");
}

#[test]
fn fulfil_then_pos_line() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 2);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);
    assert_eq!(story.hold(hold), Some(Word::Confirmed));

    // The buyer stands at the till: the call names order and receipt, and the file with the receipt comes after it.
    story.fulfil(shop, hold, sale("7", 50));
    story.sell(shop, sale("7", 50));
    story.exchange_all(shop);

    assert_eq!(story.hold(hold), Some(Word::Fulfilled));
    assert_eq!(story.on_hand(shop, 50), 1, "one sale, by two ways");
    assert_eq!(story.held(shop, 50), 0);
    assert_eq!(story.work(), []);
    story.peace();
}

#[test]
fn pos_line_then_fulfil() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 1);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);

    // The file says nothing of the order: it is a question, and the leg stays held.
    story.sell(shop, sale("7", 50));
    story.exchange_all(shop);
    assert_eq!(story.hold(hold), Some(Word::Confirmed));
    assert_eq!(story.held(shop, 50), 1);
    assert_eq!(story.work(), [WorkKind::SoldOverHold]);

    // The call that comes late names both.
    story.fulfil(shop, hold, sale("7", 50));
    story.exchange_all(shop);

    assert_eq!(story.hold(hold), Some(Word::Fulfilled));
    assert_eq!(story.on_hand(shop, 50), 0);
    story.peace();
}

#[test]
fn hold_id_after_hub_rollback() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 2);
    let copy = story.copy_hub();
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);
    assert_eq!(story.hold(hold), Some(Word::Confirmed));

    story.revert_hub(copy);
    // The website had no answer and asks again, before the shop is heard and after it.
    let again = story.order("1024", 50);
    story.exchange_all(shop);
    let later = story.order("1024", 50);

    assert!(again.is_none_or(|again| again == hold));
    assert_eq!(
        later,
        Some(hold),
        "the same key is the same hold, whoever forgot it"
    );
    assert_eq!(story.hold(hold), Some(Word::Confirmed));
    assert_eq!(story.held(shop, 50), 1, "one piece is kept for one order");
    story.peace();
}

#[test]
fn legs_are_back_before_anything_is_granted() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 1);
    let copy = story.copy_hub();
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);

    story.restore_hub(copy);
    assert_eq!(story.order("1025", 50), None, "nobody knows what is kept");
    story.exchange_all(shop);

    assert_eq!(story.hold(hold), Some(Word::Confirmed));
    assert_eq!(story.order("1025", 50), None, "it is the other order's");
    story.peace();
}

#[test]
fn a_no_takes_the_order_to_the_next_shop() {
    let mut story = Story::with_orders(2);
    let (auto, scan) = (story.shop(0), story.shop(1));
    story.restock(scan, 50, 1);
    let hold = story.order("1024", 50).unwrap();
    story.restock(auto, 50, 1);
    story.exchange_all(scan);
    assert_eq!(
        story.hold(hold),
        Some(Word::Requested),
        "a person must look"
    );

    story.decline(scan, hold);
    story.exchange_all(scan);
    assert_eq!(story.held(scan, 50), 0);
    story.exchange_all(auto);

    assert_eq!(story.hold(hold), Some(Word::Confirmed));
    assert_eq!(story.held(auto, 50), 1);
    assert_eq!(story.count("re_sourced"), 1);
    story.peace();
}

#[test]
fn two_machines_confirm_the_last_piece() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 1);
    let copy = story.copy(shop);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);
    story.release(hold);
    let other = story.order("1025", 50).unwrap();

    // The second machine knows of neither; it hears of both at once, and keeps the one that is still asked for.
    let clone = story.second_machine(shop, copy);
    story.exchange_all(clone);
    story.exchange_all(shop);

    assert_eq!(story.hold(hold), Some(Word::Released));
    assert_eq!(story.hold(other), Some(Word::Confirmed));
    assert_eq!(story.work(), [WorkKind::PutBack]);
    story.peace();
}

#[test]
fn a_hold_travels_with_its_piece() {
    let mut story = Story::with_orders(3);
    let (from, to) = (story.shop(0), story.shop(2));
    story.restock(from, 50, 1);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(from);

    story.ship(from, hold, to);
    story.exchange_all(from);
    assert_eq!(story.hold(hold), Some(Word::InTransit));
    assert_eq!((story.held(from, 50), story.held(to, 50)), (0, 0));
    story.exchange_all(to);
    story.receive(to, hold);
    story.exchange_all(to);

    assert_eq!(story.hold(hold), Some(Word::Confirmed));
    assert_eq!(story.held(to, 50), 1);
    story.fulfil(to, hold, sale("7", 50));
    story.exchange_all(to);
    assert_eq!(story.hold(hold), Some(Word::Fulfilled));
    assert_eq!(story.work(), []);
    story.peace();
}

#[test]
fn cancelled_and_bought() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 1);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);

    // The line is down: the website cancels, and the buyer takes it.
    story.release(hold);
    story.fulfil(shop, hold, sale("7", 50));
    story.exchange_all(shop);

    assert_eq!(story.hold(hold), Some(Word::Fulfilled));
    assert!(story.work().contains(&WorkKind::CancelledAndBought));
    assert_eq!(story.held(shop, 50), 0);
    story.peace();
}

#[test]
fn a_leg_that_expired_binds_no_till() {
    let mut story = Story::with_orders(1);
    let shop = story.shop(0);
    story.restock(shop, 50, 1);
    let hold = story.order("1024", 50).unwrap();
    story.exchange_all(shop);
    story.call(shop, "till", sale("", 50));
    assert_eq!(story.count("held"), 1, "it is kept for the order");

    // A day and ten minutes later, without a line.
    story.minutes(24 * 60 + 11);
    story.call(shop, "till", sale("", 50));
    story.exchange_all(shop);

    assert_eq!(story.count("held"), 1);
    assert_eq!(story.hold(hold), Some(Word::Expired));
    assert_eq!(story.on_hand(shop, 50), 0);
    assert!(story.work().contains(&WorkKind::PutBack));
    story.peace();
}
