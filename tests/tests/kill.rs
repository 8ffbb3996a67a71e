//! kill -9 at any moment, over the real binaries: what a till was told is in the books, once.
//!
//! `VITRINA_KILLS` asks for more cycles than every change needs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use vitrina_tests::files::copy_folder;
use vitrina_tests::process::{Server, command};
use vitrina_tests::sim::random::Random;
use vitrina_tests::{Chain, Shop, binaries, preload, until};

/// Pieces of each barcode at the opening: more than any till sells.
const PIECES: i64 = 1_000_000;
const HEAD: &str = "type;till;receipt;line;barcode;qty;price;at\n";
/// Lines of each file that is dropped between two kills.
const LINES: usize = 300;

fn cycles(usual: usize) -> usize {
    let asked = std::env::var("VITRINA_KILLS").ok();
    asked.map_or(usual, |text| text.parse().expect("VITRINA_KILLS: a number"))
}

fn barcode(number: u64) -> String {
    format!("20000189{:05}", number % 7)
}

fn opening() -> String {
    let mut file = String::from("barcode;qty;at\n");
    for number in 0..7 {
        let _ = writeln!(file, "{};{PIECES};2026-11-01 09:00:00", barcode(number));
    }
    file
}

/// Sold pieces by barcode.
type Sold = BTreeMap<String, i64>;

fn add(to: &mut Sold, more: Sold) {
    for (barcode, pieces) in more {
        *to.entry(barcode).or_default() += pieces;
    }
}

/// A till that sells one piece after the other, each under a key of its own, and repeats a call until it is answered.
struct Till {
    http: Client,
    token: String,
    random: Random,
    name: u64,
    /// Where the agent listens now.
    address: watch::Receiver<String>,
    /// How many sales were answered.
    answered: watch::Sender<u64>,
    is_over: watch::Receiver<bool>,
}

impl Till {
    fn of(
        shop: &Shop,
        name: u64,
        address: watch::Receiver<String>,
        is_over: watch::Receiver<bool>,
    ) -> Self {
        let token = std::fs::read_to_string(shop.data.join("terminal.token")).expect("a token");
        Self {
            http: Client::builder().no_proxy().build().expect("a client"),
            token: token.trim().to_owned(),
            random: Random::new(name),
            name,
            address,
            answered: watch::Sender::new(0),
            is_over,
        }
    }

    async fn sell(mut self) -> Sold {
        let mut sold = Sold::new();
        let mut number = 0_u64;
        while !*self.is_over.borrow() {
            number += 1;
            let key = format!("till {} sale {number}", self.name);
            let barcode = barcode(self.random.bits());
            self.until_answered(&key, &barcode).await;
            *sold.entry(barcode).or_default() += 1;
            self.answered.send_modify(|answered| *answered += 1);
        }
        sold
    }

    async fn until_answered(&mut self, key: &str, barcode: &str) {
        loop {
            let url = self.address.borrow_and_update().clone();
            let call = self
                .http
                .post(format!("{url}/v1/movements"))
                .bearer_auth(&self.token)
                .header("idempotency-key", key)
                .json(&json!({"type": "sale", "barcode": barcode, "qty": 1}));
            match call.send().await {
                Ok(reply) if reply.status().is_success() => return,
                // It is stopping or starting.
                Ok(reply) if reply.status().is_server_error() => {}
                Ok(reply) => panic!("{key}: {}", reply.status()),
                Err(_) => {}
            }
            // Nobody is there until there is a new address; a refused connection costs nothing to try again.
            if !self.address.has_changed().unwrap_or(false) {
                let _ =
                    tokio::time::timeout(Duration::from_millis(50), self.address.changed()).await;
            }
        }
    }
}

