//! A rush on last pieces: websites order them and let some go, tills sell the same pieces, lines break and come back.
//!
//! Every piece is one unit in one shop that answers by itself (`auto`). Whoever was told `confirmed` had the piece for
//! himself until he let it go or was told that it broke: that is what is looked for, in what the websites were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::sim::random::Random;
use crate::{Chain, Shop, until};

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Shops with an agent each.
    pub shops: usize,
    /// Last pieces, over all shops.
    pub pieces: usize,
    /// Websites that order at the same time.
    pub websites: usize,
    /// Orders of all websites.
    pub orders: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Orders by the state that they ended in; `insufficient_stock` where none was taken.
    pub ended: BTreeMap<String, usize>,
    /// Orders that were told `confirmed` at once.
    pub confirmed_at_once: usize,
    /// How long the calls of shops took whose line had been up for a while.
    pub answered: Vec<Duration>,
    /// Pieces sold at tills.
    pub sold: usize,
    /// Of them so many over a hold, by a cashier who was told.
    pub forced: usize,
    /// Times that a line was cut.
    pub cuts: u64,
    /// Work items of the holds.
    pub work: BTreeMap<String, usize>,
    /// Broken promises, in words.
    pub violations: Vec<String>,
}

/// A website waits so long for the shop's word.
const WAIT_MS: u64 = 2_000;
/// A line counts as up when it has been for so long: an agent dials again within this.
const SETTLED: Duration = Duration::from_secs(5);
/// A till sells so often.
const TILL_PACE: Duration = Duration::from_millis(40);
/// Of a thousand holds so many are let go at once.
const LET_GO_PERMILLE: u64 = 300;
/// Of a thousand sales over a hold so many are forced.
const FORCED_PERMILLE: u64 = 250;

/// A hold as its website knows it.
#[derive(Debug)]
struct Told {
    id: String,
    piece: usize,
    /// From when on `confirmed` was known to hold.
    confirmed_at: Option<Instant>,
    /// When it was let go.
    let_go_at: Option<Instant>,
}

/// What all parts see.
struct Scene {
    chain: Chain,
    shops: Vec<Shop>,
    size: Size,
    begun: Instant,
    /// Of each shop since when its line is up, in milliseconds after the beginning; [`u64::MAX`] while it is cut.
    up_since: Vec<AtomicU64>,
    is_over: AtomicBool,
}

/// The barcode of a piece.
fn barcode(piece: usize) -> String {
    format!("RING-{piece:05}")
}

/// Plays it with real programs.
pub async fn rush(size: Size) -> Outcome {
    let scene = Arc::new(opened(size).await);
    let mut websites = JoinSet::new();
    for number in 0..size.websites {
        websites.spawn(order(Arc::clone(&scene), number));
    }
    let mut tills = JoinSet::new();
    for number in 0..size.shops {
        tills.spawn(sell(Arc::clone(&scene), number));
    }
    let lines = tokio::spawn(cut(Arc::clone(&scene)));

    let mut outcome = Outcome::default();
    let mut told = Vec::new();
    while let Some(done) = websites.join_next().await {
        let (holds, refused, answered) = done.expect("a website ends");
        told.extend(holds);
        *outcome
            .ended
            .entry("insufficient_stock".into())
            .or_default() += refused;
        outcome.answered.extend(answered);
    }
    scene.is_over.store(true, Ordering::SeqCst);
    let mut sold = BTreeSet::new();
    while let Some(done) = tills.join_next().await {
        let (pieces, forced) = done.expect("a till ends");
        sold.extend(pieces);
        outcome.forced += forced;
    }
    outcome.sold = sold.len();
    outcome.cuts = lines.await.expect("the lines end");

    for shop in &scene.shops {
        scene.chain.level_with(shop).await;
    }
    judge(&scene, &told, &sold, &mut outcome).await;
    scene.chain.balances_with(&scene.shops);
    outcome
}

