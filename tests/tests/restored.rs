//! A shop's disk put back, and one shop on two disks: nothing lost, nothing doubled, nobody acts.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use vitrina_tests::files::copy_folder;
use vitrina_tests::process::{Server, run};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";

#[tokio::test]
async fn yesterdays_folder_put_back_loses_and_doubles_nothing() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.sell("monday", RING).await;
    chain.level_with(&shop).await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);

    shop.start();
    for number in 0..3 {
        shop.sell(&format!("tuesday {number}"), RING).await;
    }
    chain.on_hand(RING, 46).await;
    chain.level_with(&shop).await;
    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    for number in 0..2 {
        shop.sell(&format!("wednesday {number}"), RING).await;
    }
    // Nobody here knows of Tuesday, and that is said: what is on hand is too high.
    let status = shop.cli(&["status"]);
    let told = &status.ok().stdout;
    assert!(
        told.contains("may be too high") && !told.contains("counts once"),
        "{told}"
    );
    let doctor = shop.cli(&["doctor"]);
    assert!(
        doctor.code == 3 && doctor.stdout.contains("let the agent reach the hub"),
        "{doctor:?}"
    );
    shop.link.mend();

    chain.on_hand(RING, 44).await;
    chain.level_with(&shop).await;
    let status = shop.cli(&["status"]);
    let told = &status.ok().stdout;
    assert!(
        told.contains("counts once") && !told.contains("may be too high"),
        "{told}"
    );
    let own = shop.cli(&["stock", RING, "--json"]).ok().json();
    assert_eq!(own["on_hand"], json!(44), "Tuesday came back: {own}");
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

#[tokio::test]
async fn a_restored_shop_keeps_its_cards_and_its_prices() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;article;name;price\n{RING};50;K-1234;Ring;45900,00\n"),
    )
    .await;
    chain.level_with(&shop).await;
    shop.stop();
    let copy = chain.path("copy");
    copy_folder(&shop.data, &copy);
    shop.start();
    shop.sell("forgotten", RING).await;
    chain.on_hand(RING, 49).await;
    shop.stop();
    copy_folder(&copy, &shop.data);
    shop.start();

    let sold = json!({"type": "sale", "barcode": RING, "qty": 1, "price": "39900.00"});
    assert_eq!(shop.book("with a discount", sold).await.status, 201);

    let item = chain.on_hand(RING, 48).await;
    assert_eq!(
        (&item["article"], &item["name"]),
        (&json!("K-1234"), &json!("Ring"))
    );
    assert_eq!(item["levels"][0]["price"]["amount"], json!("45900.00"));
}

#[tokio::test]
async fn one_shop_on_two_machines_counts_every_sale_once() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    let twin = chain.path("twin");
    copy_folder(&shop.data, &twin);

    shop.start();
    let second = Server::start("vitrina-agent", &twin, &["run", "--listen", "127.0.0.1:0"]);
    let token = std::fs::read_to_string(twin.join("terminal.token")).expect("the token was copied");
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    for number in 0..4 {
        shop.sell(&format!("first {number}"), RING).await;
        let sold = http
            .post(format!("{}/v1/movements", second.url))
            .bearer_auth(token.trim())
            .header("idempotency-key", format!("second {number}"))
            .json(&json!({"type": "sale", "barcode": RING, "qty": 1}))
            .send()
            .await
            .expect("the second machine answers");
        assert_eq!(sold.status().as_u16(), 201);
    }

    chain.on_hand(RING, 42).await;
    until("both machines to agree", || async {
        let first = shop.cli(&["stock", RING, "--json"]).ok().json();
        let other = vitrina_tests::process::run("vitrina-agent", &twin, &["stock", RING, "--json"])
            .ok()
            .json();
        let agree = first["on_hand"] == json!(42) && other["on_hand"] == json!(42);
        if agree { Ok(()) } else { Err((first, other)) }
    })
    .await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
}

const STONE: &str = "2000018987162";
const HEAD: &str = "type;till;receipt;line;barcode;qty;price;at\n";

