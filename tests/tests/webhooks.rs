//! Webhooks, from outside: a real receiver that checks signatures, fails, is gone and comes back.

use reqwest::Method;
use serde_json::{Value, json};
use vitrina_tests::process::log_of;
use vitrina_tests::receiver::{Got, Receiver};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const IMPATIENT: &str = "[alerts]\ndead_after = \"2s\"\n";

/// Adds a receiver; its secret.
fn add(chain: &Chain, name: &str, receiver: &Receiver, more: &[&str]) -> String {
    let mut args = vec!["webhook", "add", name, &receiver.url, "--json"];
    args.extend_from_slice(more);
    let made = chain.cli(&args).ok().json();
    secret_of(&made)
}

fn secret_of(made: &Value) -> String {
    let secret = made.get("secret").and_then(Value::as_str);
    secret.expect("a secret").to_owned()
}

async fn shop(chain: &Chain, id: &str) -> Shop {
    chain.opened(id, &format!("barcode;qty\n{RING};1\n")).await
}

fn whats(got: &[Got]) -> Vec<String> {
    got.iter().map(Got::what).collect()
}

/// Sells so many pieces too many, and books them back.
fn swing(shop: &Shop, times: usize) {
    for _ in 0..times {
        shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
        shop.cli(&["move", "receipt", RING, "--qty", "2"]).ok();
    }
}

