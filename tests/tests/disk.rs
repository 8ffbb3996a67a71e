//! Disks that break: power cuts, calls that fail, no room. The real agent and the real hub on the disk of `vfs`.

use vitrina_tests::power::calls::{Sweep, Swept};
use vitrina_tests::power::cuts::{Findings, Honesty, explore};
use vitrina_tests::power::day::{Day, Side};
use vitrina_tests::power::flips::flip;
use vitrina_tests::vfs::{Call, Fault, Image};

fn explored(honesty: Honesty, rounds: usize) -> Findings {
    let (records, home) = Day::recorded();
    let mut all = Findings::default();
    for record in &records {
        let found = explore(record, &home, honesty, (1, rounds));
        all.add(found.unwrap_or_else(|error| panic!("{:?}: {error}", record.side)));
    }
    all
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_acknowledged() {
    let found = explored(Honesty::Honest, 2);

    assert!(found.is_clean(), "{:#?}", found.first);
    assert!(found.points > 8_000);
    assert!(
        found.loose * 2 > found.points,
        "cuts meet what was not flushed"
    );
}

#[test]
fn a_log_that_is_flushed_late_loses_what_was_acknowledged() {
    let found = explored(Honesty::FlushesLate, 1);

    assert!(found.harmed > 100, "the harness sees a loss");
    // It is whole, only old: the file beside the ledger says so, and the next sale has a replica of its own.
    assert_eq!(
        found.silent.get(&Side::Agent),
        None,
        "{:#?}",
        found.unnoticed
    );
}

#[test]
fn a_disk_that_lies_about_flushing_is_noticed() {
    let found = explored(Honesty::Lying, 1);

    assert!(found.harmed > 100, "the harness sees a loss");
    assert_eq!(
        found.silent.get(&Side::Agent),
        None,
        "{:#?}",
        found.unnoticed
    );
}

/// Every step of the day with a fault at every `stride`-th call.
fn swept(faults: &[(Option<Call>, Fault)], at: (u64, u64)) -> Swept {
    let mut sweep = Sweep::prepare();
    let mut all = Swept::default();
    for fault in faults {
        all.add(sweep.go(*fault, at));
    }
    assert!(all.broken.is_empty(), "{:#?}", all.broken);
    all
}

#[test]
fn a_failed_flush_acknowledges_nothing_and_the_next_try_is_durable() {
    let faults = [Fault::Error, Fault::Half].map(|fault| (Some(Call::Sync), fault));

    let swept = swept(&faults, (1, 1));

    assert!(swept.refused > 100);
}

#[test]
fn what_a_failed_flush_refused_and_a_killed_program_left_is_durable_before_it_is_read() {
    let killed = Sweep::prepare().kill_after_failed_flushes();

    println!("{killed:?}");
    assert!(killed.broken.is_empty(), "{:#?}", killed.broken);
    assert!(killed.refused > 50, "{killed:?}");
    assert!(killed.shown > 50, "{killed:?}");
    assert!(killed.points > 500, "{killed:?}");
}

#[test]
fn an_error_of_any_call_is_told_and_the_next_try_works() {
    // Each call has its turn in some run; `scripts/torture --cuts` takes all of them in one.
    let swept = swept(&[(None, Fault::Error)], (1, 5));

    assert!(swept.refused > 300);
    assert!(swept.calls.len() > 6, "{:?}", swept.calls);
}

#[test]
fn a_write_that_is_half_done_is_told_and_the_next_try_works() {
    let swept = swept(&[(Some(Call::Write), Fault::Half)], (1, 3));

    assert!(swept.refused > 200);
}

#[test]
fn a_full_disk_at_any_write_refuses_before_anybody_is_told_and_recovers_alone() {
    let swept = swept(&[(Some(Call::Write), Fault::Full)], (1, 2));

    assert!(swept.refused > 300);
}

/// A whole day, its end; what the file beside the ledger says; both sides' files while the programs run.
fn ended() -> (Day, String, [Image; 2]) {
    let mut day = Day::begin();
    day.go();
    let path = day.place(Side::Agent).folder().join("high-water");
    let mark = std::fs::read_to_string(path).expect("it is written");
    let files = Side::BOTH.map(|side| day.place(side).disk.image());
    (day, mark, files)
}

#[test]
fn a_flipped_bit_of_any_page_of_the_books_is_found() {
    let (mut day, mark, _) = ended();
    let home = day.database(Side::Agent);
    // After a clean stop all is in the one file.
    day.stop();

    for side in Side::BOTH {
        let image = day.place(side).disk.image();
        let found = flip((side, &image), side.database(), (&home, Some(&mark)), 8);
        println!("{side:?}: {found:#?}");
        assert!(found.bits > 200);
        assert!(found.by.values().sum::<u64>() > 10);
        assert!(found.silent.is_empty(), "{:#?}", found.silent);
    }
}

#[test]
fn a_flipped_bit_in_the_log_of_a_ledger_cuts_it_there_and_lost_movements_are_noticed() {
    let (day, mark, [ledger, _]) = ended();
    let home = day.database(Side::Agent);

    let found = flip(
        (Side::Agent, &ledger),
        "ledger.sqlite3-wal",
        (&home, Some(&mark)),
        8,
    );

    println!("{found:#?}");
    assert!(found.bits > 200);
    assert!(found.by.values().sum::<u64>() > 100);
    assert!(found.silent.is_empty(), "{:#?}", found.silent);
}

#[test]
fn a_hub_whose_log_has_a_flipped_bit_is_told_by_the_shop_and_filled_again() {
    let (mut day, _, _) = ended();
    let whole = day.moment();
    let levels = day.levels().expect("a hub that is well");
    let mut lives = 0;
    for part in 0..8 {
        day.go_to(&whole.with_a_flipped_bit(Side::Hub, "hub.sqlite3-wal", (part, 8)));
        let before = day.levels().expect("it starts");

        day.exchange().expect("an exchange");

        assert_eq!(day.levels().expect("levels"), levels, "part {part}");
        let problems = day.problems(Side::Hub).expect("it looks");
        assert!(problems.is_empty(), "part {part}: {problems:?}");
        lives += u32::from(before != levels);
    }
    assert!(lives > 4, "{lives} of them had lost something");
}
