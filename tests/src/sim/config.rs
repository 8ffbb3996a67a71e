//! How large a run is and which faults it has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::random::Random;

/// How large a run is and which faults it has. A fault is off, or so likely (of a thousand steps).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How many shops.
    pub shops: usize,
    /// How many steps before the faults stop.
    pub steps: usize,
    /// By fault.
    pub rates: BTreeMap<Fault, u64>,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal, $most:literal;)+) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $fault,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// Its name in output and regressions.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }

            /// The highest rate of a swarm.
            fn most(self) -> u64 {
                match self {
                    $(Self::$fault => $most,)+
                }
            }

            /// Whether it takes away what nobody else may have, or lets names decide who was first: then two runs of one
            /// seed on different stores need not end with the same stock.
            fn goes_back(self) -> bool {
                matches!(
                    self,
                    Self::Restore
                        | Self::Revert
                        | Self::Clone
                        | Self::HubRevert
                        | Self::HubRestore
                        | Self::HubEmpty
                        | Self::Malice
                )
            }
        }
    };
}

faults! {
    /// A message is lost.
    Loss = "loss", 300;
    /// A request arrives twice.
    Repeat = "repeat", 300;
    /// A message waits while others pass it.
    Delay = "delay", 500;
    /// An answer is cut on its way.
    Cut = "cut", 100;
    /// A request of any earlier time arrives again: a stick, a proxy, somebody who listened.
    LateFrame = "late_frame", 60;
    /// A shop has no line for a while.
    Partition = "partition", 30;
    /// The agent dies before a sale is on disk.
    CrashBefore = "crash_before", 60;
    /// The agent dies after a sale is on disk, before the till hears of it.
    CrashAfter = "crash_after", 60;
    /// A sale does not fit on the disk.
    DiskFull = "disk_full", 60;
    /// The commit of an answer fails at the agent: nothing of it is kept.
    AgentIo = "agent_io", 60;
    /// The shop's 1C is put back and gives receipt numbers a second time.
    ReceiptsAgain = "receipts_again", 60;
    /// A machine's clock is years off.
    Clock = "clock", 100;
    /// The hub dies before a merge is on disk.
    HubCrashBefore = "hub_crash_before", 60;
    /// The hub dies after a merge is on disk, before it answers.
    HubCrashAfter = "hub_crash_after", 60;
    /// A shop's ledger is put back from a copy, the program sees that the file is another.
    Restore = "restore", 20;
    /// The whole machine goes back to a snapshot, sidecar and all: nothing on it shows it.
    Revert = "revert", 20;
    /// A copy of a shop's disk runs on a second machine.
    Clone = "clone", 10;
    /// The hub's file is put back by hand: it does not know.
    HubRevert = "hub_revert", 10;
    /// The hub is restored by its command: a new life.
    HubRestore = "hub_restore", 10;
    /// The hub begins empty, with its keys.
    HubEmpty = "hub_empty", 6;
    /// A shop's credential is taken back for a while.
    Revoke = "revoke", 10;
    /// A shop says what it must not: another's log, another's name, a hole, a history written anew.
    Malice = "malice", 30;
    /// The other side is of a later version: a section, a kind of movement that this one does not know.
    Newer = "newer", 60;
    /// No fault: websites order, persons answer, tills sell what is held.
    Orders = "orders", 400;
    /// No fault: parcels travel from shop to shop.
    Parcels = "parcels", 150;
}

impl Config {
    /// The swarm's configuration of a seed: every fault is on in half of the seeds, at some rate. One seed of fifty has
    /// up to four times as many shops for a quarter of the steps.
    pub fn of_seed(seed: u64, shops: usize, steps: usize) -> Self {
        let (most, steps) = if seed % 50 == 7 {
            (shops * 4, steps / 4)
        } else {
            (shops, steps)
        };
        let shops = 1 + Random::new(seed ^ 0x5409).place(most);
        Self::full(seed, shops, steps)
    }

