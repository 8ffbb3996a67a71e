//! The schedules of faults that have a name, told step by step over the simulator's hub and machines.
//!
//! Every step looks at the promises; `peace` then demands that all hold the same and that every sale counts once.

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