async fn compare(chain: &Chain, shop: &Shop, sold: &Sold) {
    chain.level_with(shop).await;
    for number in 0..7 {
        let code = barcode(number);
        let wanted = PIECES - sold.get(&code).copied().unwrap_or(0);
        let stock = shop.cli(&["stock", &code, "--json"]).ok().json();
        assert_eq!(
            member(&stock, "on_hand"),
            json!(wanted),
            "{code} at the shop: {stock}"
        );
    }
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

fn member(of: &Value, name: &str) -> Value {
    of.get(name).cloned().unwrap_or_default()
}

/// On hand at the hub of a barcode in a shop.
async fn at_hub(chain: &Chain, code: &str, shop: &str) -> Value {
    let item = chain.get(&format!("/v1/stock/{code}")).await.body;
    let levels = member(&item, "levels").as_array().cloned();
    let mut levels = levels.unwrap_or_default().into_iter();
    let level = levels.find(|level| member(level, "shop") == json!(shop));
    level.map_or(Value::Null, |level| member(&level, "on_hand"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_while_it_sells_imports_and_exchanges_loses_and_doubles_nothing() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &opening()).await;
    let (address, addresses) = watch::channel(String::new());
    let (over, is_over) = watch::channel(false);
    let till = Till::of(&shop, 1, addresses, is_over);
    let mut answered = till.answered.subscribe();
    let selling = tokio::spawn(till.sell());
    let mut random = Random::new(4);
    let (mut sold, mut slowest) = (Sold::new(), Duration::ZERO);
    for cycle in 0..cycles(12) {
        let url = &shop.agent.as_ref().expect("it runs").url;
        address.send_replace(url.clone());
        let mut file = String::from(HEAD);
        for line in 1..=LINES {
            let code = barcode(random.bits());
            let _ = writeln!(file, "sale;K9;{cycle};{line};{code};1;;2026-11-02 10:00:00");
            *sold.entry(code).or_default() += 1;
        }
        shop.drop_file(&format!("pos-{cycle}.csv"), file);
        // So many sales later, at whatever the agent does then.
        let goal = *answered.borrow_and_update() + random.below(120);
        answered
            .wait_for(|answered| *answered >= goal)
            .await
            .expect("the till sells");
        shop.kill();
        let begun = Instant::now();
        shop.start();
        slowest = slowest.max(begun.elapsed());
    }
    address.send_replace(shop.agent.as_ref().expect("it runs").url.clone());
    over.send_replace(true);
    add(&mut sold, selling.await.expect("the till's sales"));
    for cycle in 0..cycles(12) {
        shop.taken(&format!("pos-{cycle}.csv")).await;
    }

    compare(&chain, &shop, &sold).await;
    for (code, pieces) in &sold {
        chain.on_hand(code, PIECES - pieces).await;
    }
    assert_eq!(chain.cli(&["verify"]).code, 0);
    println!(
        "{} cycles, {} sales; ready again after {slowest:?} at most",
        cycles(12),
        sold.values().sum::<i64>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_killed_while_eight_shops_push_loses_and_doubles_nothing() {
    let mut chain = Chain::start();
    let mut shops = Vec::new();
    for name in 1..=8 {
        let shop = chain.shop(&format!("S{name:03}"), &[]);
        shop.open(&chain, &opening()).await;
        shops.push(shop);
    }
    let (over, is_over) = watch::channel(false);
    let mut selling = Vec::new();
    let mut answers = Vec::new();
    let mut addresses = Vec::new();
    for (name, shop) in (1..).zip(&shops) {
        let url = shop.agent.as_ref().expect("it runs").url.clone();
        let (address, heard) = watch::channel(url);
        addresses.push(address);
        let till = Till::of(shop, name, heard, is_over.clone());
        answers.push(till.answered.subscribe());
        selling.push(tokio::spawn(till.sell()));
    }
    let mut random = Random::new(5);
    let mut slowest = Duration::ZERO;
    for _ in 0..cycles(8) {
        let place = random.place(answers.len());
        let answered = &mut answers[place];
        let goal = *answered.borrow_and_update() + random.below(120);
        answered
            .wait_for(|answered| *answered >= goal)
            .await
            .expect("the till sells");
        chain.kill_hub();
        let begun = Instant::now();
        chain.start_hub();
        slowest = slowest.max(begun.elapsed());
    }
    over.send_replace(true);
    for (shop, selling) in shops.iter().zip(selling) {
        let sold = selling.await.expect("the till's sales");
        compare(&chain, shop, &sold).await;
        for (code, pieces) in &sold {
            until("the hub to say the same", || async {
                let seen = at_hub(&chain, code, &shop.id).await;
                if seen == json!(PIECES - pieces) {
                    Ok(())
                } else {
                    Err((code, pieces, seen))
                }
            })
            .await;
        }
    }
    assert_eq!(chain.cli(&["verify"]).code, 0);
    println!(
        "{} cycles; ready again after {slowest:?} at most",
        cycles(8)
    );
}

#[tokio::test]
async fn an_agent_killed_as_it_starts_starts_again() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &opening()).await;
    shop.sell("one", &barcode(1)).await;
    shop.kill();
    let mut random = Random::new(6);
    for _ in 0..cycles(10) {
        let child = command(
            "vitrina-agent",
            &shop.data,
            &["run", "--listen", "127.0.0.1:0"],
        )
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
        let mut child = child.expect("it starts");
        tokio::time::sleep(Duration::from_micros(random.below(60_000))).await;
        child.kill().expect("it is killed");
        child.wait().expect("it ended");
    }

    shop.agent = Some(Server::start(
        "vitrina-agent",
        &shop.data,
        &["run", "--listen", "127.0.0.1:0"],
    ));
    shop.sell("two", &barcode(1)).await;
    chain.on_hand(&barcode(1), PIECES - 2).await;
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

/// The step of a ledger's schema, looked at in a copy, so that what the killed program left stays as it is. A step is
/// there whole or not at all.
#[cfg(target_os = "linux")]
fn step_of(shop: &Shop, copy: &std::path::Path) -> i64 {
    let _ = std::fs::remove_dir_all(copy);
    copy_folder(&shop.data, copy);
    let ledger = rusqlite::Connection::open(copy.join("ledger.sqlite3")).expect("a ledger");
    let number = |sql: &str| -> i64 {
        let read = ledger.query_row(sql, [], |row| row.get(0));
        read.expect("a whole ledger")
    };
    let step = number("PRAGMA user_version");
    let columns = "SELECT count(*) FROM pragma_table_info('state')
        WHERE name IN ('stick_life', 'stick_pos', 'alert', 'alert_at')";
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'repair'";
    let expected = if step > 1_000 { (4, 1) } else { (0, 0) };
    assert_eq!((number(columns), number(tables)), expected, "{step}");
    let sound = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
    assert_eq!(number(sound), 1);
    step
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_agent_killed_before_any_change_of_its_files_while_it_migrates_goes_on_from_there() {
    let old = binaries::workspace().join("fixtures/old/0.1.0");
    let chain = Chain::start_on(|hub| copy_folder(&old.join("hub"), hub));
    let mut shop = chain.shop_of("S001", &old.join("S001"));
    let (copy, fresh) = (chain.path("copy"), chain.path("fresh"));
    copy_folder(&shop.data, &fresh);
    let stride = if cycles(0) > 0 { 1 } else { 3 };
    let mut seen: BTreeMap<i64, u64> = BTreeMap::new();
    for at in (1..).step_by(stride) {
        std::fs::remove_dir_all(&shop.data).expect("the last round's folder");
        copy_folder(&fresh, &shop.data);
        // Not the server: it has no end by itself.
        let mut starts = command("vitrina-agent", &shop.data, &["status"]);
        preload::kill_at(&mut starts, "ledger.sqlite3", at);
        let ended = starts.output().expect("it runs");
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.status.code(), None, "{ended:?}");
        *seen.entry(step_of(&shop, &copy)).or_default() += 1;

        let verified = shop.cli(&["verify"]);
        assert_eq!(verified.code, 0, "killed at {at}: {verified:?}");
        assert!(step_of(&shop, &copy) > 1_000, "killed at {at}");
        let own = shop.cli(&["stock", "2000018987155", "--json"]).ok().json();
        assert_eq!(own["on_hand"], json!(4), "killed at {at}: {own}");
    }

    println!("killed so often, by the step that it left: {seen:?}");
    // The old step and each that came since, none of them half.
    assert!(
        seen.len() > 1 && seen.values().all(|kills| *kills > 2),
        "{seen:?}"
    );
    shop.start();
    shop.sell("today", "2000018987155").await;
    chain.on_hand("2000018987155", 3).await;
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}
