//! What websites and persons do about holds: order, look, extend, let go; scan, decline, fulfil, sell over, ship, receive.

use std::collections::{BTreeMap, BTreeSet};

use vitrina_shared::hold::{DeclineReason, Leg, ShopSide, Way, Word, WorkKind};
use vitrina_shared::memory::{Booked, Order};
use vitrina_shared::movement::Details;
use vitrina_shared::registers::HoldPolicy;
use vitrina_shared::safety::{Goods, Scope};
use vitrina_shared::time::Day;
use vitrina_shared::{
    Barcode, Condition, HoldId, HubLife, Key, Kind, LegId, Movement, MovementId, Qty, ShopId,
    TimeMs,
};

use super::config::Fault;
use super::machine::Machine;
use super::pledges::Seen;
use super::till::barcode;
use super::world::{Broken, World};

/// The barcodes that are ordered: no till moves them by itself.
const FIRST: u64 = 50;
const ORDERED: u64 = 3;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What is known of holds besides hub and machines.
pub(super) struct Orders {
    /// The hub's clock.
    pub(super) clock: TimeMs,
    /// Everything that was ever asked for.
    asked: Vec<Order>,
    /// What the website was told last of a hold, and how often the hub had gone back by then.
    pub(super) told: BTreeMap<HoldId, (Word, u64)>,
    /// Everything that people were ever told.
    pub(super) raised: BTreeSet<(LegId, WorkKind)>,
    /// How each leg stood at the hub, since that went back.
    pub(super) seen: BTreeMap<LegId, Seen>,
    /// Every leg that the hub ever had: one that is new to it may be an older hub's, brought back by its shop.
    pub(super) ever: BTreeSet<LegId>,
    /// The shops that have returned all their legs to a life of the hub.
    pub(super) said_all: BTreeSet<(HubLife, usize)>,
    /// How wrong a machine's corrected clock is until it hears the hub again.
    wrong: BTreeMap<(usize, usize), i64>,
    receipts: u64,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            clock: TimeMs(1_790_000_000_000),
            asked: Vec::new(),
            told: BTreeMap::new(),
            raised: BTreeSet::new(),
            seen: BTreeMap::new(),
            ever: BTreeSet::new(),
            said_all: BTreeSet::new(),
            wrong: BTreeMap::new(),
            receipts: 0,
        }
    }
}

impl Orders {
    /// A machine has heard what the hub's clock shows.
    pub(super) fn is_right_again(&mut self, shop: usize, place: usize) {
        self.wrong.remove(&(shop, place));
    }

    /// The hub's database is another.
    pub(super) fn hub_went_back(&mut self) {
        self.seen.clear();
    }
}

/// A movement of pieces that were ordered.
pub(super) fn piece(kind: Kind, code: Barcode, qty: i64, key: Key, details: &Details) -> Movement {
    Movement {
        kind,
        condition: Condition::Sellable,
        key,
        barcode: code,
        scanned: None,
        qty: Qty::new(qty).expect("a small number"),
        at: TimeMs(1_790_000_000_000),
        target: None,
        rest: details.to_bytes(),
    }
}

/// What says for which hold a movement is.
pub(super) fn details_of(hold: HoldId) -> Details {
    Details {
        hold: Some(hold),
        ..Details::default()
    }
}

impl World {
    /// Shops take holds, each by its policy; the first two ordered barcodes are of one article.
    pub(super) fn open_for_orders(&mut self) {
        for (number, shop) in self.shops.iter_mut().enumerate() {
            let machine = &mut shop.places[0].machine;
            machine.set_policy(if number % 2 == 0 {
                HoldPolicy::Auto
            } else {
                HoldPolicy::Scan
            });
        }
        self.hub.is_like(&[barcode(FIRST), barcode(FIRST + 1)]);
        self.keep_back();
    }

    /// Head office says what is kept back: of every piece one, of the ordered barcodes none, but of the second one in the
    /// second shop.
    pub(super) fn keep_back(&mut self) {
        let shops: Vec<ShopId> = self.shops.iter().map(|shop| shop.id.clone()).collect();
        let of = |shop: Option<usize>, goods| {
            let shop = shop.map(|number| shops.get(number).cloned());
            // There is not always a second shop.
            let shop = shop.map_or(Some(None), |shop| shop.map(Some))?;
            Some(Scope { shop, goods })
        };
        let code = |number: u64| Goods::Barcode(barcode(FIRST + number));
        let rules = [
            (of(None, Goods::All), 1),
            (of(None, code(0)), 0),
            (of(None, code(1)), 0),
            (of(Some(1), code(1)), 1),
            (of(None, code(2)), 0),
        ];
        for (scope, units) in rules {
            if let Some(scope) = scope {
                self.hub.keep_back(&scope, units);
            }
        }
    }