#[tokio::test]
async fn a_shop_restored_with_its_1c_counts_both_contents_of_a_receipt_and_shows_them() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n{STONE};50;2026-11-02 09:00:00\n"),
    )
    .await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);

    // Tuesday: receipt 7 is a ring, receipt 8 another.
    shop.start();
    shop.import(
        "tuesday.csv",
        format!("{HEAD}sale;1;7;1;{RING};1;;2026-11-03 10:00:00\nsale;1;8;1;{RING};1;;2026-11-03 11:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 48).await;
    chain.level_with(&shop).await;
    shop.stop();

    // Monday's folder again, and a 1C that gives receipt 7 to a stone; receipt 8 is entered again as it was.
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    shop.import(
        "again.csv",
        format!("{HEAD}sale;1;7;1;{STONE};1;;2026-11-03 10:30:00\nsale;1;8;1;{RING};1;;2026-11-03 11:00:00\n"),
    )
    .await;
    shop.link.mend();

    chain.level_with(&shop).await;
    chain.on_hand(RING, 48).await;
    chain.on_hand(STONE, 49).await;
    let listed = until("the shop and head office to see both sides", || async {
        let shop = shop.cli(&["quarantine", "list", "--json"]).ok().json();
        let office = chain.cli(&["quarantine", "list", "--json"]).ok().json();
        let told = |list: &serde_json::Value| {
            let items = list["items"].as_array().cloned().unwrap_or_default();
            items.len() == 1 && items[0]["reason"] == json!("receipt_conflict")
        };
        if told(&shop) && told(&office) {
            Ok(shop)
        } else {
            Err((shop, office))
        }
    })
    .await;
    let record = listed["items"][0]["record"].to_string();
    assert!(record.contains(RING) && record.contains(STONE), "{record}");
    let id = listed["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.cli(&["quarantine", "retry", &id]).code, 1);
    shop.cli(&["quarantine", "drop", &id]).ok();
    chain.on_hand(RING, 48).await;

    // The advice is typed as it stands, for the one and for the other: each takes back its own piece.
    let advice = advised(&listed["items"][0]);
    for (told, barcode) in advice.iter().zip([RING, STONE]) {
        assert!(told.contains(&barcode.to_owned()), "{advice:?}");
        let words: Vec<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(
            shop.cli(&words).ok().stdout.trim(),
            if barcode == RING { "49" } else { "50" }
        );
    }
    chain.on_hand(RING, 49).await;
    chain.on_hand(STONE, 50).await;
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

/// The commands in the message of a record, the one about the ring first, as words to type.
fn advised(item: &Value) -> Vec<Vec<String>> {
    let message = item.get("message").and_then(Value::as_str);
    let told = message.unwrap_or_default().split("vitrina-agent ").skip(1);
    let words = |told: &str| {
        let command = told.split(';').next().unwrap_or_default();
        command.split(' ').map(str::to_owned).collect()
    };
    let mut commands: Vec<Vec<String>> = told.map(words).collect();
    assert_eq!(commands.len(), 2, "{item}");
    commands.sort_by_key(|words| !words.iter().any(|word| word == RING));
    commands
}

#[tokio::test]
async fn two_sales_under_one_idempotency_key_are_told_with_advice_that_can_be_followed() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n{STONE};50\n"))
        .await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("one key", RING).await;
    chain.on_hand(RING, 49).await;
    chain.level_with(&shop).await;
    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    shop.sell("one key", STONE).await;
    shop.link.mend();
    chain.on_hand(STONE, 49).await;
    let item = conflict_at(&shop).await;

    let advice = advised(&item);

    let stone = advice.last().expect("two commands");
    assert!(stone.contains(&STONE.to_owned()), "{advice:?}");
    let words: Vec<&str> = stone.iter().map(String::as_str).collect();
    assert_eq!(shop.cli(&words).ok().stdout.trim(), "50");
    chain.on_hand(STONE, 50).await;
    chain.on_hand(RING, 49).await;
}

/// Waits for the one conflict that the shop is shown.
async fn conflict_at(shop: &Shop) -> Value {
    until("the shop to see both sides", || async {
        let list = shop.cli(&["quarantine", "list", "--json"]).ok().json();
        let item = list.pointer("/items/0").cloned().unwrap_or_default();
        if item.get("reason") == Some(&json!("receipt_conflict")) {
            Ok(item)
        } else {
            Err(list)
        }
    })
    .await
}

#[tokio::test]
async fn a_sale_booked_with_and_without_its_till_by_a_restored_shop_is_shown() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n"),
    )
    .await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.import(
        "tuesday.csv",
        format!("{HEAD}sale;1;7;1;{RING};1;;2026-11-03 10:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 49).await;
    chain.level_with(&shop).await;
    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    let sale = json!({"type": "sale", "barcode": RING, "qty": 1, "receipt": "7", "line": 1, "at": "2026-11-03T10:00:00"});
    let sold = shop.book("again", sale).await;
    assert_eq!(sold.status, 201, "{sold:?}");
    shop.link.mend();

    chain.on_hand(RING, 48).await;
    let item = conflict_at(&shop).await;
    let words = &advised(&item)[0];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    shop.cli(&words).ok();
    chain.on_hand(RING, 49).await;
    // The till that came back from the hub is the one that is meant where none is named.
    let next = json!({"type": "sale", "barcode": RING, "qty": 1, "receipt": "8", "line": 1, "at": "2026-11-03T11:00:00"});
    assert_eq!(shop.book("next", next).await.status, 201);
    shop.import(
        "later.csv",
        format!("{HEAD}sale;1;8;1;{RING};1;;2026-11-03 11:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 48).await;
    chain.balances_with([&shop]);
}

/// The open work items about receipt lines, once there are so many.
async fn conflicts(chain: &Chain, count: usize) -> Vec<Value> {
    until(&format!("{count} conflicts"), || async {
        let path = "/v1/alerts?kind=receipt_conflict";
        let items = chain.office(path).await.items();
        if items.len() == count {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await
}

#[tokio::test]
async fn each_receipt_line_that_counts_twice_is_one_work_item_until_one_of_the_two_is_taken_back() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    let balances =
        format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n{STONE};50;2026-11-02 09:00:00\n");
    shop.open(&chain, &balances).await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    let sold = |code: &str| {
        let line = |receipt| format!("sale;1;{receipt};1;{code};1;;2026-11-03 10:00:00\n");
        format!("{HEAD}{}{}", line(7), line(8))
    };
    shop.import("tuesday.csv", sold(RING)).await;
    chain.on_hand(RING, 48).await;
    chain.level_with(&shop).await;
    shop.stop();

    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    shop.import("again.csv", sold(STONE)).await;
    shop.link.mend();
    chain.on_hand(STONE, 48).await;
    chain.level_with(&shop).await;
    until("the shop's own records of it to be at the hub", || async {
        let records = chain.cli(&["quarantine", "list", "--json"]).ok().json();
        let count = records["items"].as_array().map(Vec::len);
        if count == Some(2) {
            Ok(())
        } else {
            Err(records)
        }
    })
    .await;
    until(
        "the hub's own entries to name the shop's records",
        || async {
            let items = conflicts(&chain, 2).await;
            let is_named = |item: &Value| item["evidence"]["record_id"].is_string();
            if items.iter().all(is_named) {
                Ok(())
            } else {
                Err(items)
            }
        },
    )
    .await;

    let cancel = "cancel;1;7;1;;;;2026-11-03 10:00:00\n";
    shop.import("cancelled.csv", format!("{HEAD}{cancel}"))
        .await;
    let left = conflicts(&chain, 1).await;
    assert_eq!(left[0]["evidence"]["line"]["receipt"], json!("8"));
    let record = left[0]["evidence"]["record_id"].as_str().expect("a record");
    shop.cli(&["quarantine", "drop", record]).ok();
    conflicts(&chain, 0).await;
}

#[tokio::test]
async fn a_write_ahead_log_that_was_deleted_after_a_crash_loses_nothing_the_hub_has() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    shop.start();
    for number in 0..5 {
        shop.sell(&format!("before {number}"), RING).await;
    }
    chain.on_hand(RING, 45).await;
    chain.level_with(&shop).await;
    shop.kill();
    for ending in ["-wal", "-shm"] {
        let name = format!("ledger.sqlite3{ending}");
        std::fs::remove_file(shop.data.join(name)).expect("a crash leaves it");
    }
    shop.link.cut();
    shop.start();
    for number in 0..2 {
        shop.sell(&format!("after {number}"), RING).await;
    }
    // The till repeats a sale of which the ledger forgot.
    shop.sell("before 4", RING).await;
    shop.link.mend();

    chain.on_hand(RING, 43).await;
    chain.level_with(&shop).await;
    until("the forgotten sales to come back", || async {
        let own = shop.cli(&["stock", RING, "--json"]).ok().json();
        if own["on_hand"] == json!(43) {
            Ok(())
        } else {
            Err(own)
        }
    })
    .await;
    let told = shop.cli(&["status"]).ok().stdout.clone();
    assert!(told.contains("counts once"), "{told}");
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

/// The ids of the movements in a list that count.
fn counting(list: &Value) -> Vec<String> {
    let items = list.get("items").and_then(Value::as_array);
    let counting = items
        .into_iter()
        .flatten()
        .filter(|item| item.get("state") == Some(&json!("counts")));
    let ids = counting.filter_map(|item| item.get("id").and_then(Value::as_str));
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    ids
}

/// So many sales at the hub and in the shop's own list: the same ones, each once.
async fn each_sale_once(chain: &Chain, shop: &Shop, sales: usize) {
    chain.level_with(shop).await;
    until("hub and shop to list the same sales", || async {
        let path = "/v1/movements?shop=S001&type=sale&limit=1000";
        let at_hub = chain.office(path).await.body;
        let at_hub = counting(&at_hub);
        let at_shop = shop.cli(&["sales", "--json"]).ok().json();
        let at_shop = counting(&at_shop);
        let different: BTreeSet<_> = at_hub.iter().collect();
        if at_hub == at_shop && at_hub.len() == sales && different.len() == sales {
            Ok(())
        } else {
            Err((at_hub, at_shop))
        }
    })
    .await;
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

#[tokio::test]
async fn monday_comes_back_at_shop_and_hub_and_in_the_1c_and_every_sale_counts_once() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n{STONE};50;2026-11-02 09:00:00\n"),
    )
    .await;
    shop.sell("monday", RING).await;
    chain.level_with(&shop).await;
    shop.stop();
    chain.stop_hub();
    let (monday, hubs_monday) = (chain.path("monday"), chain.path("hub's monday"));
    copy_folder(&shop.data, &monday);
    copy_folder(&chain.data(), &hubs_monday);

    // Tuesday: three sales at the till, two by file.
    chain.start_hub();
    shop.start();
    for number in 0..3 {
        shop.sell(&format!("tuesday {number}"), RING).await;
    }
    shop.import(
        "tuesday.csv",
        format!("{HEAD}sale;1;7;1;{RING};1;;2026-11-03 10:00:00\nsale;1;8;1;{RING};1;;2026-11-03 11:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 44).await;
    each_sale_once(&chain, &shop, 6).await;
    shop.stop();

    // Wednesday: Monday's folder is put back, the line is cut, three sales; then the line comes back.
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    for number in 0..3 {
        shop.sell(&format!("wednesday {number}"), RING).await;
    }
    assert_eq!(shop.status()["pending"], json!(3));
    shop.link.mend();
    chain.on_hand(RING, 41).await;
    each_sale_once(&chain, &shop, 9).await;
    let told = shop.cli(&["status"]).ok().stdout.clone();
    assert!(
        told.contains("this ledger was restored") && told.contains("counts once"),
        "{told}"
    );

    thursday(&chain, &shop, &monday).await;
    each_sale_once(&chain, &shop, 13).await;

    // Friday: the hub's folder is Monday's, and the shop fills it again.
    chain.stop_hub();
    copy_folder(&hubs_monday, &chain.data());
    chain.start_hub();
    chain.on_hand(RING, 37).await;
    each_sale_once(&chain, &shop, 13).await;

    saturday(&chain, &mut shop, &monday).await;
    each_sale_once(&chain, &shop, 14).await;
}

/// Monday's folder runs on a second machine beside the first, and both sell twice.
async fn thursday(chain: &Chain, shop: &Shop, monday: &Path) {
    let twin = chain.path("twin");
    copy_folder(monday, &twin);
    let second = Server::start("vitrina-agent", &twin, &["run", "--listen", "127.0.0.1:0"]);
    for number in 0..2 {
        shop.sell(&format!("thursday {number}"), RING).await;
        let sold = run("vitrina-agent", &twin, &["move", "sale", RING]);
        assert_eq!(sold.code, 0, "{sold:?}");
    }
    chain.on_hand(RING, 37).await;
    until("head office to be told of the second machine", || async {
        let told = chain.cli(&["shop", "show", "S001"]).ok().stdout.clone();
        if told.contains("Two running machines") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    assert_eq!(second.stop(), 0);
}

/// Shop and 1C are Monday's. The 1C gives receipt 7 to a stone, and receipt 8 comes as it was: both contents of receipt 7
/// are shown.
async fn saturday(chain: &Chain, shop: &mut Shop, monday: &Path) {
    shop.stop();
    copy_folder(monday, &shop.data);
    shop.link.cut();
    shop.start();
    shop.import(
        "again.csv",
        format!("{HEAD}sale;1;7;1;{STONE};1;;2026-11-03 10:30:00\nsale;1;8;1;{RING};1;;2026-11-03 11:00:00\n"),
    )
    .await;
    shop.link.mend();
    chain.on_hand(STONE, 49).await;
    chain.on_hand(RING, 37).await;
    until("shop and head office to see both contents", || async {
        let lists = [
            shop.cli(&["quarantine", "list", "--json"]).ok().json(),
            chain.cli(&["quarantine", "list", "--json"]).ok().json(),
        ];
        let is_told = |list: &Value| {
            let items = list.get("items").and_then(Value::as_array);
            let Some([item]) = items.map(Vec::as_slice) else {
                return false;
            };
            let record = item.get("record").map(Value::to_string).unwrap_or_default();
            item.get("reason") == Some(&json!("receipt_conflict"))
                && record.contains(RING)
                && record.contains(STONE)
        };
        if lists.iter().all(is_told) {
            Ok(())
        } else {
            Err(lists)
        }
    })
    .await;
}

/// The part of `status` or `doctor` that tells of what is lost.
const LOST: &str = "are known to have existed and are lost: count the shelf";

/// The power fails and takes the write-ahead log along, after the last of four movements was marked beside the ledger.
async fn lose_the_log(shop: &mut Shop) {
    let mark = shop.data.join("high-water");
    until("the last sale to be marked beside the ledger", || async {
        let said = std::fs::read_to_string(&mark).unwrap_or_default();
        if said.trim().ends_with(" 4") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    shop.kill();
    for ending in ["-wal", "-shm"] {
        let name = format!("ledger.sqlite3{ending}");
        std::fs::remove_file(shop.data.join(name)).expect("a crash leaves it");
    }
}

#[tokio::test]
async fn sales_that_neither_ledger_nor_hub_has_are_named_until_the_shelf_is_counted() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    chain.stop_hub();
    shop.start();
    for number in 0..3 {
        shop.sell(&format!("lost {number}"), RING).await;
    }
    lose_the_log(&mut shop).await;

    shop.start();
    shop.sell("after", RING).await;
    let told = shop.cli(&["status"]).ok().stdout.clone();
    assert!(told.contains("the hub has not said yet"), "{told}");
    assert!(!told.contains("every movement is kept"), "{told}");
    chain.start_hub();

    until("the shop to name what is lost", || async {
        let told = shop.cli(&["status"]).ok().stdout.clone();
        if told.contains(LOST) && told.contains("3 movements") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let doctor = shop.cli(&["doctor"]);
    assert!(
        doctor.code == 3 && doctor.stdout.contains(LOST),
        "{doctor:?}"
    );
    let office = until("head office to have one work item", || async {
        let alerts = chain.cli(&["alert", "list", "--json"]).ok().json();
        let items = alerts["items"].as_array().cloned().unwrap_or_default();
        let is_lost = |item: &&Value| item["kind"] == json!("lost_movements");
        if items.iter().filter(is_lost).count() == 1 {
            Ok(chain.cli(&["shop", "show", "S001"]).ok().stdout.clone())
        } else {
            Err(alerts)
        }
    })
    .await;
    assert!(
        office.contains("are lost, count the shelf: 3 ("),
        "{office}"
    );
    assert!(!office.contains("Every movement is kept"), "{office}");

    // What is lost is not forgotten by a restart, and a person ends it.
    shop.stop();
    assert_eq!(shop.cli(&["doctor"]).code, 3);
    shop.start();
    shop.cli(&["doctor", "--counted"]);
    let status = shop.cli(&["status"]).ok().stdout.clone();
    assert!(status.contains("the shelf was counted"), "{status}");
    assert!(!status.contains("every movement is kept"), "{status}");
    until("the work item to end", || async {
        let alerts = chain.cli(&["alert", "list"]).ok().stdout.clone();
        if alerts.contains("lost_movements") {
            Err(alerts)
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn no_sale_is_acknowledged_into_a_ledger_that_was_replaced() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday", RING).await;
    chain.on_hand(RING, 49).await;
    shop.link.cut();

    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(shop.data.join(format!("ledger.sqlite3{ending}")));
    }
    std::fs::copy(
        monday.join("ledger.sqlite3"),
        shop.data.join("ledger.sqlite3"),
    )
    .expect("a copy");
    let sale = json!({"type": "sale", "barcode": RING, "qty": 1});
    let refused = shop.book("into nowhere", sale).await;
    assert!(refused.status.is_server_error(), "{refused:?}");
    let agent = shop.agent.take().expect("an agent");
    assert_eq!(agent.stop(), 1);
    let log = vitrina_tests::process::logged(&shop.data);
    assert!(log.contains("was deleted or replaced"), "{log}");

    shop.link.mend();
    shop.start();
    shop.sell("into nowhere", RING).await;
    chain.on_hand(RING, 48).await;
    chain.level_with(&shop).await;
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_named_and_none_is_made_until_the_shop_enrols_anew() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    let ledger = shop.data.join("ledger.sqlite3");
    std::fs::rename(&ledger, chain.path("away")).expect("moved away");

    for (args, code) in [
        (&["doctor"][..], 3),
        (&["verify"][..], 3),
        (&["run", "--listen", "127.0.0.1:0"][..], 1),
    ] {
        let said = shop.cli(args);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.stderr.contains("is gone: restore it"), "{said:?}");
        assert!(said.stderr.contains("shop recode"), "{said:?}");
        assert!(!ledger.exists());
    }

    enrol_anew(&chain, &shop);
    shop.start();
    shop.sell("anew", RING).await;
    chain.on_hand(RING, 49).await;
}

#[tokio::test]
async fn a_device_key_that_is_gone_is_made_anew_by_an_enrolment_and_every_movement_stays() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    std::fs::remove_file(shop.data.join("device.key")).expect("it was there");

    for (verb, code) in [("status", 1), ("doctor", 3)] {
        let said = shop.cli(&[verb]);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.stderr.contains("shop recode"), "{said:?}");
    }

    enrol_anew(&chain, &shop);
    shop.start();
    shop.sell("with another key", RING).await;
    chain.on_hand(RING, 49).await;
    chain.level_with(&shop).await;
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

/// A new code, on the same folder.
fn enrol_anew(chain: &Chain, shop: &Shop) {
    let code = chain.cli(&["shop", "recode", "S001", "--json"]).ok().json();
    let code = code.get("code").and_then(Value::as_str).expect("a code");
    shop.cli(&["enrol", "--hub", &shop.link.url, "--code", code])
        .ok();
}
