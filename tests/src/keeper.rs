//! A shop that takes holds, without an agent: a device that keeps legs, brings them, and says what a test has it say.

use std::collections::BTreeMap;

use vitrina_shared::delta::Entry;
use vitrina_shared::hold::{DeclineReason, Leg, ShopSide};
use vitrina_shared::movement::{Condition, Details, Key, Kind, Movement};
use vitrina_shared::wire::v1::{LegV1, LegsV1};
use vitrina_shared::wire::{Answer, Request, frame};
use vitrina_shared::{HoldId, LegId, MovementId, Qty, ShopId, TimeMs};

use crate::Chain;
use crate::device::{Device, post, send};
use crate::http::{Http, Reply};
use crate::sim::random::Random;

/// A shop's device and what it keeps of holds.
#[derive(Debug)]
pub struct Keeper {
    /// The shop.
    pub shop: ShopId,
    /// Its legs.
    pub legs: BTreeMap<LegId, Leg>,
    device: Device,
    line: Http,
    /// What the hub is known to have, in its life.
    at_hub: BTreeMap<LegId, Leg>,
    held: u64,
    life: Option<(u64, [u8; 16])>,
    /// Movements that the next exchange brings.
    pending: Vec<Entry>,
    sold: u32,
}

impl Keeper {
    /// Enrols a shop with these settings, opens it with this stock and returns its legs, of which there are none.
    pub fn open(chain: &Chain, shop: &str, settings: &[&str], stock: &[(&str, i64)]) -> Self {
        let mut keeper = Self::silent(chain, shop, settings, stock);
        keeper.exchange();
        keeper
    }

