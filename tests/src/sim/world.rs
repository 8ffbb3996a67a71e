//! One run: steps with faults, a check after each, then peace, in which everybody must come to hold the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vitrina_shared::decide::Outcome;
use vitrina_shared::model::ShopModel;
use vitrina_shared::movement::Details;
use vitrina_shared::time::Day;
use vitrina_shared::{
    Barcode, Condition, Dot, Key, Kind, Movement, MovementId, Qty, ShopId, TimeMs,
};

use super::hub::Hub;
use super::machine::{Booked, Disk, Machine, Sent};
use super::random::Random;
use super::{Config, Fault, Report};

/// How many of the last events are kept for a report.
const EVENTS: usize = 200;
/// In peace everybody is level after so many rounds at most: each brings a few movements, and there may be many lives.
const ROUNDS: usize = 2_000;
const BARCODES: u64 = 7;
/// All receipts are of one day: the key has the day of the till, and clocks that jump must not make it another.
const DAY: Day = Day(20_261_103);

/// A message on its way.
#[derive(Clone)]
struct Flight {
    shop: usize,
    machine: usize,
    /// Which exchange of the machine; an answer to an older one has nobody who reads it.
    exchange: u64,
    bytes: Vec<u8>,
    is_answer: bool,
    /// How often the hub had gone back when it answered.
    age: u64,
}

/// What is known of a machine besides itself.
struct Place {
    machine: Machine,
    /// What its tills were told to be recorded, as long as its disk was not put back.
    told: BTreeSet<MovementId>,
    /// A call that got no answer: the till asks again under the same key.
    open_call: Option<Movement>,
    exchange: u64,
    waits: Option<Sent>,
    cut_off_until: usize,
}

struct Snapshot {
    machine: Machine,
    told: BTreeSet<MovementId>,
}

struct Shop {
    id: ShopId,
    places: Vec<Place>,
    copies: Vec<Snapshot>,
    sold: u64,
    /// The last receipt that the shop's 1C wrote.
    receipt: u64,
}

struct World<'c> {
    config: &'c Config,
    random: Random,
    hub: Hub,
    /// The greatest ordinal that the hub's folder ever showed outside the database.
    ordinal: u64,
    hub_copies: Vec<Hub>,
    /// How often the hub went back.
    age: u64,
    shops: Vec<Shop>,
    flights: Vec<Flight>,
    /// Requests of earlier times.
    past: Vec<Flight>,
    step: usize,
    is_peace: bool,
    trace: u64,
    counts: BTreeMap<&'static str, u64>,
    events: VecDeque<String>,
}

type Broken = String;

/// Runs a seed.
pub fn run(seed: u64, config: &Config) -> Report {
    let mut world = World::new(seed, config);
    // A store that a decision leads astray panics: that is how it was found out.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let violation = lived
        .unwrap_or_else(|_| Err("panic: a store was told what cannot be".to_owned()))
        .err();
    Report {
        trace: world.trace,
        counts: world.counts,
        violation,
        events: world.events.into(),
    }
}