async fn opened(size: Size) -> Scene {
    let chain = Chain::start();
    let mut shops = Vec::new();
    for number in 0..size.shops {
        let shop = chain.shop(&format!("S{number:03}"), &["--holds", "auto"]);
        let mut stock = String::from("barcode;qty\n");
        for piece in (number..size.pieces).step_by(size.shops) {
            writeln!(stock, "{};1", barcode(piece)).expect("it is text");
        }
        shop.open(&chain, &stock).await;
        shops.push(shop);
    }
    Scene {
        chain,
        up_since: shops.iter().map(|_| AtomicU64::new(0)).collect(),
        shops,
        size,
        begun: Instant::now(),
        is_over: AtomicBool::new(false),
    }
}

impl Scene {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).expect("some minutes")
    }

    /// Since when a piece's shop has its line, where that is long enough.
    fn settled_since(&self, piece: usize) -> Option<u64> {
        let since = self.up_since[piece % self.size.shops].load(Ordering::SeqCst);
        let settled = u64::try_from(SETTLED.as_millis()).expect("some seconds");
        (since == 0 || since.saturating_add(settled) < self.now_ms()).then_some(since)
    }
}

/// One website: its holds, how often there was no piece, and how long the calls of settled shops took.
async fn order(scene: Arc<Scene>, number: usize) -> (Vec<Told>, usize, Vec<Duration>) {
    let chain = &scene.chain;
    let mut random = Random::new(number as u64);
    let (mut holds, mut refused, mut answered) = (Vec::new(), 0, Vec::new());
    for at in 0..scene.size.orders / scene.size.websites {
        let piece = random.place(scene.size.pieces);
        let name = format!("order-{number}-{at}");
        let asked = json!({"barcode": barcode(piece), "qty": 1, "order": name, "wait_ms": WAIT_MS});
        let key = [("idempotency-key", name.as_str())];
        let settled = scene.settled_since(piece);
        let begun = Instant::now();
        let reply = chain
            .call(
                Method::POST,
                "/v1/holds",
                &chain.website,
                Some(&asked),
                &key,
            )
            .await;
        let took = begun.elapsed();
        if reply.status == StatusCode::CONFLICT {
            assert_eq!(reply.code(), "insufficient_stock", "{reply:?}");
            refused += 1;
            continue;
        }
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        let is_confirmed = reply.body["state"] == json!("confirmed");
        if settled.is_some() && settled == scene.settled_since(piece) {
            answered.push(took);
        }
        let mut told = Told {
            id: text(&reply.body, "id"),
            piece,
            confirmed_at: is_confirmed.then(Instant::now),
            let_go_at: None,
        };
        if random.chance(LET_GO_PERMILLE) {
            told.let_go_at = Some(Instant::now());
            let path = format!("/v1/holds/{}", told.id);
            let reply = chain
                .call(Method::DELETE, &path, &chain.website, None, &[])
                .await;
            let is_told = reply.status == StatusCode::OK || reply.code() == "hold_not_open";
            assert!(is_told, "{reply:?}");
        }
        holds.push(told);
    }
    (holds, refused, answered)
}

/// One till: what it sold, and how often over a hold.
async fn sell(scene: Arc<Scene>, number: usize) -> (Vec<usize>, usize) {
    let shop = &scene.shops[number];
    let mut random = Random::new(1_000 + number as u64);
    let mut there: Vec<usize> = (number..scene.size.pieces)
        .step_by(scene.size.shops)
        .collect();
    // Half of them is for the websites.
    let least = there.len() / 2;
    let (mut sold, mut forced, mut calls) = (Vec::new(), 0, 0);
    while !scene.is_over.load(Ordering::SeqCst) && there.len() > least {
        let place = random.place(there.len());
        let piece = there[place];
        calls += 1;
        let mut sale = json!({"type": "sale", "barcode": barcode(piece), "qty": 1});
        let mut reply = shop.book(&format!("sale-{calls}"), sale.clone()).await;
        if reply.status == StatusCode::CONFLICT && random.chance(FORCED_PERMILLE) {
            sale["force"] = json!(true);
            reply = shop.book(&format!("forced-{calls}"), sale).await;
            forced += 1;
        }
        if reply.status == StatusCode::CREATED {
            sold.push(there.swap_remove(place));
        } else {
            assert_eq!(reply.code(), "hold_conflict", "{reply:?}");
        }
        tokio::time::sleep(TILL_PACE).await;
    }
    (sold, forced)
}