    /// The same, of an ordered barcode at a shop.
    pub(super) fn kept_back(&self, shop: &ShopId, code: &Barcode) -> i64 {
        let is_second = self.shops.iter().position(|one| one.id == *shop) == Some(1);
        i64::from(is_second && *code == barcode(FIRST + 1))
    }

    pub(super) fn has_orders(&self) -> bool {
        self.config.rates.contains_key(&Fault::Orders)
    }

    /// Everybody's clock shows what it should, or what it shows.
    pub(super) fn wind_clocks(&mut self) {
        if !self.has_orders() {
            return;
        }
        let now = self.orders.clock;
        for (number, shop) in self.shops.iter_mut().enumerate() {
            for (place, at) in shop.places.iter_mut().enumerate() {
                let wrong = self.orders.wrong.get(&(number, place));
                at.machine.wind(now.plus(wrong.copied().unwrap_or(0)));
            }
        }
        self.hub.set_clock(now);
    }

    /// One thing that a website or a person does.
    pub(super) fn order_something(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if !self.shops[shop].places[place].machine.is_up {
            self.start(shop, place);
        }
        match self.random.below(100) {
            0..12 => self.restock(shop, place),
            12..36 => self.ask(),
            36..44 => self.look(),
            44..49 => self.let_go(),
            49..54 => self.keep_longer(),
            54..60 => self.time_passes(shop, place),
            60..72 => self.answer_leg(shop, place),
            72..80 => self.fulfil(shop, place),
            80..88 => self.sell_held(shop, place),
            88..92 => {
                self.answer_question(shop, place);
                Ok(())
            }
            92..96 => self.ship_something(shop, place),
            _ => self.receive_something(shop, place),
        }?;
        self.check_promises(shop, place)
    }

    fn code(&mut self) -> Barcode {
        barcode(FIRST + self.random.below(ORDERED))
    }

    fn restock(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let qty = 1 + i64::from(self.random.chance(300));
        let (code, key) = (self.code(), Key::CallUuid(self.random.id()));
        let receipt = piece(Kind::Receipt, code, qty, key, &Details::default());
        self.bring(shop, place, receipt)
    }

    fn ask(&mut self) -> Result<(), Broken> {
        let order = if !self.orders.asked.is_empty() && self.random.chance(250) {
            self.orders.asked[self.random.place(self.orders.asked.len())].clone()
        } else {
            let number = self.orders.asked.len();
            let anywhere = self.random.chance(600);
            let shop = self.random.place(self.shops.len());
            Order {
                caller: "site".into(),
                idempotency_key: format!("call {number}").into(),
                barcode: self.code(),
                shop: (!anywhere).then(|| self.shops[shop].id.clone()),
                qty: Qty::new(1 + i64::from(self.random.chance(100))).expect("a small number"),
                order: format!("{}", number / 3).into(),
                allow_variant: self.random.chance(400),
                ttl_ms: HOUR_MS * (1 + i64::try_from(self.random.below(30)).expect("hours")),
            }
        };
        self.place_order(order).map(|_| ())
    }

    /// A website asks for a hold.
    pub(super) fn place_order(&mut self, order: Order) -> Result<Option<HoldId>, Broken> {
        self.wind_clocks();
        let id = HoldId::of(&order.caller, &order.idempotency_key);
        // Of a hold whose only leg ended before it was answered there is no word.
        let was_known = self.hub.legs().iter().any(|(leg, _)| leg.terms.hold == id);
        let placed = self.hub.place(&order, &mut self.names);
        if let Err(refusal) = &placed {
            self.check_offered(&order, *refusal)?;
        }
        if !self.orders.asked.contains(&order) {
            self.orders.asked.push(order);
        }
        match placed {
            Err(refusal) => {
                self.note("hold_refused", format_args!("{refusal:?}"));
                return Ok(None);
            }
            Ok(_) if was_known => self.note("hold_again", format_args!("{id}")),
            Ok(_) => {
                self.note("hold_opened", format_args!("{id}"));
                self.check_grant(id)?;
            }
        }
        self.check_legs()?;
        self.tell(id)?;
        Ok(Some(id))
    }

    fn any_hold(&mut self) -> Option<HoldId> {
        if self.orders.asked.is_empty() {
            return None;
        }
        let order = &self.orders.asked[self.random.place(self.orders.asked.len())];
        Some(HoldId::of(&order.caller, &order.idempotency_key))
    }

