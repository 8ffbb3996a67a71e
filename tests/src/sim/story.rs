//! A run that is told step by step: the schedules that have a name.

use vitrina_shared::hold::{DeclineReason, Leg, Way, Word, WorkKind};
use vitrina_shared::memory::Order;
use vitrina_shared::movement::Details;
use vitrina_shared::time::Day;
use vitrina_shared::{Barcode, Condition, HoldId, Key, Kind, Movement, Qty, TimeMs};

use super::config::{Config, Fault};
use super::orders::details_of;
use super::run::Stores;
use super::till::barcode;
use super::world::{Flight, World};

/// A machine of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    shop: usize,
    place: usize,
}

/// A message that somebody kept: it can arrive at any later time, any number of times.
pub struct Frame(Flight);

/// A copy of a machine's disk.
#[derive(Clone, Copy, Debug)]
pub struct Copy(usize);

/// A copy of the hub's database.
#[derive(Clone, Copy, Debug)]
pub struct HubCopy(usize);

/// Something a till, a file or a person brings.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    kind: Kind,
    receipt: &'static str,
    barcode: u64,
    qty: i64,
    day: u32,
}

/// A sale of one piece of barcode `barcode` on a receipt.
pub fn sale(receipt: &'static str, barcode: u64) -> Line {
    Line {
        kind: Kind::Sale,
        receipt,
        barcode,
        qty: -1,
        day: 20_261_103,
    }
}

impl Line {
    /// It comes back, on the receipt of the sale.
    #[must_use]
    pub fn returned(self) -> Self {
        Self {
            kind: Kind::Return,
            qty: -self.qty,
            ..self
        }
    }

    /// The same receipt number on another day.
    #[must_use]
    pub fn a_day_later(self) -> Self {
        Self {
            day: self.day + 1,
            ..self
        }
    }

    /// The receipt says another quantity.
    #[must_use]
    pub fn of(self, pieces: i64) -> Self {
        Self {
            qty: self.qty.signum() * pieces,
            ..self
        }
    }

    fn movement(self, key: Option<Key>) -> Movement {
        let of_receipt = Key::Receipt {
            till: "1".into(),
            receipt: self.receipt.into(),
            line: 1,
            day: Day(self.day),
        };
        Movement {
            kind: self.kind,
            condition: Condition::Sellable,
            key: key.unwrap_or(of_receipt),
            barcode: barcode(self.barcode),
            scanned: None,
            qty: Qty::new(self.qty).unwrap(),
            at: TimeMs(1_790_000_000_000),
            target: None,
            rest: Details::default().to_bytes(),
        }
    }
}

/// A run under way. Every step looks at the promises; one that breaks ends the test.
pub struct Story(World);

impl Story {
    /// A hub and so many shops with a machine each, which take holds: the first by stock, the second by scan, and so on.
    /// Every shop has told the hub what it keeps.
    pub fn with_orders(shops: usize) -> Self {
        let mut config = Config::quiet(shops);
        config.rates.insert(Fault::Orders, 0);
        let mut story = Self(World::new(Stores::Memory, 1, &config));
        story.0.wind_clocks();
        for shop in 0..shops {
            story.exchange_all(story.shop(shop));
        }
        story
    }

    /// Pieces come into a shop.
    pub fn restock(&mut self, at: At, barcode: u64, pieces: i64) {
        let key = format!("restock {} {barcode} {pieces}", at.shop);
        let mut line = sale("", barcode).of(pieces);
        line.qty = pieces;
        line.kind = Kind::Receipt;
        self.call(at, &key, line);
        self.exchange(at);
    }

    /// A website orders one piece of a barcode under a key; nothing where it is refused.
    pub fn order(&mut self, key: &str, barcode_number: u64) -> Option<HoldId> {
        let order = Order {
            caller: "site".into(),
            idempotency_key: key.into(),
            barcode: barcode(barcode_number),
            shop: None,
            qty: Qty::new(1).unwrap(),
            order: key.into(),
            allow_variant: false,
            ttl_ms: 86_400_000,
        };
        self.0.place_order(order).unwrap()
    }

