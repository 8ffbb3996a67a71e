//! One run: steps with faults, a check after each, then peace, in which everybody must come to hold the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use vitrina_shared::{Movement, MovementId, Position, ReplicaId, ShopId};

use super::config::{Config, Fault};
use super::hub::{Device, Hub, HubCopy};
use super::machine::{Machine, Sent};
use super::orders::Orders;
use super::parcels::Parcel;
use super::random::Random;
use super::run::{Report, Stores};
use super::website::Reader;

/// How many of the last events are kept for a report.
const EVENTS: usize = 200;

/// What is counted besides the faults: the branches of the protocol.
pub const BRANCHES: &[&str] = &[
    "merged",
    "merged_in_part",
    "duplicate",
    "gap",
    "take",
    "fork",
    "hub_behind",
    "minted",
    "branched",
    "taken",
    "doubted",
    "life_changed",
    "sold_again",
    "conflict",
    "cancelled",
    "voided_before",
    "not_read",
    "priced",
    "followed",
    "expired",
    "revoked",
    "foreign_log",
    "foreign_name",
    "hole",
    "row_too_high",
    "rewritten",
    "too_new",
    "unknown_kind",
    "hold_opened",
    "hold_again",
    "hold_refused",
    "hold_looked_at",
    "hold_released",
    "hold_not_released",
    "hold_extended",
    "hold_not_extended",
    "leg_scanned",
    "leg_declined",
    "held",
    "forced",
    "file_names_order",
    "shipped",
    "re_sourced",
    "asked_next",
    "returned",
    "parcel_sent",
    "parcel_came",
];

/// A message on its way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) shop: usize,
    pub(super) place: usize,
    /// Which exchange of the machine; an answer to an older one has nobody who reads it.
    pub(super) exchange: u64,
    pub(super) bytes: Arc<[u8]>,
    pub(super) is_answer: bool,
    /// How often the hub had gone back when it answered.
    pub(super) age: u64,
}

/// What is known of a machine besides itself.
pub(super) struct Place {
    pub(super) machine: Machine,
    /// What its tills were told to be recorded, as long as its disk was not put back.
    pub(super) told: BTreeSet<MovementId>,
    /// A call that got no answer: the till asks again under the same key.
    pub(super) open_call: Option<Movement>,
    pub(super) exchange: u64,
    pub(super) waits: Option<Sent>,
    pub(super) cut_off_until: usize,
    /// The replica that must not be written again, because the machine saw that its disk is another.
    pub(super) ended: Option<ReplicaId>,
}

/// A copy of a machine's disk.
pub(super) struct Snapshot {
    pub(super) machine: Machine,
    pub(super) told: BTreeSet<MovementId>,
}

/// A shop.
pub(super) struct Shop {
    pub(super) id: ShopId,
    /// What its frames are signed with, where the hub looks at that.
    pub(super) device: Option<Device>,
    pub(super) places: Vec<Place>,
    pub(super) copies: Vec<Snapshot>,
    pub(super) sold: u64,
    /// The last receipt that the shop's 1C wrote.
    pub(super) receipt: u64,
    /// The last sales, which a till may cancel.
    pub(super) sales: VecDeque<Movement>,
    pub(super) revoked_until: Option<usize>,
}

/// Everything.
pub(super) struct World {
    pub(super) config: Config,
    pub(super) random: Random,
    /// Names are drawn apart, so that the real stores, which draw their own, change nothing else of a run.
    pub(super) names: Random,
    pub(super) hub: Hub,
    /// The greatest ordinal that the hub's folder ever showed outside the database.
    pub(super) ordinal: u64,
    pub(super) hub_copies: Vec<HubCopy>,
    /// How often the hub went back.
    pub(super) age: u64,
    /// Where the hub's logs ended when it was last looked at, since it went back.
    pub(super) heads: BTreeMap<ReplicaId, Position>,
    /// Every replica that some machine wrote under as its own; the others are branches.
    pub(super) written: BTreeSet<ReplicaId>,
    pub(super) shops: Vec<Shop>,
    pub(super) flights: Vec<Flight>,
    /// Requests of earlier times.
    pub(super) past: Vec<Flight>,
    pub(super) readers: Vec<Reader>,
    pub(super) price: u32,
    pub(super) orders: Orders,
    /// What shops have sent each other.
    pub(super) parcels: Vec<Parcel>,
    pub(super) step: usize,
    pub(super) is_peace: bool,
    trace: u64,
    counts: BTreeMap<&'static str, u64>,
    events: VecDeque<String>,
}

