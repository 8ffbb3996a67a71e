//! Clocks that are wrong and that jump while the real programs run: stock is what was sold, whatever they show.
#![cfg(target_os = "linux")]

use serde_json::{Value, json};
use vitrina_tests::preload::Clock;
use vitrina_tests::process::{Server, command};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;

/// A hub under a clock of its own, on the address it had.
fn under(chain: &mut Chain, clock: &Clock) {
    let listen = chain.url.trim_start_matches("http://").to_owned();
    chain.stop_hub();
    let mut serve = command(
        "vitrina-hub",
        &chain.data(),
        &["serve", "--listen", &listen],
    );
    clock.rules(&mut serve);
    chain.take_over(Server::start_of(serve, &chain.data()));
}

fn list(of: &Value, name: &str) -> Vec<Value> {
    let found = of.get(name).and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}

/// What head office sees of the one shop.
async fn seen(chain: &Chain) -> Value {
    let shops = chain.office("/v1/shops").await.body;
    shops.pointer("/items/0").cloned().unwrap_or_default()
}

async fn is_seen(chain: &Chain, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(what, || async {
        let shop = seen(chain).await;
        if is_so(&shop) { Ok(()) } else { Err(shop) }
    })
    .await;
}

/// Waits until the shop's `doctor` judges the clocks so.
async fn doctor_says(shop: &Shop, ok: bool) {
    until("doctor to judge the clocks", || async {
        let looked = shop.cli(&["doctor", "--json"]).json();
        let checks = list(&looked, "checks").into_iter();
        let mut of_clock = checks.filter(|check| check.get("check") == Some(&json!("clock")));
        let check = of_clock.next().unwrap_or_default();
        if check.get("ok") == Some(&json!(ok)) {
            Ok(())
        } else {
            Err(check)
        }
    })
    .await;
}

/// The feed from `cursor` to its end: how often each number of rings was told, and the new cursor.
async fn follow(chain: &Chain, cursor: &str, told: &mut Vec<i64>) -> String {
    let mut cursor = cursor.to_owned();
    loop {
        let page = chain.get(&format!("/v1/changes?since={cursor}")).await.body;
        let of_ring = |item: &Value| {
            let is_ring = item.get("barcode") == Some(&json!(RING));
            item.get("on_hand")
                .filter(|_| is_ring)
                .and_then(Value::as_i64)
        };
        told.extend(list(&page, "items").iter().filter_map(of_ring));
        let next = page.get("cursor").and_then(Value::as_str);
        next.expect("a cursor").clone_into(&mut cursor);
        if page.get("more") != Some(&json!(true)) {
            return cursor;
        }
    }
}

#[tokio::test]
async fn a_hub_whose_clock_is_wrong_and_jumps_counts_feeds_and_says_how_far_off_it_is() {
    let mut chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n"),
    )
    .await;
    let clock = Clock::right(chain.path("clock"));
    under(&mut chain, &clock);
    let snapshot = chain.get("/v1/snapshot").await;
    let mut cursor = snapshot.header("vitrina-cursor").to_owned();
    let mut told = Vec::new();

    let jumps = [
        DAY_MS,
        -20 * YEAR_MS,
        2 * YEAR_MS,
        2 * YEAR_MS - HOUR_MS,
        -DAY_MS,
        0,
    ];
    for (sold, jump) in (1_i64..).zip(jumps) {
        clock.jump(jump);
        shop.sell(&format!("at {jump}"), RING).await;
        chain.on_hand(RING, 50 - sold).await;
        is_seen(&chain, "the shop's clock to be told", |seen| {
            let skew = seen["clock_skew_ms"].as_i64().unwrap_or(i64::MAX);
            (skew + jump).abs() < 60_000
        })
        .await;
        cursor = follow(&chain, &cursor, &mut told).await;
        doctor_says(&shop, jump == 0).await;
    }

    assert_eq!(told, [49, 48, 47, 46, 45, 44], "each change once, in order");
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

