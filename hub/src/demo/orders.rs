//! The scene `black-friday`: websites order single pieces, cashiers answer, some buyers come, and tills sell the same pieces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::error::DemoError;
use super::proof::until;
use super::random::Random;
use super::shop::Shop;
use super::website::{Origin, Website};

/// So many customers order at the same time.
pub(super) const CUSTOMERS: u64 = 6;
/// How long a website waits for the shop's word.
const WAIT_MS: u64 = 1_000;
/// How often a cashier looks at the page.
const CASHIER_LOOKS: Duration = Duration::from_millis(300);

/// Every order of the scene.
#[derive(Debug)]
pub(super) struct Orders {
    website: Arc<Website>,
    shops: Vec<Arc<Shop>>,
    stop: CancellationToken,
    /// The cashiers go home later: what was ordered is answered.
    answered: CancellationToken,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    holds: Vec<String>,
    refused: usize,
    bought: usize,
}

/// What came of the orders.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Orders that were asked for.
    pub(super) asked: usize,
    /// Nowhere was a piece for them.
    pub(super) refused: usize,
    /// Some shop said yes.
    pub(super) confirmed: usize,
    /// Some shop said no, or could not keep its word.
    pub(super) declined: usize,
    /// Another shop was asked after the first.
    pub(super) resourced: usize,
    /// Bought at a till by the order's name.
    pub(super) bought: usize,
    /// How the orders stand, by the word of the public interface.
    pub(super) states: BTreeMap<String, usize>,
    /// Pieces promised more often than they are there.
    pub(super) twice: Vec<String>,
    /// Work items: kind and owner, how many.
    pub(super) work: BTreeMap<(String, String), usize>,
}