    fn look(&mut self) -> Result<(), Broken> {
        self.any_hold().map_or(Ok(()), |id| self.tell(id))
    }

    /// The website reads the state of a hold.
    pub(super) fn tell(&mut self, id: HoldId) -> Result<(), Broken> {
        let Some(word) = self.hub.hold(id) else {
            return Ok(());
        };
        self.note("hold_looked_at", format_args!("{id} {}", word.as_str()));
        self.check_word(id, word)
    }

    fn let_go(&mut self) -> Result<(), Broken> {
        self.any_hold().map_or(Ok(()), |id| self.release(id))
    }

    /// The website lets a hold go.
    pub(super) fn release(&mut self, id: HoldId) -> Result<(), Broken> {
        let was_bought = self.is_bought(id);
        match self.hub.release(id, &mut self.names) {
            Ok(()) if was_bought && !self.was_released(id) => {
                return Err(format!("I20 {id} was let go, and its buyer has the piece"));
            }
            Ok(()) => self.note("hold_released", format_args!("{id}")),
            Err(why) => self.note("hold_not_released", format_args!("{id} {why:?}")),
        }
        self.check_legs()
    }

    fn keep_longer(&mut self) -> Result<(), Broken> {
        let Some(id) = self.any_hold() else {
            return Ok(());
        };
        let ttl_ms = HOUR_MS * i64::try_from(self.random.below(48)).expect("hours");
        self.wind_clocks();
        match self.hub.extend(id, ttl_ms, &mut self.names) {
            Ok(()) => self.note("hold_extended", format_args!("{id}")),
            Err(why) => self.note("hold_not_extended", format_args!("{id} {why:?}")),
        }
        self.check_legs()
    }

    fn time_passes(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let span = if self.random.chance(150) { 30 * 60 } else { 40 };
        let minutes = i64::try_from(self.random.below(span)).expect("minutes");
        if self.happens(Fault::Clock) {
            let off = i64::try_from(self.random.below(4 * 60)).expect("minutes") - 120;
            self.orders.wrong.insert((shop, place), off * MINUTE_MS);
        }
        self.pass(minutes * MINUTE_MS)
    }

    /// So much time goes by, and the hub lets go what is over.
    pub(super) fn pass(&mut self, ms: i64) -> Result<(), Broken> {
        self.orders.clock = self.orders.clock.plus(ms);
        self.wind_clocks();
        self.hub.expire(&mut self.names);
        self.check_legs()
    }

    /// A machine.
    pub(super) fn machine(&self, shop: usize, place: usize) -> &Machine {
        &self.shops[shop].places[place].machine
    }

    pub(super) fn machine_mut(&mut self, shop: usize, place: usize) -> &mut Machine {
        &mut self.shops[shop].places[place].machine
    }

    /// Any leg that a machine knows and that is such.
    fn any_leg(&mut self, (shop, place): (usize, usize), is: impl Fn(&Leg) -> bool) -> Option<Leg> {
        let mut legs = self.machine(shop, place).legs();
        legs.retain(|leg| is(leg));
        if legs.is_empty() {
            return None;
        }
        Some(legs[self.random.place(legs.len())].clone())
    }

    fn answer_leg(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let is_said = |leg: &Leg| leg.shop.number() <= 2;
        let Some(leg) = self.any_leg((shop, place), is_said) else {
            return Ok(());
        };
        if self.random.chance(700) {
            return self.scan(shop, place, &leg);
        }
        let reason = DeclineReason::ALL[self.random.place(5)];
        if self.machine_mut(shop, place).decline(leg.id, reason) {
            self.note("leg_declined", format_args!("{shop}.{place} {}", leg.id));
        }
        Ok(())
    }

    /// A person scans the piece.
    pub(super) fn scan(&mut self, shop: usize, place: usize, leg: &Leg) -> Result<(), Broken> {
        if !self.machine_mut(shop, place).scan(leg.id) {
            return Ok(());
        }
        self.note("leg_scanned", format_args!("{shop}.{place} {}", leg.id));
        if leg.shop != ShopSide::None {
            return Err(format!(
                "I20 {shop}.{place} said {}, and then yes to {}",
                leg.shop.word(),
                leg.id
            ));
        }
        self.check_promises(shop, place)
    }

    fn receipt_key(&mut self) -> Key {
        self.orders.receipts += 1;
        Key::Receipt {
            till: "W".into(),
            receipt: self.orders.receipts.to_string().into(),
            line: 1,
            day: Day(20_261_103),
        }
    }