/// Waits until the hub says that so many are not resolved.
async fn open(chain: &Chain, count: usize) -> Vec<Value> {
    until(&format!("{count} alerts"), || async {
        let reply = chain.office("/v1/alerts").await;
        let items = reply.body.get("items").and_then(Value::as_array);
        let items = items.cloned().unwrap_or_default();
        if items.len() == count {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await
}

#[tokio::test]
async fn what_happens_to_an_entry_is_told_signed_and_in_its_order() {
    let chain = Chain::start();
    let receiver = Receiver::start();
    let secret = add(&chain, "office", &receiver, &[]);
    let shop = shop(&chain, "S001").await;

    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    let opened = receiver.has_taken(1).await.remove(0).json();
    let id = opened["data"]["alert"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/v1/alerts/{id}/acknowledge");
    chain
        .call(Method::POST, &path, &chain.office, None, &[])
        .await;
    receiver.has_taken(2).await;
    shop.cli(&["move", "receipt", RING, "--qty", "1"]).ok();
    let taken = receiver.has_taken(3).await;

    assert_eq!(
        whats(&taken),
        ["alert.opened", "alert.acknowledged", "alert.resolved"]
    );
    for got in &taken {
        got.must_be_signed_by(&secret);
    }
    let line = opened["text"].as_str().expect("a line that a chat shows");
    assert_eq!(
        line,
        format!("S001, {RING}: sold more than there was: -1 on hand")
    );
    assert_eq!(opened["data"]["alert"]["evidence"], json!({"on_hand": -1}));
    assert_eq!(taken[1].json()["data"]["by"], json!("key office"));
    let listed = chain.cli(&["webhook", "list", "--json"]).ok().json();
    assert_eq!(
        (&listed["items"][0]["waiting"], &listed["items"][0]["error"]),
        (&json!(0), &Value::Null)
    );
}

#[tokio::test]
async fn a_receiver_that_fails_and_is_redirected_has_each_message_in_order_under_its_one_name() {
    let chain = Chain::start();
    let receiver = Receiver::start();
    let secret = add(&chain, "office", &receiver, &[]);
    receiver.answers(&[500, 302, 429]);
    let shop = shop(&chain, "S001").await;

    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    open(&chain, 1).await;
    shop.cli(&["move", "receipt", RING, "--qty", "1"]).ok();
    open(&chain, 0).await;
    let taken = receiver.has_taken(2).await;

    assert_eq!(whats(&taken), ["alert.opened", "alert.resolved"]);
    let got = receiver.got();
    let ids: Vec<&str> = got.iter().map(|got| got.id.as_str()).collect();
    assert_eq!(
        ids,
        [ids[0], ids[0], ids[0], ids[0], ids[4]],
        "nothing overtakes what failed"
    );
    assert_ne!(ids[0], ids[4]);
    for one in &got {
        one.must_be_signed_by(&secret);
    }
}

#[tokio::test]
async fn one_shop_whose_message_is_refused_does_not_stop_the_others() {
    let chain = Chain::start();
    let receiver = Receiver::start();
    add(&chain, "office", &receiver, &[]);
    receiver.answers(&[400, 400, 400]);
    let one = shop(&chain, "S001").await;
    one.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    until("the first to be refused", || async {
        let got = receiver.got();
        if got.is_empty() { Err(got) } else { Ok(()) }
    })
    .await;
    let two = shop(&chain, "S002").await;
    two.cli(&["move", "sale", RING, "--qty", "2"]).ok();

    let taken = receiver.has_taken(2).await;

    let shops: Vec<Value> = taken
        .iter()
        .map(|got| got.json()["data"]["alert"]["shop"].clone())
        .collect();
    assert!(
        shops.contains(&json!("S001")) && shops.contains(&json!("S002")),
        "{shops:?}"
    );
}

#[tokio::test]
async fn a_hub_that_is_killed_before_and_in_a_delivery_delivers_after_it() {
    let mut chain = Chain::start();
    let mut receiver = Receiver::start();
    let secret = add(&chain, "office", &receiver, &[]);
    let shop = shop(&chain, "S001").await;
    receiver.stop().await;
    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    open(&chain, 1).await;
    chain.kill_hub();

    receiver.is_mute(true);
    receiver.start_again();
    chain.start_hub();
    let in_hand = until("a delivery that is not answered", || async {
        receiver.got().into_iter().next().ok_or(())
    })
    .await;
    chain.kill_hub();
    receiver.is_mute(false);
    chain.start_hub();
    let taken = receiver.has_taken(1).await;

    assert_eq!(taken[0].id, in_hand.id, "the receiver knows it by its name");
    assert_eq!(taken[0].body, in_hand.body);
    taken[0].must_be_signed_by(&secret);
    chain.cli(&["verify"]).ok();
    chain.cli(&["audit", "verify"]).ok();
}

/// Waits until the list of receivers shows the only one so.
async fn listed(chain: &Chain, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let listed = chain.cli(&["webhook", "list", "--json"]).ok().json();
        let items = listed.get("items").and_then(Value::as_array);
        let first = items.and_then(|items| items.first()).cloned();
        let first = first.unwrap_or_default();
        if is_so(&first) { Ok(first) } else { Err(first) }
    })
    .await
}

#[tokio::test]
async fn a_hub_that_is_killed_before_it_notes_a_delivery_says_it_again_under_its_name() {
    let mut chain = Chain::start();
    let receiver = Receiver::start();
    let secret = add(&chain, "office", &receiver, &[]);
    let shop = shop(&chain, "S001").await;
    receiver.holds_back(true);
    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    until("a delivery in hand", || async {
        let got = receiver.got();
        if got.is_empty() { Err(got) } else { Ok(()) }
    })
    .await;

    // Whoever has the books keeps the hub from writing that the receiver took it.
    let books = rusqlite::Connection::open(chain.data().join("hub.sqlite3")).expect("the books");
    books
        .busy_timeout(std::time::Duration::from_secs(5))
        .and_then(|()| books.execute_batch("BEGIN IMMEDIATE"))
        .expect("the books to myself");
    receiver.holds_back(false);
    receiver.has_taken(1).await;
    chain.kill_hub();
    drop(books);
    chain.start_hub();

    let taken = receiver.has_taken(2).await;
    assert_eq!(
        (&taken[0].id, &taken[0].body),
        (&taken[1].id, &taken[1].body)
    );
    taken[1].must_be_signed_by(&secret);
    listed(&chain, "nothing to wait", |hook| hook["waiting"] == 0).await;
    assert_eq!(receiver.got().len(), 2, "then it is noted");
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_in_time_and_stops_nobody() {
    let chain = Chain::start();
    let slow = Receiver::start();
    add(&chain, "a-slow-one", &slow, &[]);
    let quick = Receiver::start();
    add(&chain, "quick", &quick, &[]);
    slow.is_mute(true);
    let shop = shop(&chain, "S001").await;

    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    quick.has_taken(1).await;
    shop.cli(&["move", "receipt", RING, "--qty", "1"]).ok();
    quick.has_taken(2).await;
    assert!(slow.taken().is_empty() && slow.got().len() == 1);
    let late = listed(&chain, "it to be given up", |hook| {
        hook["error"].is_string()
    })
    .await;
    assert_eq!(late["error"], json!("it did not answer in time"));
    slow.is_mute(false);

    let taken = slow.has_taken(2).await;
    assert_eq!(whats(&taken), ["alert.opened", "alert.resolved"]);
    assert_eq!(slow.got()[0].id, taken[0].id);
}

#[tokio::test]
async fn a_receiver_that_says_it_is_gone_is_asked_on_and_named_to_people() {
    let chain = Chain::start_with(IMPATIENT);
    let receiver = Receiver::start();
    add(&chain, "office", &receiver, &["--kind", "negative_stock"]);
    receiver.answers(&[410, 410, 410]);
    let shop = shop(&chain, "S001").await;

    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    let named = until("it to be named", || async {
        let reply = chain.office("/v1/alerts?kind=webhook_dead").await;
        let items = reply.items();
        items.first().cloned().ok_or(reply)
    })
    .await;
    let taken = receiver.has_taken(1).await;

    let evidence = &named["evidence"];
    assert_eq!(
        (&evidence["webhook"], &evidence["error"]),
        (&json!("office"), &json!("it answered 410"))
    );
    let ids: Vec<String> = receiver.got().into_iter().map(|got| got.id).collect();
    assert_eq!(ids, vec![taken[0].id.clone(); 4], "nobody took it away");
}

#[tokio::test]
async fn a_receiver_that_is_added_again_has_a_new_secret_and_nothing_of_before() {
    let chain = Chain::start();
    let mut receiver = Receiver::start();
    let old = add(&chain, "office", &receiver, &[]);
    receiver.stop().await;
    let shop = shop(&chain, "S001").await;
    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    listed(&chain, "something to wait", |hook| hook["waiting"] == 1).await;

    chain.cli(&["webhook", "remove", "office"]).ok();
    receiver.start_again();
    let new = add(&chain, "office", &receiver, &[]);
    assert_ne!(old, new);
    shop.cli(&["move", "receipt", RING, "--qty", "1"]).ok();

    let taken = receiver.has_taken(1).await;
    assert_eq!(whats(&taken), ["alert.resolved"]);
    taken[0].must_be_signed_by(&new);
}

#[tokio::test]
async fn a_dead_receiver_stops_nobody_is_reported_and_has_everything_when_it_is_back() {
    let chain = Chain::start_with(IMPATIENT);
    let (mut dead, alive) = (Receiver::start(), Receiver::start());
    add(&chain, "dead", &dead, &[]);
    add(&chain, "alive", &alive, &[]);
    dead.stop().await;
    let shop = shop(&chain, "S001").await;

    swing(&shop, 1);
    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    let died = until("it to be told elsewhere", || async {
        let taken = alive.taken();
        let is_it = |got: &&Got| got.json()["data"]["alert"]["kind"] == json!("webhook_dead");
        taken.iter().find(is_it).map(Got::json).ok_or(taken.len())
    })
    .await;
    assert!(
        died["text"]
            .as_str()
            .is_some_and(|line| line.contains("dead")),
        "{died}"
    );
    let listed = chain.cli(&["webhook", "list", "--json"]).ok().json();
    let hook = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|hook| hook["name"] == json!("dead"));
    let hook = hook.expect("the receiver");
    assert!(
        hook["failing_since"].is_string() && hook["error"].is_string(),
        "{hook}"
    );
    chain.on_hand(RING, -1).await;

    dead.start_again();
    until("everything to be delivered", || async {
        let (late, known) = (dead.taken(), alive.taken());
        let is_told =
            |got: &Got| got.what() == "alert.resolved" && got.body.contains("webhook_dead");
        let bodies = |got: &[Got]| {
            got.iter()
                .map(|got| got.body.clone())
                .collect::<std::collections::BTreeSet<_>>()
        };
        if late.iter().any(is_told) && bodies(&late) == bodies(&known) {
            Ok(())
        } else {
            Err((whats(&late), whats(&known)))
        }
    })
    .await;
    let of_shop = |got: Vec<Got>| {
        let of_it = |got: &Got| got.json()["data"]["alert"]["shop"] == json!("S001");
        got.into_iter()
            .filter(of_it)
            .map(|got| got.body)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_shop(dead.taken()), of_shop(alive.taken()), "in order");
}

#[tokio::test]
async fn a_channel_has_what_belongs_to_its_people() {
    let chain = Chain::start();
    let (rings, all) = (Receiver::start(), Receiver::start());
    add(&chain, "rings", &rings, &["--only-owned"]);
    add(&chain, "all", &all, &["--kind", "negative_stock"]);
    chain
        .cli(&[
            "alert",
            "owner",
            "add",
            "--person",
            "Ivanova",
            "--channel",
            "rings",
            "--shop",
            "S002",
        ])
        .ok();
    let (one, two) = (shop(&chain, "S001").await, shop(&chain, "S002").await);

    one.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    two.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    all.has_taken(2).await;
    let owned = rings.has_taken(1).await;

    assert_eq!(owned.len(), 1);
    assert!(
        owned[0].json()["text"]
            .as_str()
            .is_some_and(|line| line.contains("(Ivanova)"))
    );
    chain.cli(&["webhook", "remove", "all"]).ok();
    assert_eq!(
        chain.cli(&["webhook", "list", "--json"]).ok().json()["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

// The command waits for the receiver, which is a task of this test.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_the_receiver_answered() {
    let chain = Chain::start();
    let receiver = Receiver::start();
    let secret = add(&chain, "office", &receiver, &[]);

    chain.cli(&["webhook", "test", "office"]).ok();
    receiver.answers(&[404]);
    let refused = chain.cli(&["webhook", "test", "office", "--json"]);

    assert_eq!(refused.code, 1);
    assert_eq!(refused.json()["error"], json!("it answered 404"));
    for one in receiver.got() {
        one.must_be_signed_by(&secret);
    }
    assert_eq!(whats(&receiver.got()), ["webhook.test", "webhook.test"]);
}

#[tokio::test]
async fn an_address_inside_is_refused() {
    let chain = Chain::start();

    for bad in [
        "http://hooks.example/x",
        "https://10.0.0.7/x",
        "https://169.254.169.254/",
        "https://u:p@hooks.example/",
        "nonsense",
    ] {
        let refused = chain.cli(&["webhook", "add", "bad", bad]);
        assert_eq!(refused.code, 2, "{bad}: {refused:?}");
    }
}

/// Everything that the hub shows or logs of its receivers.
fn shown_of(chain: &Chain) -> String {
    let mut shown = std::fs::read_to_string(log_of(&chain.data())).expect("a log");
    for args in [
        ["webhook", "list", "--json"],
        ["audit", "list", "--json"],
        ["alert", "list", "--json"],
    ] {
        shown.push_str(&chain.cli(&args).ok().stdout);
    }
    let logs = std::fs::read_dir(chain.data().join("log"));
    for file in logs.into_iter().flatten().flatten() {
        shown.push_str(&std::fs::read_to_string(file.path()).unwrap_or_default());
    }
    shown
}

#[tokio::test]
async fn neither_the_address_nor_the_secret_of_a_receiver_is_shown_again() {
    let mut chain = Chain::start();
    chain.stop_hub();
    let talkative = ["--log", "json", "--log-level", "trace"];
    chain.serve.extend(talkative.map(str::to_owned));
    chain.start_hub();
    let mut receiver = Receiver::start();
    let file = chain.path("address");
    std::fs::write(&file, &receiver.url).expect("a file");
    let file = file.to_str().expect("a path");
    let made = chain.cli(&["webhook", "add", "office", "--url-file", file, "--json"]);
    let secret = secret_of(&made.ok().json());
    receiver.stop().await;
    let shop = shop(&chain, "S001").await;
    shop.cli(&["move", "sale", RING, "--qty", "2"]).ok();
    open(&chain, 1).await;
    until("a delivery that failed", || async {
        let listed = chain.cli(&["webhook", "list", "--json"]).ok().json();
        if listed["items"][0]["error"].is_string() {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
    receiver.start_again();
    receiver.has_taken(1).await;

    let shown = shown_of(&chain);
    chain.stop_hub();
    let database = std::fs::read(chain.data().join("hub.sqlite3")).expect("the database");
    let key = secret.strip_prefix("whsec_").expect("a secret").as_bytes();
    assert!(!database.windows(key.len()).any(|part| part == key));
    assert!(!shown.contains(&secret["whsec_".len()..]) && !shown.contains("services/T0"));
}