    /// What the website reads of a hold.
    pub fn hold(&mut self, hold: HoldId) -> Option<Word> {
        self.0.tell(hold).unwrap();
        self.0.hub.memory().unwrap().hold(hold)
    }

    /// The website lets a hold go.
    pub fn release(&mut self, hold: HoldId) {
        self.0.release(hold).unwrap();
    }

    /// So many minutes go by.
    pub fn minutes(&mut self, minutes: i64) {
        self.0.pass(minutes * 60_000).unwrap();
    }

    /// The leg of a hold that a machine knows; the last of them.
    fn leg(&self, at: At, hold: HoldId) -> Leg {
        let legs = self.0.machine(at.shop, at.place).legs().into_iter();
        let of_hold = legs.filter(|leg| leg.terms.hold == hold);
        of_hold.max_by_key(Leg::rank).unwrap()
    }

    /// A person scans the piece of a hold.
    pub fn scan(&mut self, at: At, hold: HoldId) {
        let leg = self.leg(at, hold);
        self.0.scan(at.shop, at.place, &leg).unwrap();
    }

    /// A person says no to a hold.
    pub fn decline(&mut self, at: At, hold: HoldId) {
        let leg = self.leg(at, hold);
        let machine = self.0.machine_mut(at.shop, at.place);
        assert!(machine.decline(leg.id, DeclineReason::NotFound));
    }

    /// The piece of a hold leaves for another shop.
    pub fn ship(&mut self, at: At, hold: HoldId, to: At) {
        let leg = self.leg(at, hold);
        self.0.ship(at.shop, at.place, &leg, to.shop).unwrap();
    }

    /// The piece of a hold has come.
    pub fn receive(&mut self, at: At, hold: HoldId) {
        let leg = self.leg(at, hold);
        self.0.receive(at.shop, at.place, &leg).unwrap();
    }

    /// A till sells by a call, naming the hold.
    pub fn fulfil(&mut self, at: At, hold: HoldId, line: Line) {
        let mut sale = line.movement(None);
        sale.rest = details_of(hold).to_bytes();
        let call = Some(Way::Call);
        self.0.bring_as(at.shop, at.place, sale, call).unwrap();
    }

    /// Units of a barcode that are held in a shop, by the hub.
    pub fn held(&mut self, at: At, number: u64) -> i64 {
        let id = self.0.shops[at.shop].id.clone();
        let hub = self.0.hub.memory().unwrap();
        hub.offer(&id, &barcode(number)).level.held
    }

    /// What people were told of holds, in no order.
    pub fn work(&mut self) -> Vec<WorkKind> {
        let hub = self.0.hub.memory().unwrap();
        hub.work().iter().map(|(_, kind)| *kind).collect()
    }

    /// A hub and so many shops with a machine each; nothing goes wrong by itself.
    pub fn of_shops(shops: usize) -> Self {
        Self(World::new(Stores::Memory, 1, &Config::quiet(shops)))
    }

    /// The first machine of a shop.
    pub fn shop(&self, shop: usize) -> At {
        At { shop, place: 0 }
    }

    /// A till sells, and is told so.
    pub fn sell(&mut self, at: At, line: Line) {
        self.0
            .bring(at.shop, at.place, line.movement(None))
            .unwrap();
    }

    /// A call without a receipt, under an idempotency key.
    pub fn call(&mut self, at: At, key: &str, line: Line) {
        let movement = line.movement(Some(Key::call(key)));
        self.0.bring(at.shop, at.place, movement).unwrap();
    }

    /// The shop's 1C states what is there of a barcode.
    pub fn state(&mut self, at: At, barcode: u64, pieces: i64, minute: i64) {
        let mut movement = sale("", barcode).movement(Some(Key::Statement));
        movement.kind = Kind::Balance;
        movement.qty = Qty::new(pieces).unwrap();
        movement.at = movement.at.plus(minute * 60_000);
        self.0.bring(at.shop, at.place, movement).unwrap();
    }

    /// A later version of the program wrote something, and was taken back.
    pub fn write_unknown(&mut self, at: At) {
        self.0.write_unknown(at.shop, at.place).unwrap();
    }