    /// The buyer stands at the till, with the order.
    fn fulfil(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let Some(leg) = self.any_leg((shop, place), |leg| leg.shop.number() <= 2) else {
            return Ok(());
        };
        let key = self.receipt_key();
        let details = details_of(leg.terms.hold);
        let code = leg.terms.barcode.clone();
        let sale = piece(Kind::Sale, code, -leg.units(), key, &details);
        self.bring_as(shop, place, sale, Some(Way::Call))
    }

    /// Somebody else wants what is held.
    fn sell_held(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let is_held = |leg: &Leg| leg.is_requested() && leg.shop.number() <= 2;
        let Some(leg) = self.any_leg((shop, place), is_held) else {
            return Ok(());
        };
        let code = leg.terms.barcode.clone();
        let (way, details, what) = match self.random.below(5) {
            0 | 1 => (Way::Call, Details::default(), None),
            2 => (Way::Forced, Details::default(), Some("forced")),
            3 => (Way::File, Details::default(), Some("file_over_hold")),
            _ => (
                Way::File,
                details_of(leg.terms.hold),
                Some("file_names_order"),
            ),
        };
        let key = if way == Way::File {
            self.receipt_key()
        } else {
            Key::CallUuid(self.random.id())
        };
        if let Some(what) = what {
            self.note(what, format_args!("{shop}.{place} {}", leg.id));
        }
        let sale = piece(Kind::Sale, code, -1, key, &details);
        self.bring_as(shop, place, sale, Some(way))
    }

    fn answer_question(&mut self, shop: usize, place: usize) {
        let questions: Vec<MovementId> = self.machine(shop, place).questions();
        if questions.is_empty() {
            return;
        }
        let sale = questions[self.random.place(questions.len())];
        let logs = self.shops[shop].places[place].machine.logs();
        let code = logs
            .index()
            .twins(sale)
            .next()
            .map(|sale| sale.barcode.clone());
        drop(logs);
        let is_its = |leg: &Leg| {
            leg.is_requested()
                && leg.shop.number() == 2
                && Some(&leg.terms.barcode) == code.as_ref()
        };
        let leg = self.any_leg((shop, place), is_its).map(|leg| leg.id);
        let leg = leg.filter(|_| self.random.chance(500));
        self.machine_mut(shop, place).settle_question(sale, leg);
        self.note("answered_question", format_args!("{shop}.{place} {sale}"));
    }

    fn ship_something(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if self.shops.len() == 1 {
            return Ok(());
        }
        let is_kept = |leg: &Leg| leg.is_requested() && leg.shop.number() == 2;
        let Some(leg) = self.any_leg((shop, place), is_kept) else {
            return Ok(());
        };
        let to = (shop + 1 + self.random.place(self.shops.len() - 1)) % self.shops.len();
        self.ship(shop, place, &leg, to)
    }

    /// The piece of a leg leaves for another shop.
    pub(super) fn ship(
        &mut self,
        shop: usize,
        place: usize,
        leg: &Leg,
        to: usize,
    ) -> Result<(), Broken> {
        let to: ShopId = self.shops[to].id.clone();
        let details = Details {
            to: Some(to.as_str().into()),
            ..details_of(leg.terms.hold)
        };
        let key = Key::call(&format!("out {}", leg.id));
        let code = leg.terms.barcode.clone();
        let out = piece(Kind::TransferOut, code, -leg.units(), key, &details);
        let id = out.id(&self.shops[shop].id);
        let at = &mut self.shops[shop].places[place];
        let booked = at.machine.ship(leg.id, &out, &mut self.names);
        if at.machine.has(id) {
            at.told.insert(id);
        }
        self.note("shipped", format_args!("{shop}.{place} {}", leg.id));
        // What was booked before is written under no name now.
        if booked == Booked::New {
            self.check_writer(shop, place)?;
        }
        Ok(())
    }

    fn receive_something(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let comes = |leg: &Leg| leg.terms.comes_from.is_some() && leg.is_requested();
        let Some(leg) = self.any_leg((shop, place), comes) else {
            return Ok(());
        };
        self.receive(shop, place, &leg)
    }

    /// The piece of a leg has come.
    pub(super) fn receive(&mut self, shop: usize, place: usize, leg: &Leg) -> Result<(), Broken> {
        let key = Key::call(&format!("in {}", leg.id));
        let code = leg.terms.barcode.clone();
        let details = details_of(leg.terms.hold);
        let came = piece(Kind::TransferIn, code, leg.units(), key, &details);
        self.note("received", format_args!("{shop}.{place} {}", leg.id));
        self.bring(shop, place, came)
    }
}
