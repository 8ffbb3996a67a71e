//! A hub that goes back in time, however it does: its shops refill it, and no reader is told an old truth.

use serde_json::{Value, json};
use vitrina_tests::files::copy_folder;
use vitrina_tests::process::{Server, run};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";

/// Two shops with ten rings each.
async fn two_shops(chain: &Chain) -> [Shop; 2] {
    let shops = ["S001", "S002"].map(|id| chain.shop(id, &[]));
    for shop in &shops {
        shop.open(chain, &format!("barcode;qty\n{RING};10\n")).await;
    }
    chain.on_hand(RING, 20).await;
    shops
}

/// Where a reader of the feed stands.
async fn cursor(chain: &Chain) -> String {
    let snapshot = chain.get("/v1/snapshot").await;
    snapshot.header("vitrina-cursor").to_owned()
}

/// The reader's way on: his cursor is gone, a snapshot and its cursor are there.
async fn reader_begins_anew(chain: &Chain, old: &str) {
    let gone = chain.get(&format!("/v1/changes?since={old}")).await;
    assert_eq!((gone.status.as_u16(), gone.code()), (410, "cursor_expired"));
    let new = cursor(chain).await;
    let page = chain.get(&format!("/v1/changes?since={new}")).await;
    assert_eq!(page.status.as_u16(), 200, "{page:?}");
}