impl Orders {
    /// Nothing is ordered yet.
    pub(super) fn new(
        website: &Arc<Website>,
        shops: &[Arc<Shop>],
        stop: &CancellationToken,
    ) -> Self {
        Self {
            website: Arc::clone(website),
            shops: shops.to_vec(),
            stop: stop.clone(),
            answered: CancellationToken::new(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders piece after piece; some orders are cancelled, of some the buyer comes.
    pub(super) async fn order(self: Arc<Self>, seed: u64) -> Result<(), DemoError> {
        let mut random = Random::new(seed ^ 0x0_B1AC);
        let mut number = 0_u64;
        while pause(&self.stop, random.pause(100, 500)).await {
            let shop = self.shops.get(random.below(self.shops.len()));
            let Some(piece) = shop.and_then(|shop| self.website.some_piece(shop.id(), &mut random))
            else {
                continue;
            };
            number += 1;
            let order = format!("BF-{seed}-{number}");
            let Some(id) = self.place(&order, &piece).await? else {
                continue;
            };
            match random.below(10) {
                0..=3 if pause(&self.stop, random.pause(500, 2_000)).await => {
                    self.buy(&id, &order).await?;
                }
                4 | 5 => self.cancel(&id).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The hold's id, where there is a piece.
    async fn place(&self, order: &str, piece: &str) -> Result<Option<String>, DemoError> {
        let body = json!({
            "barcode": piece, "qty": 1, "order": order, "allow_variant": true, "wait_ms": WAIT_MS,
        });
        let (status, hold) = self
            .website
            .send(Method::POST, "/v1/holds", Some((order, &body)))
            .await?;
        let id = hold.get("id").and_then(Value::as_str);
        match (status, id) {
            (StatusCode::CREATED, Some(id)) => {
                self.known().holds.push(id.to_owned());
                Ok(Some(id.to_owned()))
            }
            (StatusCode::CONFLICT, _) => {
                self.known().refused += 1;
                Ok(None)
            }
            _ => Err(DemoError::answer(
                "POST /v1/holds",
                &format!("{status} {hold}"),
            )),
        }
    }

    async fn cancel(&self, id: &str) -> Result<(), DemoError> {
        let path = format!("/v1/holds/{id}");
        let (status, hold) = self.website.send(Method::DELETE, &path, None).await?;
        if matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            return Ok(());
        }
        Err(DemoError::answer(path, &format!("{status} {hold}")))
    }

    /// The buyer comes to the shop that keeps the piece, and pays at the till.
    async fn buy(&self, id: &str, order: &str) -> Result<(), DemoError> {
        let hold = self.website.json(&format!("/v1/holds/{id}")).await?;
        let word = |name: &str| hold.get(name).and_then(Value::as_str).unwrap_or_default();
        let shop = self.shops.iter().find(|shop| shop.id() == word("shop"));
        // Where the 1C is the ledger its own till sells.
        let Some(shop) = shop.filter(|shop| !shop.place.is_balances) else {
            return Ok(());
        };
        let piece = word("barcode");
        let on_hand = shop.book().take(piece);
        let (true, Some(on_hand)) = (word("state") == "confirmed", on_hand) else {
            if on_hand.is_some() {
                shop.book().undo(piece);
            }
            return Ok(());
        };
        self.website.expect(shop, piece, on_hand, Origin::Till);
        let body = json!({ "receipt": order, "till": "W", "line": 1 }).to_string();
        let path = format!("/v1/holds/{id}/fulfil");
        let (status, answer) = shop.call(Method::POST, &path, Some((order, body))).await?;
        match status {
            StatusCode::OK | StatusCode::CREATED => {
                self.website.done(shop, piece, Instant::now());
                self.website.figures(|figures| figures.sales += 1);
                self.known().bought += 1;
                Ok(())
            }
            // It was let go or sold to somebody else meanwhile.
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => {
                self.website.forget(shop, piece);
                shop.book().undo(piece);
                Ok(())
            }
            _ => {
                let call = format!("POST {path} at {}", shop.id());
                Err(DemoError::answer(call, &format!("{status} {answer}")))
            }
        }
    }

    /// The cashier of a shop: looks for pieces, and says whose a sale was.
    pub(super) async fn answer(
        self: Arc<Self>,
        shop: Arc<Shop>,
        seed: u64,
    ) -> Result<(), DemoError> {
        let mut random = Random::new(seed ^ 0x0CA5_41E2);
        while pause(&self.answered, CASHIER_LOOKS).await {
            for hold in items(&shop, "/v1/holds").await? {
                let actions = hold.get("actions").and_then(Value::as_array);
                let can_confirm =
                    actions.is_some_and(|actions| actions.contains(&json!("confirm")));
                if !can_confirm {
                    continue;
                }
                let (action, body) = if random.below(10) == 0 {
                    ("decline", json!({ "reason": "not_found" }))
                } else {
                    ("confirm", json!({ "barcode": scanned(&hold) }))
                };
                say(&shop, "holds", &hold, &format!("/{action}"), &body).await?;
            }
            for question in items(&shop, "/v1/questions").await? {
                let whose = if random.below(2) == 0 {
                    "order"
                } else {
                    "other"
                };
                say(
                    &shop,
                    "questions",
                    &question,
                    "",
                    &json!({ "whose": whose }),
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Waits until every order has its answer; the cashiers go home.
    pub(super) async fn settle(&self) -> Result<(), DemoError> {
        let holds = self.known().holds.clone();
        for id in &holds {
            let path = format!("/v1/holds/{id}");
            until("every order has its answer", async || {
                let hold = self.website.json(&path).await?;
                let is_open = hold.get("state").is_none_or(|state| state == "requested");
                Ok(is_open.then(|| hold.to_string()))
            })
            .await?;
        }
        for shop in &self.shops {
            until("no question is open", async || {
                let questions = items(shop, "/v1/questions").await?;
                Ok(questions.first().map(ToString::to_string))
            })
            .await?;
        }
        self.answered.cancel();
        Ok(())
    }

    /// Looks at every order, every level and every work item.
    pub(super) async fn tally(&self, office: &Website) -> Result<Tally, DemoError> {
        let (holds, mut tally) = {
            let known = self.known();
            let tally = Tally {
                asked: known.holds.len() + known.refused,
                refused: known.refused,
                bought: known.bought,
                ..Tally::default()
            };
            (known.holds.clone(), tally)
        };
        for id in holds {
            let hold = self.website.json(&format!("/v1/holds/{id}")).await?;
            let legs = hold.get("legs").and_then(Value::as_array);
            let legs = legs.cloned().unwrap_or_default();
            let said = |words: &[&str]| {
                let side = |leg: &Value| {
                    leg.get("shop_side")
                        .and_then(Value::as_str)
                        .map(str::to_owned)
                };
                let is_said = |side: String| words.contains(&side.as_str());
                legs.iter().filter_map(side).any(is_said)
            };
            let yes = said(&["confirmed", "moved", "broken", "fulfilled"]);
            tally.confirmed += usize::from(yes);
            tally.declined += usize::from(said(&["declined", "broken"]));
            tally.resourced += usize::from(legs.len() > 1);
            let state = hold.get("state").and_then(Value::as_str);
            let state = state.unwrap_or_default().to_owned();
            *tally.states.entry(state).or_default() += 1;
        }
        for shop in &self.shops {
            tally.twice.extend(promised_twice(office, shop.id()).await?);
        }
        let alerts = office.json("/v1/alerts?state=all&limit=1000").await?;
        for alert in list(&alerts) {
            let word = |name: &str| alert.get(name).and_then(Value::as_str).map(str::to_owned);
            let owner = alert.get("owner").and_then(|owner| owner.get("person"));
            let owner = owner.and_then(Value::as_str).unwrap_or("–").to_owned();
            let place = (word("kind").unwrap_or_default(), owner);
            *tally.work.entry(place).or_default() += 1;
        }
        Ok(tally)
    }
}

impl Tally {
    /// Fails where a piece is promised twice.
    pub(super) fn ok(&self) -> Result<(), DemoError> {
        if self.twice.is_empty() {
            return Ok(());
        }
        let text = format!("promised twice:\n  {}", self.twice.join("\n  "));
        Err(DemoError::Disagreement(text))
    }
}

/// Levels of a shop of which more is held than there is.
async fn promised_twice(office: &Website, shop: &str) -> Result<Vec<String>, DemoError> {
    let mut twice = Vec::new();
    let mut path = format!("/v1/stock?shop={shop}&limit=1000");
    loop {
        let page = office.json(&path).await?;
        for level in list(&page) {
            let units = |name: &str| level.get(name).and_then(Value::as_i64).unwrap_or_default();
            if units("held") > units("on_hand").max(0) {
                twice.push(level.to_string());
            }
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => path = format!("/v1/stock?shop={shop}&limit=1000&cursor={cursor}"),
            None => return Ok(twice),
        }
    }
}

/// Says something about a hold or a question; what is over meanwhile needs no answer.
async fn say(
    shop: &Shop,
    of: &str,
    item: &Value,
    action: &str,
    body: &Value,
) -> Result<(), DemoError> {
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
    let path = format!("/v1/{of}/{id}{action}");
    let (status, answer) = shop
        .call(Method::POST, &path, Some((&path, body.to_string())))
        .await?;
    if status.is_success() || matches!(status, StatusCode::CONFLICT | StatusCode::NOT_FOUND) {
        return Ok(());
    }
    let call = format!("POST {path} at {}", shop.id());
    Err(DemoError::answer(call, &format!("{status} {answer}")))
}

/// The code on the piece, as it is printed.
fn scanned(hold: &Value) -> String {
    let barcode = hold
        .get("barcode")
        .and_then(Value::as_str)
        .unwrap_or_default();
    barcode.split('@').next().unwrap_or_default().to_owned()
}

async fn items(shop: &Shop, path: &str) -> Result<Vec<Value>, DemoError> {
    let (status, page) = shop.call(Method::GET, path, None).await?;
    if status == StatusCode::OK {
        return Ok(list(&page).cloned().collect());
    }
    let call = format!("GET {path} at {}", shop.id());
    Err(DemoError::answer(call, &format!("{status} {page}")))
}

fn list(page: &Value) -> impl Iterator<Item = &Value> {
    page.get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Waits; false when it is time to go home.
async fn pause(stop: &CancellationToken, how_long: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(how_long) => true,
    }
}