/// The first promise that was broken.
pub(super) type Broken = String;

impl World {
    pub(super) fn new(stores: Stores, seed: u64, config: &Config) -> Self {
        let mut names = Random::new(seed ^ 0x4A3E);
        let hub = match stores {
            Stores::Memory | Stores::Agents => Hub::new(&mut names),
            Stores::Real | Stores::RealHub => Hub::real(&mut names),
        };
        let shops = (0..config.shops)
            .map(|number| Shop::new(number, (stores, &hub), &mut names))
            .collect();
        let mut world = Self {
            config: config.clone(),
            random: Random::new(seed),
            names,
            ordinal: hub.life().ordinal,
            hub,
            hub_copies: Vec::new(),
            age: 0,
            heads: BTreeMap::new(),
            written: BTreeSet::new(),
            shops,
            flights: Vec::new(),
            past: Vec::new(),
            readers: vec![Reader::default(), Reader::default()],
            price: 0,
            orders: Orders::default(),
            parcels: Vec::new(),
            step: 0,
            is_peace: false,
            trace: 0xcbf2_9ce4_8422_2325,
            counts: BTreeMap::new(),
            events: VecDeque::new(),
        };
        if config.rates.contains_key(&Fault::Orders) {
            world.open_for_orders();
        }
        world
    }

    /// What is to be said of it.
    pub(super) fn report(self, violation: Option<Broken>) -> Report {
        Report {
            trace: self.trace,
            stock: if violation.is_none() {
                self.hub.snapshot().0
            } else {
                BTreeMap::new()
            },
            counts: self.counts,
            violation,
            events: self.events.into(),
        }
    }

    /// All of it.
    pub(super) fn live(&mut self) -> Result<(), Broken> {
        while self.step < self.config.steps {
            self.step += 1;
            self.one_step()?;
        }
        self.peace()
    }

    /// Writes down what happened, and counts it.
    pub(super) fn note(&mut self, what: &'static str, of: fmt::Arguments<'_>) {
        *self.counts.entry(what).or_default() += 1;
        let mut line = if self.events.len() == EVENTS {
            self.events.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        line.clear();
        fmt::write(&mut line, format_args!("{:5} {what} {of}", self.step))
            .expect("a text has room");
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.events.push_back(line);
    }

    /// How often something was written down.
    pub(super) fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Whether a fault strikes now.
    pub(super) fn happens(&mut self, fault: Fault) -> bool {
        let rate = self.config.rates.get(&fault).copied().unwrap_or(0);
        !self.is_peace && rate > 0 && self.random.chance(rate)
    }

    fn one_step(&mut self) -> Result<(), Broken> {
        let shop = self.random.place(self.shops.len());
        let place = self.random.place(self.shops[shop].places.len());
        self.break_something(shop, place)?;
        self.wind_clocks();
        if self.happens(Fault::Orders) {
            self.note("orders", format_args!(""));
            return self.order_something(shop, place);
        }
        if self.happens(Fault::Parcels) {
            self.note("parcels", format_args!(""));
            return self.move_parcel(shop, place);
        }
        match self.random.below(100) {
            0..35 => self.sell(shop, place),
            35..40 => self.cancel(shop, place),
            40..68 => self.poll(shop, place),
            68..70 => {
                self.set_price();
                Ok(())
            }
            70..74 => {
                let reader = self.random.place(self.readers.len());
                self.follow(reader)
            }
            _ => self.deliver(),
        }?;
        if self.random.chance(100) {
            self.copy_something(shop, place);
        }
        Ok(())
    }
}

impl Shop {
    fn new(number: usize, (stores, hub): (Stores, &Hub), names: &mut Random) -> Self {
        let id: ShopId = format!("S{number:03}").parse().expect("a shop's name");
        let device = hub.enrol(&id, names);
        let machine = match stores {
            Stores::Memory | Stores::RealHub => Machine::new(id.clone(), names),
            Stores::Real | Stores::Agents => Machine::real(&id, hub.life(), names),
        };
        Self {
            places: vec![Place::of(machine, BTreeSet::new())],
            device,
            id,
            copies: Vec::new(),
            sold: 0,
            receipt: 0,
            sales: VecDeque::new(),
            revoked_until: None,
        }
    }
}

impl Place {
    pub(super) fn of(machine: Machine, told: BTreeSet<MovementId>) -> Self {
        Self {
            machine,
            told,
            open_call: None,
            exchange: 0,
            waits: None,
            cut_off_until: 0,
            ended: None,
        }
    }
}