impl<'c> World<'c> {
    fn new(seed: u64, config: &'c Config) -> Self {
        let mut random = Random::new(seed);
        let shops = (0..config.shops).map(|number| Shop {
            id: format!("S{number:03}").parse().expect("a shop's name"),
            places: vec![Place::of(Machine::new(&mut random), BTreeSet::new())],
            copies: Vec::new(),
            sold: 0,
            receipt: 0,
        });
        let shops = shops.collect();
        let hub = Hub::new(config.shops, &mut random);
        Self {
            config,
            random,
            hub,
            ordinal: 1,
            hub_copies: Vec::new(),
            age: 0,
            shops,
            flights: Vec::new(),
            past: Vec::new(),
            step: 0,
            is_peace: false,
            trace: 0xcbf2_9ce4_8422_2325,
            counts: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    fn live(&mut self) -> Result<(), Broken> {
        while self.step < self.config.steps {
            self.step += 1;
            self.one_step()?;
        }
        self.peace()
    }

    fn note(&mut self, what: &'static str, of: &str) {
        *self.counts.entry(what).or_default() += 1;
        let line = format!("{:5} {what} {of}", self.step);
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(line);
    }

    fn happens(&mut self, fault: Fault) -> bool {
        let rate = self.config.rates.get(&fault).copied().unwrap_or(0);
        !self.is_peace && rate > 0 && self.random.chance(rate)
    }

    fn one_step(&mut self) -> Result<(), Broken> {
        let shop = self.random.place(self.shops.len());
        let place = self.random.place(self.shops[shop].places.len());
        self.break_something(shop, place);
        match self.random.below(10) {
            0..4 => self.sell(shop, place),
            4..7 => self.poll(shop, place),
            _ => self.deliver(),
        }?;
        if self.random.chance(100) {
            self.copy_something(shop, place);
        }
        Ok(())
    }

    fn sell(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if !self.shops[shop].places[place].machine.is_up {
            self.start(shop, place);
        }
        let movement = match self.shops[shop].places[place].open_call.take() {
            Some(open) => open,
            None => self.movement(shop),
        };
        let id = movement.id(&self.shops[shop].id);
        if self.happens(Fault::CrashBefore) {
            self.shops[shop].places[place].open_call = Some(movement);
            self.stop(shop, place);
            self.note("crash_before", &format!("{shop}.{place}"));
            return Ok(());
        }
        if self.happens(Fault::DiskFull) {
            // The till is told that nothing was booked, and asks again.
            self.shops[shop].places[place].open_call = Some(movement);
            self.note("disk_full", &format!("{shop}.{place}"));
            return Ok(());
        }
        let (crashes, shop_id) = (self.happens(Fault::CrashAfter), self.shops[shop].id.clone());
        let at = &mut self.shops[shop].places[place];
        let booked = at.machine.book(&shop_id, movement.clone());
        if crashes {
            at.open_call = Some(movement);
            self.stop(shop, place);
            self.note("crash_after", &format!("{shop}.{place} {id}"));
            return Ok(());
        }
        let what = match booked {
            Booked::New => "sold",
            Booked::Again => "sold_again",
            Booked::Conflict => {
                self.note("conflict", &format!("{shop}.{place} {id}"));
                return Ok(());
            }
        };
        at.told.insert(id);
        self.note(what, &format!("{shop}.{place} {id}"));
        if self.shops[shop].places[place].machine.has(id) {
            Ok(())
        } else {
            Err(format!("I3 lost: {shop}.{place} was told of {id}"))
        }
    }

    fn movement(&mut self, shop: usize) -> Movement {
        let goes_back = self.happens(Fault::ReceiptsAgain);
        let is_wrong = self.happens(Fault::Clock);
        if goes_back {
            self.note("receipts_again", &format!("{shop}"));
        }
        if is_wrong {
            self.note("clock", &format!("{shop}"));
        }
        let shop = &mut self.shops[shop];
        shop.sold += 1;
        if goes_back {
            shop.receipt -= self.random.below(shop.receipt.min(20) + 1);
        }
        let key = if self.random.chance(500) {
            shop.receipt += 1;
            Key::Receipt {
                till: "1".into(),
                receipt: shop.receipt.to_string().into(),
                line: 1,
                day: DAY,
            }
        } else {
            Key::CallUuid(self.random.id())
        };
        let mut at = TimeMs(1_790_000_000_000 + i64::try_from(shop.sold).expect("a small number"));
        if is_wrong {
            // Twenty years either way.
            at = at.plus(
                631_152_000_000
                    - i64::try_from(self.random.below(1_262_304_000_000)).expect("a span"),
            );
        }
        let qty = if self.random.chance(300) { 2 } else { -1 };
        Movement {
            kind: if qty > 0 { Kind::Receipt } else { Kind::Sale },
            condition: Condition::Sellable,
            key,
            barcode: barcode(self.random.below(BARCODES)),
            scanned: None,
            qty: Qty::new(qty).expect("a small number"),
            at,
            target: None,
            rest: Details::default().to_bytes(),
        }
    }

    fn poll(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let shop_id = self.shops[shop].id.clone();
        let at = &mut self.shops[shop].places[place];
        if !at.machine.is_up {
            return Ok(());
        }
        let (bytes, sent) = at
            .machine
            .request(&shop_id)
            .map_err(|error| format!("a request cannot be sealed: {error}"))?;
        at.exchange += 1;
        at.waits = Some(sent);
        let flight = Flight {
            shop,
            machine: place,
            exchange: at.exchange,
            bytes,
            is_answer: false,
            age: 0,
        };
        self.past.push(flight.clone());
        self.note("asked", &format!("{shop}.{place}"));
        self.send(flight)
    }

    /// Puts a message on the line, which is not what it should be.
    fn send(&mut self, flight: Flight) -> Result<(), Broken> {
        let at = &self.shops[flight.shop].places[flight.machine];
        if !self.is_peace && self.step < at.cut_off_until {
            self.note("no_line", &format!("{}.{}", flight.shop, flight.machine));
            return Ok(());
        }
        if self.happens(Fault::Loss) {
            self.note("loss", &format!("{}.{}", flight.shop, flight.machine));
            return Ok(());
        }
        if !flight.is_answer && self.happens(Fault::Repeat) {
            self.note("repeat", &format!("{}.{}", flight.shop, flight.machine));
            self.flights.push(flight.clone());
        }
        if self.happens(Fault::Delay) {
            self.note("delay", &format!("{}.{}", flight.shop, flight.machine));
            self.flights.push(flight);
            return Ok(());
        }
        self.arrive(&flight)
    }

    /// Any message that waits arrives.
    fn deliver(&mut self) -> Result<(), Broken> {
        if self.happens(Fault::LateFrame) && !self.past.is_empty() {
            let at = self.random.place(self.past.len());
            let flight = self.past[at].clone();
            self.note("late_frame", &format!("{}.{}", flight.shop, flight.machine));
            return self.arrive(&flight);
        }
        if self.flights.is_empty() {
            return Ok(());
        }
        let at = self.random.place(self.flights.len());
        let flight = self.flights.swap_remove(at);
        self.arrive(&flight)
    }

    fn arrive(&mut self, flight: &Flight) -> Result<(), Broken> {
        if flight.is_answer {
            self.hear(flight)
        } else {
            self.ask_hub(flight)
        }
    }

    fn ask_hub(&mut self, flight: &Flight) -> Result<(), Broken> {
        if self.happens(Fault::HubCrashBefore) {
            self.note("hub_crash_before", "");
            return Ok(());
        }
        let exchanged = self
            .hub
            .exchange(flight.shop, &flight.bytes, &mut self.random)
            .map_err(|error| format!("the hub refuses a frame: {error}"))?;
        self.ordinal = self.ordinal.max(self.hub.life.ordinal);
        for outcome in &exchanged.outcomes {
            let what = match outcome {
                Outcome::Merge { skip: 0 } => "merged",
                Outcome::Merge { .. } => "merged_in_part",
                Outcome::Duplicate => "duplicate",
                Outcome::Gap { .. } => "gap",
                Outcome::Take => "take",
                Outcome::Fork { .. } => "fork",
            };
            self.note(what, &format!("{}.{}", flight.shop, flight.machine));
        }
        if exchanged.begun {
            self.note("hub_behind", &format!("life {}", self.hub.life.ordinal));
        }
        if self.happens(Fault::HubCrashAfter) {
            self.note("hub_crash_after", "");
            return Ok(());
        }
        let mut bytes = exchanged.answer;
        if self.happens(Fault::Cut) {
            bytes.truncate(self.random.place(bytes.len()));
            self.note("cut", &format!("{}.{}", flight.shop, flight.machine));
        }
        self.send(Flight {
            bytes,
            is_answer: true,
            age: self.age,
            ..flight.clone()
        })
    }

    fn hear(&mut self, flight: &Flight) -> Result<(), Broken> {
        let (shop, place) = (flight.shop, flight.machine);
        let shop_id = self.shops[shop].id.clone();
        let at = &mut self.shops[shop].places[place];
        if at.exchange != flight.exchange || !at.machine.is_up {
            return Ok(());
        }
        let Some(sent) = at.waits.take() else {
            return Ok(());
        };
        let own = at.machine.disk.own;
        let own_end = at.machine.disk.logs.head(own);
        let Ok(applied) = at
            .machine
            .apply(&shop_id, &flight.bytes, sent, &mut self.random)
        else {
            self.note("not_read", &format!("{shop}.{place}"));
            return Ok(());
        };
        self.note("answered", &format!("{shop}.{place} {}", applied.taken));
        for (is, what) in [
            (applied.minted, "minted"),
            (applied.branched, "branched"),
            (applied.taken > 0, "taken"),
            (applied.life_changed, "life_changed"),
        ] {
            if is {
                self.note(what, &format!("{shop}.{place}"));
            }
        }
        let disk = &self.shops[shop].places[place].machine.disk;
        if disk.own == own && disk.logs.head(own) != own_end {
            return Err(format!(
                "I7 two writers: {shop}.{place} goes on with {own}, which somebody else has extended"
            ));
        }
        // Nothing leaves a log but a tail that goes to its branch.
        if applied.branched {
            self.check_told(shop, place)?;
        }
        if flight.age == self.age {
            self.check_acked(shop, place)?;
        }
        Ok(())
    }

    fn start(&mut self, shop: usize, place: usize) {
        if self.shops[shop].places[place]
            .machine
            .start(&mut self.random)
        {
            self.note("doubted", &format!("{shop}.{place}"));
        }
    }

    /// The program is gone, and with it every exchange that it waits for.
    fn stop(&mut self, shop: usize, place: usize) {
        let at = &mut self.shops[shop].places[place];
        at.machine.is_up = false;
        at.waits = None;
    }

    fn copy_something(&mut self, shop: usize, place: usize) {
        if self.random.chance(300) {
            self.hub_copies.push(self.hub.clone());
            return;
        }
        let at = &self.shops[shop].places[place];
        let snapshot = Snapshot {
            machine: at.machine.clone(),
            told: at.told.clone(),
        };
        self.shops[shop].copies.push(snapshot);
    }

    fn break_something(&mut self, shop: usize, place: usize) {
        if self.happens(Fault::Partition) {
            let until = self.step + self.random.place(self.config.steps);
            self.shops[shop].places[place].cut_off_until = until;
            self.note("partition", &format!("{shop}.{place} until {until}"));
        }
        let has_copies = !self.shops[shop].copies.is_empty();
        for fault in [Fault::Restore, Fault::Revert, Fault::Clone] {
            if has_copies && self.happens(fault) {
                self.put_back(shop, place, fault);
            }
        }
        for fault in [Fault::HubRevert, Fault::HubRestore, Fault::HubEmpty] {
            if self.happens(fault) {
                self.hub_goes_back(fault);
            }
        }
    }

    fn put_back(&mut self, shop: usize, place: usize, fault: Fault) {
        let copy = self.random.place(self.shops[shop].copies.len());
        let (copied, told) = {
            let copy = &self.shops[shop].copies[copy];
            (copy.machine.clone(), copy.told.clone())
        };
        if fault == Fault::Clone {
            if self.shops[shop].places.len() < 3 {
                self.shops[shop].places.push(Place::of(copied, told));
                self.note("clone", &format!("{shop}"));
            }
            return;
        }
        self.stop(shop, place);
        let file = self.random.bits();
        let at = &mut self.shops[shop].places[place];
        at.told = told;
        match fault {
            // A copied file is another file; the sidecar stayed.
            Fault::Restore => {
                at.machine.disk = Disk::clone(&copied.disk);
                at.machine.file = file;
            }
            _ => at.machine = copied,
        }
        self.note(fault.name(), &format!("{shop}.{place}"));
        self.start(shop, place);
    }

    fn hub_goes_back(&mut self, fault: Fault) {
        let copy = match fault {
            Fault::HubEmpty => Hub::new(self.config.shops, &mut self.random),
            _ if self.hub_copies.is_empty() => return,
            _ => {
                let copy = self.random.place(self.hub_copies.len());
                self.hub_copies[copy].clone()
            }
        };
        self.hub = copy;
        self.age += 1;
        if fault != Fault::HubRevert {
            // `restore` and an empty folder read the trace, which is no part of the database.
            self.ordinal += 1;
            self.hub.begin(self.ordinal, &mut self.random);
        }
        self.note(fault.name(), "");
    }

    /// What a till was told is on its disk.
    fn check_told(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &self.shops[shop].places[place];
        match at.told.iter().find(|id| !at.machine.has(**id)) {
            None => Ok(()),
            Some(id) => Err(format!("I3 lost: {shop}.{place} was told of {id}")),
        }
    }

    /// What an agent believes to be acknowledged in this life is at the hub.
    fn check_acked(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let disk = &self.shops[shop].places[place].machine.disk;
        if disk.life != Some(self.hub.life) {
            return Ok(());
        }
        for (replica, acked) in &disk.acked {
            let at = disk.logs.position(*replica, *acked);
            if !self.hub.shops[shop].has(*replica, at) {
                return Err(format!(
                    "I4 acknowledged and not held: {shop}.{place} {replica} up to {}",
                    acked.0
                ));
            }
        }
        Ok(())
    }

    /// The faults stop; everybody goes on exchanging until all hold the same.
    fn peace(&mut self) -> Result<(), Broken> {
        self.is_peace = true;
        self.flights.clear();
        let held: Vec<BTreeSet<MovementId>> =
            (0..self.shops.len()).map(|shop| self.held(shop)).collect();
        for (shop, held) in held.iter().enumerate() {
            self.level(shop)?;
            for place in 0..self.shops[shop].places.len() {
                self.check_told(shop, place)?;
            }
            self.check_index(shop)?;
            self.check_whole(shop, held)?;
        }
        Ok(())
    }

    /// The index of a machine is what its logs say.
    fn check_index(&self, shop: usize) -> Result<(), Broken> {
        let id = &self.shops[shop].id;
        let mut machines = self.shops[shop].places.iter().map(|at| &at.machine);
        match machines.position(|machine| !machine.is_indexed(id)) {
            None => Ok(()),
            Some(place) => Err(format!("I8 the index of {shop}.{place} is not its logs'")),
        }
    }

    fn level(&mut self, shop: usize) -> Result<(), Broken> {
        for place in 0..self.shops[shop].places.len() {
            if !self.shops[shop].places[place].machine.is_up {
                self.start(shop, place);
            }
        }
        for _ in 0..ROUNDS {
            for place in 0..self.shops[shop].places.len() {
                self.poll(shop, place)?;
            }
            let hash = self.hub.shops[shop].hash();
            let is_level =
                |at: &Place| at.machine.disk.logs.hash() == hash && at.machine.pending() == 0;
            if self.shops[shop].places.iter().all(is_level) {
                return Ok(());
            }
        }
        Err(format!("I2 no agreement of {shop} after {ROUNDS} rounds"))
    }

    /// Every id that somebody holds.
    fn held(&self, shop: usize) -> BTreeSet<MovementId> {
        let id = &self.shops[shop].id;
        let disks = self.shops[shop].places.iter();
        disks
            .map(|at| &at.machine.disk.logs)
            .chain([&self.hub.shops[shop]])
            .flat_map(|logs| logs.ids(id).into_keys())
            .collect()
    }

    /// Everything that anybody held counts, and counts once.
    fn check_whole(&self, shop: usize, held: &BTreeSet<MovementId>) -> Result<(), Broken> {
        let id = &self.shops[shop].id;
        let logs = &self.hub.shops[shop];
        let mut model = ShopModel::new(id.clone());
        for (replica, _, movement) in logs.all() {
            model
                .append(replica, movement.clone())
                .map_err(|error| format!("I12 {error}"))?;
        }
        let voided = model.voided();
        let mut counted = BTreeSet::new();
        for (replica, seq, movement) in logs.all() {
            if voided.contains(&Dot { replica, seq }) {
                continue;
            }
            if !counted.insert(movement.id(id)) {
                return Err(format!("I5 counted twice: {}", movement.id(id)));
            }
        }
        match held.difference(&counted).next() {
            None => Ok(()),
            Some(id) => Err(format!("I3 somebody held {id}, and it does not count")),
        }
    }
}

impl Place {
    fn of(machine: Machine, told: BTreeSet<MovementId>) -> Self {
        Self {
            machine,
            told,
            open_call: None,
            exchange: 0,
            waits: None,
            cut_off_until: 0,
        }
    }
}

fn barcode(number: u64) -> Barcode {
    format!("20000000000{number:02}")
        .parse()
        .expect("a barcode")
}
