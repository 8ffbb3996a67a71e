//! One run: steps with faults, a check after each, then peace, in which everybody must come to hold the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vitrina_shared::memory::{Hub, Sent};
use vitrina_shared::{HubLife, Movement, MovementId, Position, ReplicaId, ShopId};

use super::config::{Config, Fault};
use super::machine::Machine;
use super::random::Random;
use super::website::Reader;

/// How many of the last events are kept for a report.
const EVENTS: usize = 200;
/// The most movements of one answer: small, so that runs have many.
const MOVEMENTS: usize = 6;

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
    "rewritten",
    "too_new",
    "unknown_kind",
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
    pub(super) hub: Hub,
    /// The greatest ordinal that the hub's folder ever showed outside the database.
    pub(super) ordinal: u64,
    pub(super) hub_copies: Vec<Hub>,
    /// How often the hub went back.
    pub(super) age: u64,
    /// Where the hub's logs ended when it was last looked at, since it went back.
    pub(super) heads: BTreeMap<ReplicaId, Position>,
    pub(super) shops: Vec<Shop>,
    pub(super) flights: Vec<Flight>,
    /// Requests of earlier times.
    pub(super) past: Vec<Flight>,
    pub(super) readers: Vec<Reader>,
    pub(super) price: u64,
    pub(super) step: usize,
    pub(super) is_peace: bool,
    trace: u64,
    counts: BTreeMap<&'static str, u64>,
    events: VecDeque<String>,
}

/// The first promise that was broken.
pub(super) type Broken = String;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The hash of everything that happened: the same for the same seed.
    pub trace: u64,
    /// How often each fault and each branch of the protocol happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The first promise that was broken, if one was.
    pub violation: Option<String>,
    /// The last events, oldest first.
    pub events: Vec<String>,
}

/// Runs a seed.
pub fn run(seed: u64, config: &Config) -> Report {
    let mut world = World::new(seed, config);
    // A store that a decision leads astray panics: that is how it was found out.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let violation = lived
        .unwrap_or_else(|_| Err("panic: a store was told what cannot be".to_owned()))
        .err();
    world.report(violation)
}

impl World {
    pub(super) fn new(seed: u64, config: &Config) -> Self {
        let mut random = Random::new(seed);
        let shops = (0..config.shops)
            .map(|number| Shop::new(number, &mut random))
            .collect();
        let mut hub = Hub::new(HubLife {
            ordinal: 1,
            random: random.id(),
        });
        hub.limit = MOVEMENTS;
        Self {
            config: config.clone(),
            random,
            hub,
            ordinal: 1,
            hub_copies: Vec::new(),
            age: 0,
            heads: BTreeMap::new(),
            shops,
            flights: Vec::new(),
            past: Vec::new(),
            readers: vec![Reader::default(), Reader::default()],
            price: 0,
            step: 0,
            is_peace: false,
            trace: 0xcbf2_9ce4_8422_2325,
            counts: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// What is to be said of it.
    pub(super) fn report(self, violation: Option<Broken>) -> Report {
        Report {
            trace: self.trace,
            counts: self.counts,
            violation,
            events: self.events.into(),
        }
    }

    fn live(&mut self) -> Result<(), Broken> {
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
    fn new(number: usize, random: &mut Random) -> Self {
        let id: ShopId = format!("S{number:03}").parse().expect("a shop's name");
        Self {
            places: vec![Place::of(Machine::new(id.clone(), random), BTreeSet::new())],
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