/// Cuts the line of one shop after the other, and gives it back; how often.
async fn cut(scene: Arc<Scene>) -> u64 {
    let mut random = Random::new(7);
    let mut cuts = 0;
    while !scene.is_over.load(Ordering::SeqCst) {
        let number = random.place(scene.shops.len());
        scene.up_since[number].store(u64::MAX, Ordering::SeqCst);
        scene.shops[number].link.cut();
        tokio::time::sleep(Duration::from_millis(200 + random.below(600))).await;
        scene.shops[number].link.mend();
        scene.up_since[number].store(scene.now_ms().max(1), Ordering::SeqCst);
        cuts += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    cuts
}

/// Looks at every hold and every piece when all lines are up again.
async fn judge(scene: &Scene, told: &[Told], sold: &BTreeSet<usize>, outcome: &mut Outcome) {
    let mut kept: BTreeMap<usize, Vec<&Told>> = BTreeMap::new();
    let mut held: BTreeMap<usize, i64> = BTreeMap::new();
    for hold in told {
        let body = settled(scene, &hold.id).await;
        let state = text(&body, "state");
        let work = work_of(&body);
        let is_own_doing = hold.let_go_at.is_some() && state == "released";
        match (hold.confirmed_at, state.as_str()) {
            (_, "confirmed") => {
                *held.entry(hold.piece).or_default() += 1;
                kept.entry(hold.piece).or_default().push(hold);
            }
            (Some(_), _) if is_own_doing => kept.entry(hold.piece).or_default().push(hold),
            (Some(_), "broken") if !work.is_empty() => {}
            (Some(_), _) => outcome.violations.push(format!(
                "confirmed, then {state}, and nobody is told: {body}"
            )),
            (None, _) => {}
        }
        for kind in work {
            *outcome.work.entry(kind).or_default() += 1;
        }
        outcome.confirmed_at_once += usize::from(hold.confirmed_at.is_some());
        *outcome.ended.entry(state).or_default() += 1;
    }
    for (piece, holds) in &kept {
        outcome.violations.extend(overlapping(*piece, holds));
    }
    for piece in 0..scene.size.pieces {
        let on_hand = i64::from(!sold.contains(&piece));
        let item = scene.chain.on_hand(&barcode(piece), on_hand).await;
        let promised = held.get(&piece).copied().unwrap_or_default();
        if item["held"] != json!(promised) || promised > on_hand {
            let words = format!("{promised} holds of a piece: {item}");
            outcome.violations.push(words);
        }
    }
}

/// A hold whose shop has said its word.
async fn settled(scene: &Scene, id: &str) -> Value {
    until("the shop's word", || async {
        let reply = scene.chain.get(&format!("/v1/holds/{id}")).await;
        match reply.body["state"].as_str() {
            Some("requested") | None => Err(reply),
            Some(_) => Ok(reply.body),
        }
    })
    .await
}

/// Two of these had the one piece at the same time, both being told so.
fn overlapping(piece: usize, holds: &[&Told]) -> Vec<String> {
    let mut times: Vec<(Instant, Option<Instant>, &str)> = holds
        .iter()
        .filter_map(|hold| Some((hold.confirmed_at?, hold.let_go_at, hold.id.as_str())))
        .collect();
    times.sort();
    let is_twice = |pair: &&[(Instant, Option<Instant>, &str)]| {
        pair[0].1.is_none_or(|let_go| let_go > pair[1].0)
    };
    let words = |pair: &[(Instant, Option<Instant>, &str)]| {
        let (first, second) = (pair[0].2, pair[1].2);
        format!("{} confirmed twice: {first}, {second}", barcode(piece))
    };
    times.windows(2).filter(is_twice).map(words).collect()
}

fn work_of(hold: &Value) -> Vec<String> {
    let legs = hold["legs"].as_array().into_iter().flatten();
    let work = legs.flat_map(|leg| leg["work"].as_array().into_iter().flatten());
    work.map(|item| text(item, "kind")).collect()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
