//! A file that was torn while nobody looked: the program that starts on it says so and does not write on.

use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rusqlite::Connection;
use vitrina_tests::process::{command, log_of};
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";

#[tokio::test]
async fn an_agent_that_starts_on_a_torn_ledger_names_the_damage_and_stops() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;
    shop.sell("one", RING).await;
    shop.stop();
    let ledger = shop.data.join("ledger.sqlite3");

    // An entry of the index by which a movement that comes again is found; the tables are as they were.
    let conn = Connection::open(&ledger).expect("a ledger");
    let page: i64 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'movement_id'",
            [],
            |row| row.get(0),
        )
        .expect("an index");
    drop(conn);
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&ledger)
        .expect("a file");
    let place = u64::try_from(page).expect("a page") * 4_096 - 10;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).expect("a byte");
    file.write_all_at(&byte.map(|byte| byte ^ 1), place)
        .expect("written");

    let log = std::fs::File::create(log_of(&shop.data)).expect("a log");
    let mut agent = command(
        "vitrina-agent",
        &shop.data,
        &["run", "--listen", "127.0.0.1:0"],
    )
    .stdout(Stdio::null())
    .stderr(log)
    .spawn()
    .expect("it starts");
    let code = until("the agent to stop", || {
        let ended = agent.try_wait().expect("our child");
        async move { ended.ok_or("it runs") }
    })
    .await;

    let said = std::fs::read_to_string(log_of(&shop.data)).expect("a log");
    assert_eq!(code.code(), Some(1), "{said}");
    assert!(said.contains("the ledger is damaged"), "{said}");
    assert!(said.contains("movement_id"), "{said}");
    assert_eq!(shop.cli(&["verify"]).code, 3);
}

/// Writes over the root page of a table or an index.
fn tear(database: &std::path::Path, name: &str) {
    let conn = Connection::open(database).expect("a database");
    let page: u32 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .expect("it is there");
    drop(conn);
    let file = std::fs::File::options()
        .write(true)
        .open(database)
        .expect("a file");
    file.write_all_at(&[0xa5; 4_096], u64::from(page - 1) * 4_096)
        .expect("written");
}

#[tokio::test]
async fn a_damaged_page_is_named_in_one_sentence_with_the_cure() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.stop();
    chain.stop_hub();
    tear(&shop.data.join("ledger.sqlite3"), "state");
    tear(&chain.data().join("hub.sqlite3"), "movement");

    for (args, code) in [
        (&["verify"][..], 3),
        (&["verify", "--repair"][..], 3),
        (&["doctor"][..], 3),
        (&["status"][..], 1),
        (&["run", "--listen", "127.0.0.1:0"][..], 1),
    ] {
        let said = shop.cli(args);
        assert_eq!(said.code, code, "{args:?} {said:?}");
        assert!(said.stderr.contains("frames export FILE"), "{said:?}");
        assert!(!said.stderr.contains("malformed"), "{said:?}");
    }
    let said = chain.cli(&["verify", "--repair"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("restore a backup"), "{said:?}");
}

#[tokio::test]
async fn what_was_not_sent_comes_on_a_stick_from_a_ledger_whose_totals_are_torn() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.link.cut();
    shop.sell("not sent", RING).await;
    shop.stop();
    tear(&shop.data.join("ledger.sqlite3"), "total");
    let stick = chain.path("stick").display().to_string();

    shop.cli(&["frames", "export", &stick]).ok();

    chain.cli(&["frames", "import", &stick]).ok();
    chain.on_hand(RING, 9).await;
}