    /// As [`Config::of_seed`] with exactly so many shops.
    pub fn full(seed: u64, shops: usize, steps: usize) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let mut rates = BTreeMap::new();
        for fault in Fault::ALL {
            if random.chance(500) {
                rates.insert(*fault, 1 + random.below(fault.most()));
            }
        }
        Self {
            steps: shops * steps,
            shops,
            rates,
        }
    }

    /// A small run for the real stores; every second has nothing that goes back, so that it can be compared.
    pub fn real(seed: u64) -> Self {
        let mut config = Self::of_seed(seed, 2, 60);
        if seed % 2 == 1 {
            config.rates.retain(|fault, _| !fault.goes_back());
        }
        // So short a run meets rare faults only where they are less rare.
        for (fault, rate) in &mut config.rates {
            *rate *= if fault.goes_back() { 5 } else { 1 };
        }
        // The model and the stores are told of a revocation in different ways.
        config.rates.remove(&Fault::Revoke);
        // What is ordered has names that each store draws itself: no two runs could be compared.
        config.rates.remove(&Fault::Orders);
        config.rates.remove(&Fault::Parcels);
        config
    }

    /// A run for the real stores in which parcels travel. Every second has nothing that goes back.
    pub fn parcels(seed: u64) -> Self {
        let mut config = Self::real(seed);
        config.shops = config.shops.max(2);
        config.rates.insert(Fault::Parcels, 300);
        config
    }

    /// A run for the real hub with the shops of the model: websites order in it. Every second has nothing that goes back.
    pub fn real_hub(seed: u64) -> Self {
        let mut config = Self::of_seed(seed, 3, 90);
        if seed % 2 == 1 {
            config.rates.retain(|fault, _| !fault.goes_back());
        }
        // The model and the stores are told of a revocation in different ways.
        config.rates.remove(&Fault::Revoke);
        config.rates.insert(Fault::Orders, 400);
        config.rates.remove(&Fault::Parcels);
        config
    }

    /// A run for the agents' own stores at a hub in memory, which takes orders.
    pub fn agents(seed: u64) -> Self {
        let mut config = Self::of_seed(seed, 2, 150);
        config.rates.insert(Fault::Orders, Fault::Orders.most());
        config.rates.remove(&Fault::Revoke);
        config
    }

    /// Whether the same seed must end with the same stock, whatever keeps it.
    pub(super) fn is_comparable(&self) -> bool {
        !self.rates.keys().any(|fault| fault.goes_back())
    }

    /// Nothing goes wrong by itself.
    pub fn quiet(shops: usize) -> Self {
        Self {
            shops,
            ..Self::default()
        }
    }
}

/// As regressions are written: `4 shops, 240 steps; loss 200, delay 31`.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shops, {} steps;", self.shops, self.steps)?;
        for (at, (fault, rate)) in self.rates.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma} {} {rate}", fault.name())?;
        }
        Ok(())
    }
}

/// The text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no configuration: 4 shops, 240 steps; loss 200, delay 31")]
pub struct ConfigError(String);

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError(text.to_owned());
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (size, faults) = text.split_once(';').ok_or_else(wrong)?;
        let (shops, steps) = size.split_once(" shops,").ok_or_else(wrong)?;
        let steps = steps.trim().strip_suffix(" steps").ok_or_else(wrong)?;
        let mut rates = BTreeMap::new();
        for fault in faults
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
        {
            let (name, rate) = fault.split_once(' ').ok_or_else(wrong)?;
            let known = Fault::ALL.iter().find(|fault| fault.name() == name);
            rates.insert(*known.ok_or_else(wrong)?, number(rate)?);
        }
        let count = |text: &str| usize::try_from(number(text)?).map_err(|_| wrong());
        Ok(Self {
            shops: count(shops)?,
            steps: count(steps)?,
            rates,
        })
    }
}
