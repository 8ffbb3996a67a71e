//! Programs of other versions: what a released one left opens for ever, and nobody is stuck between two of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use vitrina_tests::files::copy_folder;
use vitrina_tests::process::{Server, run_in};
use vitrina_tests::{Chain, binaries, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";

/// What each released version left (`tests/examples/make-old.rs` tells the story).
fn released() -> Vec<PathBuf> {
    let folder = binaries::workspace().join("fixtures/old");
    let listed = std::fs::read_dir(folder).expect("the old folders");
    let mut versions: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    versions.retain(|path| path.is_dir());
    assert!(!versions.is_empty());
    versions
}

#[tokio::test]
async fn the_folders_of_every_released_version_open_and_sell_and_merge() {
    for version in released() {
        let chain = Chain::start_on(|hub| copy_folder(&version.join("hub"), hub));
        let mut shop = chain.shop_of("S001", &version.join("S001"));
        let mut balances = chain.shop_of("S002", &version.join("S002"));
        for shop in [&shop, &balances] {
            let verified = shop.cli(&["verify"]);
            assert_eq!(verified.code, 0, "{} {verified:?}", version.display());
        }
        let kept = shop.cli(&["quarantine", "list", "--json"]).ok().json();
        assert_eq!(kept["items"].as_array().map(Vec::len), Some(1), "{kept}");

        // Two sales were made without a line; each side's history holds a fork.
        shop.start();
        chain.on_hand(RING, 4).await;
        shop.sell("today", RING).await;
        chain.on_hand(RING, 3).await;
        balances.start();
        let stated = format!("barcode;qty;at\n{STONE};2;2026-11-03 09:00:00\n");
        balances.import("day-3.csv", stated).await;

        chain.on_hand(STONE, 6).await;
        chain.level_with(&shop).await;
        chain.level_with(&balances).await;
        let own = shop.cli(&["stock", RING, "--json"]).ok().json();
        assert_eq!(own["on_hand"], json!(3), "{own}");
        for verified in [
            chain.cli(&["verify"]),
            shop.cli(&["verify"]),
            balances.cli(&["verify"]),
        ] {
            assert_eq!(verified.code, 0, "{} {verified:?}", version.display());
        }
    }
}

#[tokio::test]
async fn a_request_of_every_released_version_is_answered() {
    for version in released() {
        let chain = Chain::start_on(|hub| copy_folder(&version.join("hub"), hub));

        let answer = send(&chain, request_of(&version)).await;

        assert_eq!(answer.status().as_u16(), 200, "{}", version.display());
        let body = answer.bytes().await.expect("a body");
        assert!(body.starts_with(b"VTRN"), "{}", version.display());
        chain.on_hand(RING, 6).await;
    }
}

#[tokio::test]
async fn a_frame_of_a_later_version_is_answered_that_the_hub_must_be_updated() {
    let version = released().remove(0);
    let chain = Chain::start_on(|hub| copy_folder(&version.join("hub"), hub));
    let mut request = request_of(&version);
    // The byte behind the magic.
    request[4] = 2;

    let answer = send(&chain, request).await;

    assert_eq!(answer.status().as_u16(), 426);
    let problem: serde_json::Value = answer.json().await.expect("a problem");
    assert_eq!(problem["code"], json!("upgrade_required"));
    assert!(problem["title"].to_string().contains("update the hub"));
}

#[tokio::test]
async fn a_shop_whose_hub_is_too_old_sells_on_says_so_and_delivers_later() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.stop();
    let settings = shop.data.join("agent.toml");
    std::fs::write(&settings, format!("hub = \"{}\"\n", an_old_hub())).expect("settings");
    shop.start();

    until("the shop to say that the hub is too old", || async {
        let status = shop.status();
        if status["hub"]["code"] == json!("upgrade_required") {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
    let told = shop.cli(&["doctor"]);
    assert!(
        told.code == 3 && told.stdout.contains("update the hub"),
        "{told:?}"
    );
    assert_eq!(shop.sell("one", RING).await["on_hand"], json!(9));
    assert_eq!(shop.status()["pending"], json!(1));

    shop.stop();
    std::fs::remove_file(&settings).expect("the setting goes");
    shop.start();
    chain.on_hand(RING, 9).await;
}

#[tokio::test]
async fn an_older_program_opens_a_ledger_that_todays_migrated_and_sells() {
    let Some(older) = binaries::older() else {
        return;
    };
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    shop.sell("today", RING).await;
    chain.on_hand(RING, 9).await;
    shop.stop();

    let listen = ["run", "--listen", "127.0.0.1:0"];
    let agent = Server::start_in(&older, "vitrina-agent", &shop.data, &listen);
    shop.agent = Some(agent);
    assert_eq!(shop.sell("older", RING).await["on_hand"], json!(8));
    chain.on_hand(RING, 8).await;
    shop.stop();
    let verified = run_in(&older, "vitrina-agent", &shop.data, &["verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");

    shop.start();
    shop.sell("today again", RING).await;
    chain.on_hand(RING, 7).await;
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

#[tokio::test]
async fn an_older_hub_opens_a_database_that_todays_migrated_and_serves_todays_agents() {
    let Some(older) = binaries::older() else {
        return;
    };
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;
    let listen = chain.url.trim_start_matches("http://").to_owned();
    chain.stop_hub();
    let serve = ["serve", "--listen", &listen];
    chain.take_over(Server::start_in(
        &older,
        "vitrina-hub",
        &chain.data(),
        &serve,
    ));

    shop.sell("an older hub", RING).await;
    chain.on_hand(RING, 9).await;
    chain.level_with(&shop).await;
    // A process that begins shows all, and what its rows add up to, which that hub does not know.
    shop.stop();
    shop.start();
    shop.sell("again", RING).await;
    chain.on_hand(RING, 8).await;

    chain.stop_hub();
    chain.start_hub();
    shop.sell("today's hub", RING).await;
    chain.on_hand(RING, 7).await;
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

fn request_of(version: &Path) -> Vec<u8> {
    std::fs::read(version.join("frames/request.frame")).expect("a frame")
}

async fn send(chain: &Chain, frame: Vec<u8>) -> Response {
    let http = reqwest::Client::builder().no_proxy().build();
    http.expect("a client")
        .post(format!("{}/v1/exchange", chain.url))
        .header(CONTENT_TYPE, vitrina_shared::wire::CONTENT_TYPE)
        .body(frame)
        .send()
        .await
        .expect("the hub answers")
}

/// A hub of a version that does not read our frames: it answers so to everything.
fn an_old_hub() -> String {
    let body = r#"{"code":"upgrade_required","detail":"the frame is of version 1, which this program does not read"}"#;
    let answer = format!(
        "HTTP/1.1 426 Upgrade Required\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let _ = stream.write_all(answer.as_bytes());
                // Read what it sends: a close with unread bytes would take the answer away.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut (&stream).take(1 << 20), &mut std::io::sink());
            });
        }
    });
    url
}
