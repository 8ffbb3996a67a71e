//! Writes `fixtures/old/VERSION`: data folders and frames as the programs of today leave them, for every later version
//! to open. Run once when a version is released, with its binaries, and never again for that version:
//! `VITRINA_BIN_DIR=… cargo run -p vitrina-tests --example make-old -- VERSION`.
//!
//! The story: a shop opens, sells by API and by file, cancels a line, has a line set aside, is put back to an earlier
//! day while the line is cut (so that its log forks), and stops with two sales that nobody else knows. A second shop's
//! 1C keeps the books. Ids, keys and times are random: the bytes differ with every run, the story does not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a generator fails by panicking: that is its report"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use vitrina_tests::files::copy_folder;
use vitrina_tests::{Chain, Shop, binaries};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";
const HEAD: &str = "type;till;receipt;line;barcode;qty;price;at\n";
/// What of a data folder is kept: everything that a clean stop leaves, but no logs and no files of the POS.
const AGENT: &[&str] = &[
    "ledger.sqlite3",
    "device.key",
    "hub.json",
    "terminal.token",
    "high-water",
];
const HUB: &[&str] = &["hub.sqlite3", "hub.key", "token.key", "life.json"];

/// Everything that went up and down one line.
type Tape = Arc<Mutex<Vec<Vec<u8>>>>;

#[tokio::main]
async fn main() {
    let version = std::env::args().nth(1).expect("the version's name");
    let target = binaries::workspace().join("fixtures/old").join(version);
    assert!(!target.exists(), "{} is there already", target.display());
    let mut chain = Chain::start();
    let (up, down) = (Tape::default(), Tape::default());
    let recorder = record(&chain.url, &up, &down);

    let mut shop = movements_shop(&chain, &recorder).await;
    let mut second = chain.shop("S002", &["--source", "balances"]);
    for (day, qty) in [(1, 4), (2, 3)] {
        let file = format!("barcode;qty;at\n{STONE};{qty};2026-11-0{day} 09:00:00\n");
        second.import(&format!("day-{day}.csv"), file).await;
    }
    chain.level_with(&second).await;
    chain.on_hand(STONE, 7).await;
    second.stop();
    shop.link.cut();
    for number in 0..2 {
        shop.sell(&format!("alone {number}"), RING).await;
    }
    shop.stop();
    chain.stop_hub();

    keep(&shop.data, &target.join("S001"), AGENT);
    keep(&second.data, &target.join("S002"), AGENT);
    keep(&chain.data(), &target.join("hub"), HUB);
    let frames = target.join("frames");
    std::fs::create_dir_all(&frames).unwrap();
    std::fs::write(frames.join("request.frame"), largest(&up)).unwrap();
    std::fs::write(frames.join("answer.frame"), largest(&down)).unwrap();
}

/// 10 rings and 5 stones; sold: 1 ring by API, 2 rings and 1 stone by file of which 1 ring is cancelled, 1 ring on
/// Tuesday, 1 ring after Monday's folder was put back.
async fn movements_shop(chain: &Chain, recorder: &str) -> Shop {
    let mut shop = chain.enrolled("S001", &["--city", "Moscow"]);
    std::fs::write(
        shop.data.join("agent.toml"),
        format!("hub = \"{recorder}\"\n"),
    )
    .unwrap();
    shop.start();
    let opening = format!(
        "barcode;qty;article;name;size;price;at\n{RING};10;K-1;Кольцо;17,5;45900,00;2026-11-01 09:00:00\n\
         {STONE};5;K-2;Камень;;9900,00;2026-11-01 09:00:00\n"
    );
    shop.open(chain, &opening).await;
    shop.sell("one", RING).await;
    shop.drop_and_wait(
        "pos.csv",
        format!(
            "{HEAD}sale;1;7;1;{RING};1;45900,00;2026-11-02 10:00:00\nsale;1;8;1;{RING};1;45900,00;2026-11-02 11:00:00\n\
             sale;1;9;1;{STONE};1;9900,00;2026-11-02 12:00:00\ncancel;1;8;1;{RING};1;;2026-11-02 11:05:00\n\
             sale;1;10;1;{RING};x;;2026-11-02 13:00:00\n"
        ),
    )
    .await;
    chain.on_hand(RING, 8).await;
    chain.level_with(&shop).await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday", RING).await;
    chain.on_hand(RING, 7).await;
    chain.level_with(&shop).await;
    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.link.cut();
    // The recorder is another road to the hub; without the setting the agent takes the one that is cut.
    std::fs::remove_file(shop.data.join("agent.toml")).unwrap();
    shop.start();
    shop.sell("wednesday", RING).await;
    shop.link.mend();
    chain.on_hand(RING, 6).await;
    chain.level_with(&shop).await;
    shop
}

fn keep(from: &Path, to: &Path, names: &[&str]) {
    std::fs::create_dir_all(to).unwrap();
    for name in names {
        std::fs::copy(from.join(name), to.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A way to the hub that keeps what goes over it.
fn record(hub: &str, up: &Tape, down: &Tape) -> String {
    let target = hub.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (up, down) = (Arc::clone(up), Arc::clone(down));
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&target) else {
                continue;
            };
            tee(
                near.try_clone().unwrap(),
                far.try_clone().unwrap(),
                Arc::clone(&up),
            );
            tee(far, near, Arc::clone(&down));
        }
    });
    url
}

fn tee(mut from: TcpStream, mut to: TcpStream, tape: Tape) {
    let place = {
        let mut tape = tape.lock().unwrap();
        tape.push(Vec::new());
        tape.len() - 1
    };
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            tape.lock().unwrap()[place].extend_from_slice(&bytes[..count]);
            if to.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// The largest frame that went over a line.
fn largest(tape: &Tape) -> Vec<u8> {
    let tape = tape.lock().unwrap();
    let frames = tape.iter().flat_map(|bytes| frames(bytes));
    frames
        .max_by_key(Vec::len)
        .expect("a frame went over the line")
}

/// The bodies of HTTP messages that are frames.
fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(end) = stream.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&stream[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        let body = stream.get(end + 4..end + 4 + length).unwrap_or_default();
        if body.starts_with(b"VTRN") {
            found.push(body.to_vec());
        }
        stream = stream.get(end + 4 + length..).unwrap_or_default();
    }
    found
}