/// The number of the life that the hub is in.
fn life(chain: &Chain) -> Value {
    let shown = chain.cli(&["shop", "show", "S001", "--json"]).ok().json();
    shown
        .pointer("/hub_life/ordinal")
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_hub_restored_by_command_is_refilled_by_its_shops() {
    let mut chain = Chain::start();
    let shops = two_shops(&chain).await;
    let copy = chain.path("monday.sqlite3").display().to_string();
    chain.cli(&["backup", &copy]).ok();
    shops[0].sell("tuesday", RING).await;
    shops[1].sell("tuesday", RING).await;
    chain.on_hand(RING, 18).await;
    let old = cursor(&chain).await;
    assert_eq!(chain.cli(&["restore", &copy]).code, 1, "beside a server");

    chain.stop_hub();
    chain.cli(&["restore", &copy]).ok();
    chain.start_hub();

    chain.on_hand(RING, 18).await;
    assert_eq!(life(&chain), json!(2));
    reader_begins_anew(&chain, &old).await;
    shops[0].sell("wednesday", RING).await;
    chain.on_hand(RING, 17).await;
    chain.balances_with(&shops);
}

#[tokio::test]
async fn a_hub_whose_folder_was_put_back_is_found_out_by_its_shops() {
    let mut chain = Chain::start();
    let shops = two_shops(&chain).await;
    chain.stop_hub();
    let monday = chain.path("monday");
    copy_folder(&chain.data(), &monday);
    chain.start_hub();
    shops[0].sell("tuesday", RING).await;
    shops[1].sell("tuesday", RING).await;
    chain.on_hand(RING, 18).await;
    for shop in &shops {
        chain.level_with(shop).await;
    }
    let old = cursor(&chain).await;

    chain.stop_hub();
    copy_folder(&monday, &chain.data());
    chain.start_hub();

    chain.on_hand(RING, 18).await;
    assert_eq!(life(&chain), json!(2));
    reader_begins_anew(&chain, &old).await;
    chain.balances_with(&shops);
}

#[tokio::test]
async fn a_hub_whose_database_alone_was_put_back_knows_it_by_itself() {
    let mut chain = Chain::start();
    let shops = two_shops(&chain).await;
    chain.stop_hub();
    let (database, copy) = (chain.data().join("hub.sqlite3"), chain.path("copy"));
    std::fs::copy(&database, &copy).expect("a copy");
    chain.start_hub();
    shops[0].sell("tuesday", RING).await;
    chain.on_hand(RING, 19).await;
    let old = cursor(&chain).await;
    for shop in &shops {
        shop.link.cut();
    }
    chain.stop_hub();
    std::fs::copy(&copy, &database).expect("the copy goes back");
    chain.start_hub();

    // Nobody was heard from: what the copy says is no promise.
    reader_begins_anew(&chain, &old).await;
    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
    let levels = item["levels"].as_array().expect("levels").clone();
    assert!(
        levels
            .iter()
            .all(|level| level["confidence"] == json!("unknown")),
        "{item}"
    );
    for shop in &shops {
        shop.link.mend();
    }
    chain.on_hand(RING, 19).await;
    chain.balances_with(&shops);
}

#[tokio::test]
async fn a_hub_without_its_database_asks_before_it_begins_anew_and_is_refilled() {
    let mut chain = Chain::start();
    let shops = two_shops(&chain).await;
    shops[0].sell("one", RING).await;
    chain.on_hand(RING, 19).await;
    let old = cursor(&chain).await;
    chain.stop_hub();
    std::fs::remove_file(chain.data().join("hub.sqlite3")).expect("it is gone");

    let refused = run("vitrina-hub", &chain.data(), &["serve"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("serve --init"), "{refused:?}");

    let listen = chain.url.trim_start_matches("http://").to_owned();
    let hub = Server::start(
        "vitrina-hub",
        &chain.data(),
        &["serve", "--init", "--listen", &listen],
    );
    chain.take_over(hub);
    let key = chain.cli(&[
        "key", "add", "--role", "website", "--name", "site", "--json",
    ]);
    key.ok().json()["key"]
        .as_str()
        .expect("a key")
        .clone_into(&mut chain.website);

    // What a shop is called, and whether the website shows it, only a person knows.
    until("both shops to be back, off the website", || async {
        let listed = chain.cli(&["shop", "list", "--json"]).ok().json();
        let told = |shop: &Value| shop["publish"] == json!(false);
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 2 && items.iter().all(told) {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
    for shop in &shops {
        chain
            .cli(&["shop", "set", &shop.id, "--publish", "on"])
            .ok();
    }
    chain.on_hand(RING, 19).await;
    reader_begins_anew(&chain, &old).await;
    shops[1].sell("two", RING).await;
    chain.on_hand(RING, 18).await;
    chain.balances_with(&shops);
}

/// Waits until so many shops that came back are not resolved, and gives them.
async fn found(chain: &Chain, count: usize) -> Vec<Value> {
    until(&format!("{count} shops that came back"), || async {
        let items = chain.office("/v1/alerts?kind=shop_found").await.items();
        if items.len() == count {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await
}

#[tokio::test]
async fn a_shop_that_the_copy_did_not_know_is_told_until_it_is_on_the_website() {
    let mut chain = Chain::start();
    let known = chain.opened("S001", "barcode;qty\n").await;
    let copy = chain.path("copy.sqlite3");
    let copy = copy.to_str().expect("a name").to_owned();
    chain.cli(&["backup", &copy]).ok();
    let later = chain
        .opened("S002", &format!("barcode;qty\n{RING};10\n"))
        .await;
    chain.on_hand(RING, 10).await;
    chain.level_with(&later).await;
    chain.stop_hub();

    let restored = chain.cli(&["restore", &copy]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(
        restored.stderr.contains("enrolled since") && restored.stderr.contains("--publish on"),
        "{restored:?}"
    );
    chain.start_hub();

    let told = found(&chain, 1).await.remove(0);
    assert_eq!(told["shop"], json!("S002"));
    let text = told["text"].as_str().expect("a text");
    assert!(
        text.contains("vitrina-hub shop set S002 --name"),
        "what to do: {text}"
    );
    chain
        .cli(&[
            "shop",
            "set",
            "S002",
            "--name",
            "Arbat 3",
            "--publish",
            "on",
        ])
        .ok();
    found(&chain, 0).await;
    chain.on_hand(RING, 10).await;
    drop(known);
}

#[tokio::test]
async fn two_machines_of_one_shop_are_named_to_head_office() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.stop();
    let twin = chain.path("twin");
    copy_folder(&shop.data, &twin);
    shop.start();
    let _second = Server::start("vitrina-agent", &twin, &["run", "--listen", "127.0.0.1:0"]);

    until("head office to be told", || async {
        let told = chain.cli(&["shop", "show", "S001"]).ok().stdout.clone();
        if told.contains("Two running machines") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
}