    /// The same, without a word about legs.
    pub fn silent(chain: &Chain, shop: &str, settings: &[&str], stock: &[(&str, i64)]) -> Self {
        let mut args = vec!["shop", "add", shop, "--name", shop, "--json"];
        args.extend(settings);
        let code = chain.cli(&args).ok().json();
        let code = code["code"].as_str().unwrap();
        let mut line = Http::to(&chain.url);
        let seed = shop
            .bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte));
        let mut device = Device::enrol(&mut line, shop, code, &mut Random::new(seed));
        let stock: Vec<_> = { stock.iter() }
            .map(|(barcode, units)| ((*barcode).to_owned(), *units))
            .collect();
        let (opening, _) = device.opening(&stock);
        let answer = post(&mut line, "/v1/exchange", &opening);
        device.heard(&answer);
        Self {
            shop: shop.parse().unwrap(),
            legs: BTreeMap::new(),
            device,
            line,
            at_hub: BTreeMap::new(),
            held: 0,
            life: None,
            pending: Vec::new(),
            sold: 0,
        }
    }

    /// Goes on with a hub that was started anew.
    pub fn reconnect(&mut self, chain: &Chain) {
        self.line = Http::to(&chain.url);
    }

    /// The only leg.
    pub fn leg(&self) -> &Leg {
        assert_eq!(self.legs.len(), 1, "{:#?}", self.legs);
        self.legs.values().next().unwrap()
    }

    /// The leg of a hold.
    pub fn of(&self, hold: &str) -> LegId {
        let hold: HoldId = hold.parse().unwrap();
        let mut found = self.legs.values().filter(|leg| leg.terms.hold == hold);
        let leg = found.next().expect("a leg of the hold");
        leg.id
    }

    /// Brings what the hub lacks and takes what it gives.
    pub fn exchange(&mut self) -> Answer {
        self.waiting(0)
    }

    /// The same, and waits for news.
    pub fn waiting(&mut self, wait_ms: u32) -> Answer {
        let request = self.request(wait_ms);
        let frame = self.device.seal(&request);
        let answer = post(&mut self.line, "/v1/exchange", &frame);
        self.take(&request, &answer)
    }

    /// Brings whatever a test made of its legs, and gives whatever is answered.
    pub fn bring(&mut self, list: Vec<LegV1>) -> Reply {
        let mut request = self.request(0);
        request.legs = Some(LegsV1 {
            held: self.held,
            list,
            all: false,
        });
        let frame = self.device.seal(&request);
        send(&mut self.line, "/v1/exchange", &frame)
    }

    /// Brings its legs and none of its movements.
    pub fn exchange_without_movements(&mut self) -> Answer {
        let pending = std::mem::take(&mut self.pending);
        let answer = self.exchange();
        self.pending = pending;
        answer
    }

    fn request(&mut self, wait_ms: u32) -> Request {
        let pending = std::mem::take(&mut self.pending);
        let mut request = self.device.bringing(pending);
        request.hello.wait_ms = wait_ms;
        let is_settled = |leg: &&Leg| self.at_hub.get(&leg.id) == Some(*leg);
        let brought = self.legs.values().filter(|leg| !is_settled(leg));
        request.legs = Some(LegsV1 {
            held: self.held,
            list: brought.map(LegV1::of).collect(),
            all: true,
        });
        request
    }

    fn take(&mut self, request: &Request, answer: &[u8]) -> Answer {
        self.device.heard(answer);
        let answer = Answer::read(&frame::open(answer).unwrap()).unwrap();
        let life = Some(answer.welcome.life);
        let is_same_life = self.life.is_none() || self.life == life;
        if !is_same_life {
            self.at_hub.clear();
            self.held = 0;
        }
        self.life = life;
        let brought = answer.legs.clone().unwrap_or_default();
        if brought.taken && request.hello.life == life {
            let sent = request.legs.iter().flat_map(|legs| &legs.list);
            for leg in sent.map(|leg| leg.read(&self.shop).unwrap()) {
                self.at_hub.insert(leg.id, leg);
            }
        }
        for leg in brought.list.iter().map(|leg| leg.read(&self.shop).unwrap()) {
            let joined = match self.legs.get(&leg.id) {
                Some(known) => known.join(&leg),
                None => leg.clone(),
            };
            self.legs.insert(leg.id, joined);
            let known = self.at_hub.get(&leg.id).map(|known| known.join(&leg));
            self.at_hub.insert(leg.id, known.unwrap_or(leg));
        }
        self.held = self.held.max(brought.upto);
        answer
    }

    /// Writes the shop's side of a leg.
    pub fn say(&mut self, leg: LegId, side: ShopSide) {
        let leg = self.legs.get_mut(&leg).unwrap();
        assert!(leg.shop.may_become(side), "{leg:?} {side:?}");
        leg.shop = side;
    }

    /// Yes.
    pub fn confirm(&mut self, leg: LegId) {
        self.say(leg, ShopSide::Confirmed { at: now() });
    }

    /// No.
    pub fn decline(&mut self, leg: LegId, reason: DeclineReason) {
        let at = now();
        self.say(leg, ShopSide::Declined { reason, at });
    }

    /// The order's buyer has the piece, by this sale.
    pub fn fulfil(&mut self, leg: LegId, movement: MovementId) {
        let at = now();
        self.say(leg, ShopSide::Fulfilled { movement, at });
    }

    /// Sells a piece; the next exchange brings it.
    pub fn sell(&mut self, barcode: &str) -> MovementId {
        self.sold += 1;
        let key = format!("sale {}", self.sold);
        self.book(Kind::Sale, barcode, -1, &key, &Details::default())
    }

    /// Takes a movement back; the next exchange brings the word.
    pub fn take_back(&mut self, barcode: &str, target: MovementId) {
        let void = Movement {
            kind: Kind::Void,
            condition: Condition::Sellable,
            key: Key::call(&format!("void of {target}")),
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::ZERO,
            at: now(),
            target: Some(target),
            rest: Box::default(),
        };
        self.pending.push(Entry::new(void));
    }

    /// Books a movement; the next exchange brings it.
    pub fn book(
        &mut self,
        kind: Kind,
        barcode: &str,
        qty: i64,
        key: &str,
        details: &Details,
    ) -> MovementId {
        self.add(Movement {
            kind,
            condition: Condition::Sellable,
            key: Key::call(key),
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::new(qty).unwrap(),
            at: now(),
            target: None,
            rest: details.to_bytes(),
        })
    }

    /// Books pieces that cannot be sold; the next exchange brings it.
    pub fn put_aside(&mut self, barcode: &str, qty: i64) -> MovementId {
        self.add(Movement {
            kind: Kind::Adjustment,
            condition: Condition::Unavailable,
            key: Key::call(&format!("put aside {barcode}")),
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::new(qty).unwrap(),
            at: now(),
            target: None,
            rest: Box::default(),
        })
    }

    /// The shop's own ledger states how many there are; the next exchange brings it.
    pub fn state(&mut self, barcode: &str, qty: i64, at: TimeMs) -> MovementId {
        self.add(Movement {
            kind: Kind::Balance,
            condition: Condition::Sellable,
            key: Key::Statement,
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::new(qty).unwrap(),
            at,
            target: None,
            rest: Box::default(),
        })
    }

    fn add(&mut self, movement: Movement) -> MovementId {
        let id = movement.id(&self.shop);
        self.pending.push(Entry::new(movement));
        id
    }
}

fn now() -> TimeMs {
    TimeMs(vitrina_host::clock::now_ms())
}