#[tokio::test]
async fn what_a_clock_of_tomorrow_heard_is_not_live_when_it_is_set_right_and_the_shop_is_gone() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n"),
    )
    .await;
    let clock = Clock::right(chain.path("clock"));
    under(&mut chain, &clock);
    clock.jump(DAY_MS);
    shop.sell("tomorrow", RING).await;
    chain.on_hand(RING, 49).await;
    is_seen(&chain, "tomorrow's exchange", |seen| {
        seen["clock_skew_ms"].as_i64().unwrap_or_default() < -DAY_MS / 2
    })
    .await;
    shop.kill();

    clock.jump(0);

    is_seen(&chain, "nobody to know how old it is", |seen| {
        seen["confidence"] == json!("stale") && seen["lag_ms"].is_null()
    })
    .await;
    assert_eq!(chain.cli(&["lag", "--max", "5m"]).code, 3);
    shop.start();
    is_seen(&chain, "the shop to be live again", |seen| {
        let is_young = |name: &str, most: i64| {
            seen[name]
                .as_i64()
                .is_some_and(|age| (0..most).contains(&age))
        };
        seen["confidence"] == json!("live")
            && is_young("lag_ms", 60_000)
            && is_young("source_age_s", 86_400)
    })
    .await;
    chain.on_hand(RING, 49).await;
}

#[tokio::test]
async fn a_hub_is_told_by_its_shops_that_its_own_clock_is_wrong() {
    let mut chain = Chain::start();
    let shops = ["S001", "S002", "S003"].map(|name| chain.shop(name, &[]));
    let clock = Clock::right(chain.path("clock"));
    under(&mut chain, &clock);
    let told = async |what: &str, is_so: &dyn Fn(Option<i64>) -> bool| {
        until(what, || async {
            // A sale each is an exchange each, at the clock of now.
            for shop in &shops {
                shop.cli(&["move", "surplus", RING]).ok();
            }
            let ahead = chain.office("/v1/shops").await.body["hub_clock_ahead_ms"].as_i64();
            if is_so(ahead) { Ok(()) } else { Err(ahead) }
        })
        .await;
    };
    told("no word of a right clock", &|ahead| ahead.is_none()).await;

    clock.jump(DAY_MS);
    told("the hub to be a day ahead", &|ahead| {
        ahead.is_some_and(|ahead| (ahead - DAY_MS).abs() < 60_000)
    })
    .await;
    // An exchange that began before the jump may end after it, and makes its shop look silent until the next.
    let lag = until("lag to say so", || async {
        for shop in &shops {
            shop.cli(&["move", "surplus", RING]).ok();
        }
        let lag = chain.cli(&["lag", "--max", "1d"]);
        let says = |words: &str| lag.stderr.contains(words);
        if says("the hub's own clock is 14") && says("ahead: set it") {
            Ok(lag)
        } else {
            Err(lag)
        }
    })
    .await;
    assert_eq!(lag.code, 3);

    clock.jump(0);
    told("the hub's clock to be right", &|ahead| ahead.is_none()).await;
}

#[tokio::test]
async fn a_shop_whose_clock_is_years_off_and_jumps_sells_as_with_a_right_one() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};50;2026-11-02 09:00:00\n"),
    )
    .await;
    shop.stop();
    let clock = Clock::right(chain.path("clock"));
    let mut run = command(
        "vitrina-agent",
        &shop.data,
        &["run", "--listen", "127.0.0.1:0"],
    );
    clock.rules(&mut run);
    shop.agent = Some(Server::start_of(run, &shop.data));

    let jumps = [
        HOUR_MS,
        -HOUR_MS,
        2 * YEAR_MS,
        -20 * YEAR_MS,
        // A dead battery: 1970.
        -57 * YEAR_MS,
        0,
    ];
    let mut last = shop.status()["seq"].as_i64().expect("a number");
    for (sold, jump) in (1_i64..).zip(jumps) {
        clock.jump(jump);
        let booked = shop.sell(&format!("at {jump}"), RING).await;
        assert_eq!(booked["on_hand"], json!(50 - sold), "{booked}");
        let seq = booked["seq"].as_i64().expect("a number");
        assert_eq!(seq, last + 1, "the places have no hole and never go back");
        last = seq;
        chain.on_hand(RING, 50 - sold).await;
        is_seen(&chain, "the shop's clock to be told", |seen| {
            let skew = seen["clock_skew_ms"].as_i64().unwrap_or(i64::MAX);
            (skew - jump).abs() < 60_000 && seen["confidence"] == json!("live")
        })
        .await;
        doctor_says(&shop, jump == 0).await;
    }

    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}