    /// A request and its answer.
    pub fn exchange(&mut self, at: At) {
        self.0.poll(at.shop, at.place).unwrap();
    }

    /// Exchanges until there is nothing to say.
    pub fn exchange_all(&mut self, at: At) {
        for _ in 0..50 {
            self.exchange(at);
        }
    }

    /// The request arrives, its answer does not.
    pub fn lose_the_answer(&mut self, at: At) {
        let frame = self.keep_frame(at);
        self.arrive(&frame);
    }

    /// A request leaves and does not arrive yet.
    pub fn keep_frame(&mut self, at: At) -> Frame {
        let (request, _) = self.0.shops[at.shop].places[at.place].machine.ask();
        let bytes = self.0.sealed(at.shop, request).unwrap().into();
        Frame(Flight {
            shop: at.shop,
            place: at.place,
            exchange: 0,
            bytes,
            is_answer: false,
            age: self.0.age,
        })
    }

    /// A request that was kept arrives; its answer goes nowhere.
    pub fn arrive(&mut self, frame: &Frame) {
        self.0.take(&frame.0).unwrap();
    }

    /// A request whose rows say too much arrives.
    pub fn arrive_with_a_row_too_high(&mut self, at: At) {
        let (mut request, _) = self.0.shops[at.shop].places[at.place].machine.ask();
        for row in request
            .deltas
            .iter_mut()
            .flat_map(|delta| &mut delta.totals)
        {
            row.total.p += 100;
        }
        let bytes = self.0.sealed(at.shop, request).unwrap().into();
        let mut frame = self.keep_frame(at);
        frame.0.bytes = bytes;
        self.arrive(&frame);
    }

    /// Somebody copies the disk.
    pub fn copy(&mut self, at: At) -> Copy {
        self.0.copy_machine(at.shop, at.place);
        Copy(self.0.shops[at.shop].copies.len() - 1)
    }

    /// The ledger is put back: the program sees that the file is another.
    pub fn restore(&mut self, at: At, copy: Copy) {
        self.0.put_back(at.shop, at.place, Fault::Restore, copy.0);
    }

    /// The whole machine goes back: nothing on it shows it.
    pub fn revert(&mut self, at: At, copy: Copy) {
        self.0.put_back(at.shop, at.place, Fault::Revert, copy.0);
    }

    /// The copy runs on a second machine.
    pub fn second_machine(&mut self, at: At, copy: Copy) -> At {
        self.0.put_back(at.shop, at.place, Fault::Clone, copy.0);
        let place = self.0.shops[at.shop].places.len() - 1;
        self.0.start(at.shop, place);
        At { place, ..at }
    }

    /// Somebody copies the hub's database.
    pub fn copy_hub(&mut self) -> HubCopy {
        self.0.copy_hub();
        HubCopy(self.0.hub_copies.len() - 1)
    }

    /// The hub's file is put back by hand.
    pub fn revert_hub(&mut self, copy: HubCopy) {
        self.0.hub_goes_back(Fault::HubRevert, copy.0);
    }

    /// The hub is restored by its command.
    pub fn restore_hub(&mut self, copy: HubCopy) {
        self.0.hub_goes_back(Fault::HubRestore, copy.0);
    }

    /// Head office changes a price.
    pub fn set_price(&mut self) {
        self.0.set_price();
    }

    /// A website reads on.
    pub fn read(&mut self) {
        self.0.follow(0).unwrap();
    }

    /// How often a branch of the protocol was taken.
    pub fn count(&self, what: &str) -> u64 {
        self.0.count(what)
    }

    /// Units of a barcode at the hub.
    pub fn on_hand(&self, at: At, number: u64) -> i64 {
        let code: Barcode = barcode(number);
        let id = &self.0.shops[at.shop].id;
        self.0.hub.logs(id).index().on_hand(&code)
    }

    /// Everybody exchanges until all hold the same, and everything that anybody held counts once.
    pub fn peace(&mut self) {
        self.0.peace().unwrap();
    }
}
