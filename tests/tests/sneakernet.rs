//! Frames on a stick: the exchange of a shop without a line, in any order with the line, any number of times.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use vitrina_tests::files::copy_folder;
use vitrina_tests::process::{Ended, run};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";
const HEAD: &str = "type;till;receipt;line;barcode;qty;price;at\n";

/// A shop with ten rings that the hub knows of, and then no line.
async fn alone(chain: &Chain, id: &str) -> Shop {
    let opening = format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n");
    let shop = chain.opened(id, &opening).await;
    shop.link.cut();
    shop
}

fn path(chain: &Chain, name: &str) -> String {
    chain.path(name).display().to_string()
}

/// `frames export` at the shop.
fn export(chain: &Chain, shop: &Shop, name: &str) -> Value {
    shop.cli(&["frames", "export", &path(chain, name), "--json"])
        .ok()
        .json()
}

/// `frames import` at the hub.
fn import(chain: &Chain, name: &str) -> Value {
    let ended = chain.cli(&["frames", "import", &path(chain, name), "--json"]);
    ended.ok().json()
}

fn refused(ended: &Ended, cure: &str) {
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains(cure), "{ended:?}");
}

fn quarantined(ended: &Ended) -> Vec<Value> {
    let listed = ended.ok().json();
    let items = listed.get("items").and_then(Value::as_array);
    items.cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_shop_without_a_line_comes_by_stick_and_the_line_after_it_changes_nothing() {
    let chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    for number in 0..3 {
        shop.sell(&format!("alone {number}"), RING).await;
    }
    shop.drop_and_wait(
        "pos.csv",
        format!("{HEAD}sale;1;1;1;{RING};x;;2026-11-20 10:00:00\n"),
    )
    .await;

    let exported = export(&chain, &shop, "one.stick");
    let brought = import(&chain, "one.stick");

    assert_eq!(
        (&exported["movements"], &exported["frames"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        (&brought["shop"], &brought["merged"]),
        (&json!("S001"), &json!(3))
    );
    chain.on_hand(RING, 7).await;
    assert_eq!(
        quarantined(&chain.cli(&["quarantine", "list", "--json"])).len(),
        1
    );
    assert_eq!(shop.status()["pending"], json!(3), "nobody told the shop");
    let again = import(&chain, "one.stick");
    assert_eq!(
        (&again["movements"], &again["merged"]),
        (&json!(3), &json!(0))
    );

    shop.link.mend();
    chain.level_with(&shop).await;
    chain.on_hand(RING, 7).await;
    assert_eq!(import(&chain, "one.stick")["merged"], json!(0));
    chain.on_hand(RING, 7).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_stick_that_comes_after_the_line_takes_nothing_back() {
    let chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    shop.sell("alone", RING).await;
    shop.drop_and_wait(
        "pos.csv",
        format!("{HEAD}sale;1;1;1;{RING};x;;2026-11-20 10:00:00\n"),
    )
    .await;
    export(&chain, &shop, "late.stick");
    shop.link.mend();
    chain.level_with(&shop).await;
    let open = quarantined(&shop.cli(&["quarantine", "list", "--json"]));
    let id = open[0]["id"].as_str().expect("an id");
    shop.cli(&["quarantine", "drop", id]).ok();
    shop.sell("with the line", RING).await;
    let nothing_open = || async {
        let open = quarantined(&chain.cli(&["quarantine", "list", "--json"]));
        if open.is_empty() { Ok(()) } else { Err(open) }
    };
    until(
        "head office to hear that the record was dropped",
        nothing_open,
    )
    .await;

    assert_eq!(import(&chain, "late.stick")["merged"], json!(0));

    chain.on_hand(RING, 8).await;
    assert!(nothing_open().await.is_ok(), "the stick knew it as open");
    chain.balances_with([&shop]);
}

/// Puts the ledger back so that it cannot notice: the same file, the same machine, the mark beside it too.
fn put_back_unnoticed(from: &Path, shop: &Shop) {
    for name in ["ledger.sqlite3", "high-water"] {
        let old = std::fs::read(from.join(name)).expect("the copy");
        std::fs::write(shop.data.join(name), old).expect("it goes back");
    }
}

#[tokio::test]
async fn stick_of_a_forked_history_enters_under_its_branch_exactly_once() {
    let chain = Chain::start();
    let mut shop = alone(&chain, "S001").await;
    shop.stop();
    let (monday, old_disk) = (chain.path("monday"), chain.path("old-disk"));
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday 1", RING).await;
    shop.sell("tuesday 2", RING).await;
    let replica = shop.status()["replica"].clone();
    shop.stop();
    copy_folder(&shop.data, &old_disk);

    // The machine is put back to Monday, does not notice, and writes other sales under the same places.
    put_back_unnoticed(&monday, &shop);
    shop.start();
    let sold = shop.sell("wednesday", RING).await;
    assert_eq!(sold["replica"], replica, "the fork is made");
    shop.link.mend();
    chain.on_hand(RING, 9).await;
    chain.level_with(&shop).await;

    // The old disk is found and read on any machine.
    let stick = path(&chain, "old.stick");
    let exported = run(
        "vitrina-agent",
        &old_disk,
        &["frames", "export", &stick, "--json"],
    );
    assert_eq!(exported.ok().json()["movements"], json!(2));
    let brought = import(&chain, "old.stick");

    assert_eq!(
        (&brought["merged"], &brought["branched"]),
        (&json!(2), &json!(1)),
        "{brought}"
    );
    chain.on_hand(RING, 7).await;
    assert_eq!(import(&chain, "old.stick")["merged"], json!(0));
    chain.on_hand(RING, 7).await;
    let full = run(
        "vitrina-agent",
        &old_disk,
        &["frames", "export", "--full", &stick, "--json"],
    );
    assert_eq!(full.ok().json()["movements"], json!(3));
    assert_eq!(import(&chain, "old.stick")["merged"], json!(0));
    until("the shop to have Tuesday too", || async {
        let own = shop.cli(&["stock", RING, "--json"]).ok().json();
        if own["on_hand"] == json!(7) {
            Ok(())
        } else {
            Err(own)
        }
    })
    .await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn late_frame_after_restore_counts_once_and_says_nothing_of_the_shop_today() {
    let chain = Chain::start();
    let mut shop = alone(&chain, "S001").await;
    shop.stop();
    let (monday, old_disk) = (chain.path("monday"), chain.path("old-disk"));
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday", RING).await;
    shop.stop();
    copy_folder(&shop.data, &old_disk);
    copy_folder(&monday, &shop.data);
    shop.link.mend();
    shop.start();
    shop.sell("wednesday", RING).await;
    chain.on_hand(RING, 9).await;
    chain.level_with(&shop).await;
    // From here on nobody hears of the shop.
    shop.stop();
    let heard = |chain: &Chain| {
        let shown = chain.cli(&["shop", "list", "--json"]).ok().json();
        shown["items"][0]["last_exchange_at"].clone()
    };
    let before = heard(&chain);

    let stick = path(&chain, "old.stick");
    run("vitrina-agent", &old_disk, &["frames", "export", &stick]).ok();
    assert_eq!(import(&chain, "old.stick")["merged"], json!(1));

    chain.on_hand(RING, 8).await;
    assert_eq!(heard(&chain), before, "an old disk is no news of the shop");
    shop.start();
    chain.level_with(&shop).await;
    chain.on_hand(RING, 8).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_stick_that_is_damaged_or_of_somebody_else_is_refused_whole() {
    let chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    let neighbour = alone(&chain, "S002").await;
    shop.sell("alone", RING).await;
    export(&chain, &shop, "good.stick");
    let good = std::fs::read(chain.path("good.stick")).expect("the stick");
    let at_hub = |bytes: &[u8]| {
        std::fs::write(chain.path("bad.stick"), bytes).expect("a file");
        chain.cli(&["frames", "import", &path(&chain, "bad.stick")])
    };

    for at in [20, 40, good.len() / 2, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 4;
        refused(&at_hub(&flipped), "is damaged");
    }
    refused(&at_hub(&good[..good.len() - 40]), "export it again");
    refused(&at_hub(b"barcode;qty\n"), "no frames of Vitrina");
    refused(
        &shop.cli(&["frames", "import", &path(&chain, "good.stick")]),
        "bound for the hub",
    );
    let stranger = Chain::start();
    refused(
        &stranger.cli(&["frames", "import", &path(&chain, "good.stick")]),
        "not from a shop of this hub",
    );
    chain.on_hand(RING, 20).await;

    let for_s002 = path(&chain, "s002.stick");
    chain
        .cli(&["frames", "export", "--shop", "S002", &for_s002])
        .ok();
    refused(&shop.cli(&["frames", "import", &for_s002]), "--shop S001");
    stranger
        .cli(&["shop", "add", "S002", "--name", "A namesake"])
        .ok();
    stranger
        .cli(&["frames", "export", "--shop", "S002", &for_s002])
        .ok();
    refused(
        &neighbour.cli(&["frames", "import", &for_s002]),
        "not signed by the hub",
    );
    refused(
        &chain.cli(&["frames", "export", "--shop", "S009", &for_s002]),
        "shop list",
    );
    assert_eq!(import(&chain, "good.stick")["merged"], json!(1));
    chain.balances_with([&shop, &neighbour]);
}

#[tokio::test]
async fn a_stick_of_a_revoked_shop_is_refused_until_the_disk_is_enrolled_again() {
    let chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    shop.sell("alone", RING).await;
    export(&chain, &shop, "one.stick");
    chain.cli(&["shop", "revoke", "S001"]).ok();

    refused(
        &chain.cli(&["frames", "import", &path(&chain, "one.stick")]),
        "shop recode S001",
    );

    let code = chain.cli(&["shop", "recode", "S001", "--json"]).ok().json();
    let code = code["code"].as_str().expect("a code").to_owned();
    shop.link.mend();
    shop.cli(&["enrol", "--hub", &shop.link.url, "--code", &code])
        .ok();
    shop.link.cut();
    export(&chain, &shop, "two.stick");
    import(&chain, "two.stick");
    chain.on_hand(RING, 9).await;
}

#[tokio::test]
async fn a_stick_of_the_hub_brings_settings_prices_and_acknowledgements_and_an_older_one_nothing() {
    let chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    let priced = |price: &str| {
        let file = chain.path("prices.csv");
        std::fs::write(
            &file,
            format!("barcode;article;name;price\n{RING};K-1;Ring;{price}\n"),
        )
        .expect("a file");
        chain.cli(&["import", &file.display().to_string()]).ok();
    };
    let for_shop = |name: &str| {
        let file = path(&chain, name);
        chain
            .cli(&["frames", "export", "--shop", "S001", &file])
            .ok();
    };
    let taken = |name: &str| {
        let ended = shop.cli(&["frames", "import", &path(&chain, name), "--json"]);
        ended.ok().json()
    };
    priced("100,00");
    for_shop("old.stick");
    shop.sell("one", RING).await;
    shop.sell("two", RING).await;
    export(&chain, &shop, "up.stick");
    import(&chain, "up.stick");
    priced("200,00");
    chain
        .cli(&["shop", "set", "S001", "--source", "balances"])
        .ok();
    for_shop("new.stick");

    let first = taken("new.stick");

    assert_eq!(
        (&first["acked"], &first["pending"]),
        (&json!(2), &json!(0)),
        "{first}"
    );
    let stands = || async {
        let item = shop
            .call(
                reqwest::Method::GET,
                &format!("/v1/stock/{RING}"),
                None,
                &[],
            )
            .await
            .body;
        assert_eq!(item["price"]["amount"], json!("200.00"), "{item}");
        assert_eq!(item["on_hand"], json!(8), "{item}");
        let source = shop.cli(&["source", "show", "--json"]).ok().json();
        assert_eq!(source["wanted"], json!("balances"), "{source}");
        assert_eq!(shop.status()["pending"], json!(0));
    };
    stands().await;
    assert_eq!(taken("old.stick")["older"], json!(true));
    stands().await;
    assert_eq!(
        taken("new.stick")["older"],
        json!(false),
        "the same again is harmless"
    );
    stands().await;

    shop.link.mend();
    chain.level_with(&shop).await;
    chain.on_hand(RING, 8).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_restored_shop_without_a_line_gets_its_history_back_by_stick() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday", RING).await;
    chain.on_hand(RING, 9).await;
    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.link.cut();

    // Nothing runs at the shop yet.
    let stick = path(&chain, "history.stick");
    chain
        .cli(&["frames", "export", "--shop", "S001", &stick])
        .ok();
    let brought = shop
        .cli(&["frames", "import", &stick, "--json"])
        .ok()
        .json();

    assert_eq!(
        (&brought["taken"], &brought["minted"]),
        (&json!(1), &json!(true)),
        "{brought}"
    );
    shop.start();
    assert_eq!(shop.sell("wednesday", RING).await["on_hand"], json!(8));
    export(&chain, &shop, "back.stick");
    assert_eq!(import(&chain, "back.stick")["merged"], json!(1));
    chain.on_hand(RING, 8).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_stick_whose_beginning_the_hub_lacks_asks_for_the_whole_or_is_taken_as_an_orphan() {
    let mut chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    let backup = path(&chain, "backup");
    chain.cli(&["backup", &backup]).ok();
    shop.sell("acknowledged", RING).await;
    chain.on_hand(RING, 9).await;
    chain.level_with(&shop).await;
    shop.link.cut();
    shop.sell("alone", RING).await;
    chain.stop_hub();
    chain.cli(&["restore", &backup]).ok();
    chain.start_hub();
    export(&chain, &shop, "tail.stick");
    let tail = path(&chain, "tail.stick");

    refused(&chain.cli(&["frames", "import", &tail]), "--full");
    chain.on_hand(RING, 10).await;
    let orphan = |chain: &Chain| {
        let ended = chain.cli(&["frames", "import", "--orphan", &tail, "--json"]);
        ended.ok().json()
    };
    assert_eq!(orphan(&chain)["merged"], json!(1));
    chain.on_hand(RING, 9).await;
    assert_eq!(orphan(&chain)["merged"], json!(0));

    let whole = path(&chain, "whole.stick");
    shop.cli(&["frames", "export", "--full", &whole]).ok();
    chain.cli(&["frames", "import", &whole]).ok();
    chain.on_hand(RING, 8).await;
    shop.link.mend();
    chain.level_with(&shop).await;
    chain.on_hand(RING, 8).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn months_of_sales_go_on_one_stick_in_bounded_frames() {
    let mut chain = Chain::start();
    let shop = alone(&chain, "S001").await;
    let mut file = HEAD.to_owned();
    for number in 1..=6_000 {
        let _ = writeln!(file, "receipt;1;{number};1;{STONE};1;;2026-11-20 10:00:00");
    }
    shop.import("months.csv", file).await;

    let exported = export(&chain, &shop, "months.stick");
    // Neither program runs while the stick is taken.
    chain.stop_hub();
    let brought = import(&chain, "months.stick");

    assert_eq!(exported["movements"], json!(6_000));
    assert!(exported["frames"].as_u64() > Some(1), "{exported}");
    assert_eq!(brought["merged"], json!(6_000));
    chain.start_hub();
    chain.on_hand(STONE, 6_000).await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
}
