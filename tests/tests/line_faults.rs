//! What a line and whoever stands in it can do to a push: cut it at any byte, answer for the hub, hold one side still.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use vitrina_tests::link::Way;
use vitrina_tests::process::log_of;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const PIECES: i64 = 1_000;
/// So many places in a request and in an answer are tried.
const PLACES: u64 = 20;

async fn opened() -> (Chain, Shop) {
    let chain = Chain::start();
    let balances = format!("barcode;qty\n{RING};{PIECES}\n");
    let shop = chain.opened("S001", &balances).await;
    (chain, shop)
}

/// Bytes up and down that one sale takes.
async fn bytes_of_a_sale(chain: &Chain, shop: &Shop) -> (u64, u64) {
    let before = shop.link.carried();
    shop.sell("measured", RING).await;
    chain.on_hand(RING, PIECES - 1).await;
    chain.level_with(shop).await;
    let after = shop.link.carried();
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test]
async fn a_push_that_is_cut_behind_any_byte_is_sent_again_and_counts_once() {
    let (chain, shop) = opened().await;
    let (up, down) = bytes_of_a_sale(&chain, &shop).await;
    let mut sold = 1;

    for (way, length) in [(Way::Up, up), (Way::Down, down)] {
        assert!(length > PLACES, "{way:?}: {length} bytes");
        for place in 0..=PLACES {
            // The first bytes and the last ones, and some between.
            let at = (length * place / PLACES).min(length - 1);
            shop.link.cut_after(way, at);
            // A push and its answer are not always of the same length: the cut may be in the next one.
            while shop.link.will_cut(way) {
                sold += 1;
                shop.sell(&format!("sale {sold}"), RING).await;
                chain.on_hand(RING, PIECES - sold).await;
            }
        }
    }

    chain.level_with(&shop).await;
    chain.balances_with([&shop]);
    chain.on_hand(RING, PIECES - sold).await;
}

/// Lines of the agent's log that speak of the hub.
fn told(shop: &Shop) -> Vec<String> {
    let log = std::fs::read_to_string(log_of(&shop.data)).expect("a log");
    log.lines()
        .filter(|line| line.contains("the hub is "))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_hub_that_is_busy_or_broken_is_asked_ever_less_often_and_named_once() {
    let (chain, shop) = opened().await;
    let before = told(&shop).len();

    shop.link
        .answer("503 Service Unavailable", "Retry-After: 1\r\n");
    shop.sell("while it is busy", RING).await;
    let asked = until("four refusals", || async {
        let asked = shop.link.answered();
        if asked.len() >= 4 {
            Ok(asked)
        } else {
            Err(asked.len())
        }
    })
    .await;
    // The first may have gone to a line on which nothing was being asked: nobody read it.
    for pair in asked[1..].windows(2) {
        let [one, next] = pair else { panic!("two") };
        assert!(
            *next - *one >= Duration::from_secs(1),
            "Retry-After was not kept"
        );
    }
    assert_eq!(told(&shop).len(), before + 1, "{:#?}", told(&shop));
    assert_eq!(
        shop.status()["hub"]["code"],
        json!("hub_busy"),
        "{:#?}",
        shop.status()
    );

    shop.link.answer("500 Internal Server Error", "");
    let begun = Instant::now();
    let asked = until("three faults", || async {
        let asked = shop.link.answered();
        if asked.len() >= 3 {
            Ok(asked)
        } else {
            Err(asked.len())
        }
    })
    .await;
    // The waits go on doubling from where they were.
    assert!(
        begun.elapsed() > Duration::from_secs(1),
        "{asked:?} since {begun:?}"
    );
    assert_eq!(told(&shop).len(), before + 2, "{:#?}", told(&shop));
    let sold = shop.sell("while it is broken", RING).await;
    assert_eq!(sold["on_hand"], json!(PIECES - 2));

    shop.link.mend();
    chain.on_hand(RING, PIECES - 2).await;
    chain.level_with(&shop).await;
    assert_eq!(told(&shop).len(), before + 3, "{:#?}", told(&shop));
}

#[tokio::test]
async fn a_machine_that_slept_through_a_push_and_a_new_hub_comes_back_without_a_storm() {
    let (mut chain, shop) = opened().await;
    let agent = shop.agent.as_ref().expect("running");

    // It falls asleep with a request on its way, and what it was connected to is no more when it wakes up.
    shop.link.lose_answers();
    shop.sell("before it slept", RING).await;
    agent.signal("STOP");
    shop.link.cut();
    chain.kill_hub();
    chain.start_hub();
    shop.link.mend();
    let (before, _) = shop.link.carried();
    agent.signal("CONT");

    chain.on_hand(RING, PIECES - 1).await;
    chain.level_with(&shop).await;
    let (after, _) = shop.link.carried();
    assert!(after - before < 100_000, "{} bytes went up", after - before);
    shop.sell("awake", RING).await;
    chain.on_hand(RING, PIECES - 2).await;
}

#[tokio::test]
async fn a_hub_that_stands_still_stops_no_sale_and_hears_of_all_when_it_goes_on() {
    let (chain, shop) = opened().await;
    let hub = chain.hub.as_ref().expect("running");

    hub.signal("STOP");
    let begun = Instant::now();
    for number in 0..20 {
        shop.sell(&format!("sale {number}"), RING).await;
    }
    let took = begun.elapsed();
    hub.signal("CONT");

    assert!(took < Duration::from_secs(5), "20 sales took {took:?}");
    chain.on_hand(RING, PIECES - 20).await;
    assert_eq!(chain.get("/v1/locations").await.status, StatusCode::OK);
}
